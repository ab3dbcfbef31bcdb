use super::*;

fn vault(text: &str) -> Url {
    endpoint(text).unwrap()
}

#[test]
fn an_endpoint_is_https_and_needs_no_scheme() {
    for given in [
        "https://v.vault.azure.net",
        "v.vault.azure.net",
        " https://v.vault.azure.net/ ",
    ] {
        assert_eq!(
            vault(given).as_str(),
            "https://v.vault.azure.net/",
            "{given}"
        );
    }
    let plain = endpoint("http://v.vault.azure.net")
        .unwrap_err()
        .to_string();
    assert!(
        plain.contains("https://") && plain.contains("unencrypted"),
        "{plain}"
    );
    for given in [
        "",
        "https://",
        "ftp://x",
        "https://u:p@host",
        "https://host?x=1",
    ] {
        let error = endpoint(given).unwrap_err().to_string();
        assert!(
            error.contains("azure.keyvault.endpoint"),
            "{given}: {error}"
        );
        assert!(!error.contains("is not answered"), "{error}");
    }
}

#[test]
fn a_challenge_names_the_resource_in_either_way() {
    let vault = vault("https://v.vault.azure.net");
    for challenge in [
        r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#,
        r#"Bearer authorization="https://login.microsoftonline.com/t", scope="https://vault.azure.net/.default""#,
    ] {
        assert_eq!(
            resource_of(challenge, &vault).unwrap(),
            "https://vault.azure.net"
        );
    }
}

#[test]
fn a_server_gets_no_token_for_what_it_does_not_belong_to() {
    for (host, resource) in [
        ("https://v.vault.azure.net", "https://management.azure.com"),
        ("https://evilvault.azure.net", "https://vault.azure.net"),
        ("https://v.vault.azure.net", "http://vault.azure.net"),
        ("https://v.vault.azure.net", ""),
    ] {
        let challenge = format!(r#"Bearer authorization="https://l/t", resource="{resource}""#);
        let refused = resource_of(&challenge, &vault(host));
        assert!(refused.is_err(), "{host} {resource}: {refused:?}");
    }
    assert!(resource_of("Basic realm=\"x\"", &vault("https://v.vault.azure.net")).is_err());
}

#[test]
fn a_secrets_address_gives_its_name_and_version() {
    let read = |id: &str| {
        let wire = format!(r#"{{"id":"{id}"}}"#);
        serde_json::from_str::<BundleWire>(&wire)
            .unwrap()
            .name_and_version()
    };
    let both = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
    assert_eq!(
        read("https://v.vault.azure.net/secrets/Key/0a1b"),
        both("Key", "0a1b")
    );
    assert_eq!(
        read("https://v.vault.azure.net/secrets/Key"),
        both("Key", "")
    );
    assert_eq!(
        read("https://v.vault.azure.net/secrets/secrets/7"),
        both("secrets", "7")
    );
    assert_eq!(read("Key"), None);
}
