//! What every [`Kms`] promises, as a suite that each implementation runs.
//!
//! The functions panic where a promise is broken: they are for tests.

use crate::{Kms, KmsError, NewDataKey};

/// Whether the KMS under test can make keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creates {
    /// It makes the keys it is asked for.
    Keys,
    /// It has the keys that it has.
    Nothing,
}

const CONTEXT: &[u8] = br#"{"bucket":"bucket/object"}"#;
/// A name that no fixture has.
const MISSING: &str = "strongroom-contract-missing";
/// A name that the suite makes, where keys can be made.
const CREATED: &str = "strongroom-contract-created";

/// Runs the whole suite. The default key must exist.
pub async fn run(kms: &dyn Kms, creates: Creates) {
    a_sealed_data_key_opens_again(kms).await;
    data_keys_are_fresh(kms).await;
    a_changed_or_foreign_ciphertext_does_not_open(kms).await;
    another_context_does_not_open(kms).await;
    the_key_is_told_by_name(kms).await;
    a_missing_key_is_named(kms).await;
    keys_are_created_once(kms, creates).await;
    the_fingerprint_stays(kms).await;
    status_tells_each_endpoint(kms).await;
}

async fn new(kms: &dyn Kms, key: Option<&str>, context: &[u8]) -> NewDataKey {
    match kms.new_data_key(key, context).await {
        Ok(new) => new,
        Err(error) => panic!("no data key under {key:?}: {error}"),
    }
}

async fn a_sealed_data_key_opens_again(kms: &dyn Kms) {
    for context in [
        b"{}".as_slice(),
        b"",
        CONTEXT,
        "{\"b\":\"b/ü\\u0026\"}".as_bytes(),
    ] {
        let made = new(kms, None, context).await;
        let version = made.key_version.as_deref();
        let opened = kms
            .open_data_key(&made.key_name, version, &made.sealed, context)
            .await;
        match opened {
            Ok(opened) => assert_eq!(opened, made.plaintext, "another key came back"),
            Err(error) => panic!("a data key that was just sealed does not open: {error}"),
        }
    }
}

async fn data_keys_are_fresh(kms: &dyn Kms) {
    let (a, b) = (new(kms, None, CONTEXT).await, new(kms, None, CONTEXT).await);
    assert_ne!(a.plaintext, b.plaintext, "the same data key twice");
    assert_ne!(a.sealed, b.sealed, "the same ciphertext twice");
    let plain = a.plaintext.expose().as_slice();
    assert!(
        !a.sealed.windows(plain.len()).any(|w| w == plain),
        "the plain key shows"
    );
}

async fn expect_not_authentic(kms: &dyn Kms, made: &NewDataKey, sealed: &[u8], context: &[u8]) {
    let version = made.key_version.as_deref();
    match kms
        .open_data_key(&made.key_name, version, sealed, context)
        .await
    {
        Err(KmsError::InvalidCiphertext { key }) => assert_eq!(key, made.key_name),
        other => panic!("a ciphertext that is not authentic gave {other:?}"),
    }
}

async fn a_changed_or_foreign_ciphertext_does_not_open(kms: &dyn Kms) {
    let made = new(kms, None, CONTEXT).await;
    let last = made.sealed.len() - 1;
    for at in [0, 1, last / 2, last] {
        let mut sealed = made.sealed.clone();
        sealed[at] ^= 1;
        expect_not_authentic(kms, &made, &sealed, CONTEXT).await;
    }
    expect_not_authentic(kms, &made, &made.sealed[..last], CONTEXT).await;
    expect_not_authentic(
        kms,
        &made,
        b"no ciphertext at all, and not of a length that one has",
        CONTEXT,
    )
    .await;
    expect_not_authentic(kms, &made, b"", CONTEXT).await;
}

async fn another_context_does_not_open(kms: &dyn Kms) {
    let made = new(kms, None, CONTEXT).await;
    for context in [b"".as_slice(), b"{}", br#"{"bucket":"bucket/object2"}"#] {
        expect_not_authentic(kms, &made, &made.sealed, context).await;
    }
}

async fn the_key_is_told_by_name(kms: &dyn Kms) {
    let default = kms.default_key().to_owned();
    assert!(!default.is_empty());
    let (a, b) = (
        new(kms, None, CONTEXT).await,
        new(kms, Some(&default), CONTEXT).await,
    );
    assert_eq!(
        (a.key_name.as_str(), b.key_name.as_str()),
        (default.as_str(), default.as_str())
    );
}

async fn a_missing_key_is_named(kms: &dyn Kms) {
    match kms.new_data_key(Some(MISSING), CONTEXT).await {
        Err(KmsError::KeyNotFound { key }) => assert_eq!(key, MISSING),
        other => panic!("a data key under a missing key gave {other:?}"),
    }
    let made = new(kms, None, CONTEXT).await;
    match kms
        .open_data_key(MISSING, None, &made.sealed, CONTEXT)
        .await
    {
        Err(KmsError::KeyNotFound { key }) => assert_eq!(key, MISSING),
        other => panic!("opening under a missing key gave {other:?}"),
    }
    match kms.describe(MISSING).await {
        Err(KmsError::KeyNotFound { key }) => assert_eq!(key, MISSING),
        other => panic!("describing a missing key gave {other:?}"),
    }
}

async fn keys_are_created_once(kms: &dyn Kms, creates: Creates) {
    let default = kms.default_key().to_owned();
    match kms.create_key(&default).await {
        Err(KmsError::KeyExists { key }) => assert_eq!(key, default),
        other => panic!("creating a key that exists gave {other:?}"),
    }
    match (creates, kms.create_key(CREATED).await) {
        (Creates::Nothing, Err(KmsError::NotSupported { .. })) => {}
        (Creates::Keys, Ok(())) => {
            assert_eq!(new(kms, Some(CREATED), CONTEXT).await.key_name, CREATED);
            match kms.create_key(CREATED).await {
                Err(KmsError::KeyExists { key }) => assert_eq!(key, CREATED),
                other => panic!("creating a key twice gave {other:?}"),
            }
        }
        (_, other) => panic!("creating a key gave {other:?}, {creates:?} was expected"),
    }
}

async fn the_fingerprint_stays(kms: &dyn Kms) {
    let (a, b) = (new(kms, None, CONTEXT).await, new(kms, None, b"{}").await);
    assert_eq!(a.fingerprint, b.fingerprint, "one key, two fingerprints");
    match kms.describe(kms.default_key()).await {
        Ok(info) => {
            assert_eq!(info.name, kms.default_key());
            assert_eq!(
                info.fingerprint, a.fingerprint,
                "describe tells another fingerprint"
            );
        }
        Err(KmsError::Denied { .. }) => {}
        Err(error) => panic!("the default key cannot be described: {error}"),
    }
}

async fn status_tells_each_endpoint(kms: &dyn Kms) {
    let endpoints = kms.status().await;
    assert!(!endpoints.is_empty());
    assert!(
        endpoints.iter().all(|e| e.online && e.error.is_none()),
        "{endpoints:?}"
    );
}
