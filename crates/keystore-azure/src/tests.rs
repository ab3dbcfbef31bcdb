use strongroom_keystore::contract::name;

use super::*;

fn version(id: &str, created: i64) -> Version {
    Version {
        id: id.to_owned(),
        attributes: Attributes {
            created,
            ..Attributes::default()
        },
    }
}

#[test]
fn the_oldest_version_is_the_key_and_all_who_look_agree_within_a_second() {
    let versions = [
        version("c", 7),
        version("b", 5),
        version("a", 5),
        version("0", 9),
    ];
    assert_eq!(oldest(&versions).unwrap().id, "a");
    assert!(oldest(&[]).is_none());
}

#[test]
fn a_version_is_used_within_its_dates_only() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let dated = Attributes {
        enabled: Some(true),
        created: 0,
        nbf: Some(100),
        exp: Some(200),
    };
    let says = |seconds| {
        usable(&name("k"), &dated, at(seconds))
            .unwrap_err()
            .to_string()
    };
    assert!(
        says(99).contains("not valid before 1970-01-01T00:01:40Z"),
        "{}",
        says(99)
    );
    assert!(usable(&name("k"), &dated, at(100)).is_ok());
    assert!(usable(&name("k"), &dated, at(199)).is_ok());
    assert!(
        says(200).contains("expired at 1970-01-01T00:03:20Z"),
        "{}",
        says(200)
    );
    let disabled = Attributes {
        enabled: Some(false),
        ..Attributes::default()
    };
    let text = usable(&name("k"), &disabled, at(150))
        .unwrap_err()
        .to_string();
    assert!(text.contains("'k'") && text.contains("disabled"), "{text}");
}
