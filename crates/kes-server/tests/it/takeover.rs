//! Key stores written by upstream of every age open, and everything encrypted with them decrypts; what is written here
//! goes back.

use serde_json::Value;

use crate::harness::{Fixture, Who, config_of, fixture, fixtures, new_store};

const AGES: [(&str, usize); 7] = [
    ("newest", 40),
    ("v0.23", 28),
    ("v0.22", 27),
    ("v0.17", 28),
    ("v0.10", 16),
    ("form-d-v0.6.0", 6),
    ("form-d-v0.5.0", 6),
];

#[tokio::test]
async fn every_recorded_ciphertext_of_every_age_decrypts() {
    for (age, count) in AGES {
        let (folder, keys, store) = new_store();
        for file in std::fs::read_dir(fixtures().join(age).join("keystore")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), keys.join(file.file_name())).unwrap();
        }
        let config = config_of(age, &keys, |text| text);
        let f = Fixture::run(config, store, folder, keys).await;
        let ciphertexts: Value =
            serde_json::from_str(&fixture(&format!("{age}/ciphertexts.json"))).unwrap();
        let ciphertexts = ciphertexts.as_array().unwrap();
        assert_eq!(ciphertexts.len(), count, "{age}");
        for recorded in ciphertexts {
            let key = recorded["key"].as_str().unwrap();
            let body = serde_json::json!({
                "ciphertext": recorded["ciphertext"],
                "context": recorded["context"],
            });
            let path = format!("/v1/key/decrypt/{key}");
            let answer = f.post(&Who::root(), &path, &body.to_string()).await;
            assert_eq!(answer.status, 200, "{age} {key}: {answer:?}");
            assert_eq!(
                answer.json()["plaintext"],
                recorded["plaintext"],
                "{age} {key}"
            );
        }
    }
}

#[tokio::test]
async fn names_that_older_servers_allowed_are_read_but_not_made() {
    let (folder, keys, store) = new_store();
    for name in ["-x", "x-", "_"] {
        std::fs::copy(
            fixtures().join("v0.17/keystore").join(name),
            keys.join(name),
        )
        .unwrap();
    }
    let config = config_of("newest", &keys, |text| text);
    let f = Fixture::run(config, store, folder, keys).await;
    for name in ["-x", "x-", "_"] {
        let answer = f
            .get(&Who::root(), &format!("/v1/key/describe/{name}"))
            .await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert_eq!(answer.member("created_at"), "0001-01-01T00:00:00Z");
        assert!(answer.json().get("created_by").is_none(), "{answer:?}");
        let answer = f
            .post(&Who::root(), &format!("/v1/key/create/{name}"), "")
            .await;
        assert_eq!(answer.status, 400, "{name}");
    }
}

#[tokio::test]
async fn a_key_without_hmac_key_says_so_and_never_substitutes() {
    let (folder, keys, store) = new_store();
    std::fs::copy(fixtures().join("v0.23/keystore/app-a"), keys.join("app-a")).unwrap();
    let config = config_of("newest", &keys, |text| text);
    let f = Fixture::run(config, store, folder, keys).await;
    let answer = f
        .request(
            &Who::root(),
            "PUT",
            "/v1/key/hmac/app-a",
            "{\"message\":\"bQ==\"}",
        )
        .await;
    assert_eq!(answer.error(), (409, "key does not support HMAC".into()));
}

#[tokio::test]
async fn what_is_written_has_the_newest_layout() {
    let f = Fixture::start().await;
    assert_eq!(
        f.post(&Who::app(), "/v1/key/create/app-a", "").await.status,
        200
    );
    let stored = std::fs::read_to_string(f.keys.join("app-a")).unwrap();
    let message = decoded(&stored);
    // key 32 and type, HMAC key 32 and hash, time, creator: fields 1 to 4 in order.
    assert_eq!(&message[..4], [0x0a, 36, 0x0a, 32], "{message:?}");
    assert_eq!(&message[36..42], [0x10, 1, 0x12, 36, 0x0a, 32]);
    assert_eq!(&message[74..77], [0x10, 1, 0x1a]);
    let identity = message.split_at(message.len() - 66).1;
    assert_eq!(&identity[..2], [0x22, 64]);
    let app = "bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff";
    assert_eq!(&identity[2..], app.as_bytes());

    let answer = f
        .post(
            &Who::app(),
            "/v1/key/generate/app-a",
            "{\"context\":\"YWI=\"}",
        )
        .await;
    assert_eq!(decoded(&answer.member("plaintext")).len(), 32);
    assert_eq!(decoded(&answer.member("ciphertext")).len(), 76);
}

fn decoded(text: &str) -> Vec<u8> {
    strongroom_kes_api::base64::decode(text).unwrap().to_vec()
}
