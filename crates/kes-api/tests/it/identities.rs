use std::fs;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use strongroom_kes_api::identity::of_peer;
use strongroom_kes_api::{AdminIdentity, ApiKey, Identity, IdentityName, KesError, PeerError};

use crate::exchange::fixture;

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(fixture("tls").join(name)).unwrap()
}

#[test]
fn recorded_api_keys_have_their_identities() {
    let keys: Value = serde_json::from_slice(&fs::read(fixture("api-keys.json")).unwrap()).unwrap();
    let keys = keys.as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let text = key["api_key"].as_str().unwrap();
        let api_key = ApiKey::parse(text).unwrap();
        assert_eq!(
            api_key.identity().to_string(),
            key["identity"].as_str().unwrap()
        );
        assert_eq!(api_key.expose().as_str(), text);
    }
}

#[test]
fn recorded_certificates_have_their_identities() {
    let identities: Value =
        serde_json::from_slice(&fs::read(fixture("tls/identities.json")).unwrap()).unwrap();
    for (name, identity) in identities.as_object().unwrap() {
        let chain = [certificate(&format!("{name}.crt"))];
        let peer = of_peer(&chain).unwrap();
        assert_eq!(peer.identity.to_string(), identity.as_str().unwrap());
        assert_eq!(peer.certificate, chain[0].as_ref());
    }
}

#[test]
fn ca_certificates_are_skipped_and_one_other_must_remain() {
    let (ca, app, root) = (
        certificate("ca.crt"),
        certificate("app.crt"),
        certificate("root.crt"),
    );
    let of = |chain: &[&CertificateDer<'static>]| {
        let owned: Vec<_> = chain.iter().map(|c| c.as_ref().to_vec()).collect();
        of_peer(&owned).map(|peer| peer.identity)
    };
    let app_identity = Identity::of_certificate(&app).unwrap();
    assert_eq!(of(&[&app]), Ok(app_identity));
    assert_eq!(of(&[&app, &ca]), Ok(app_identity));
    assert_eq!(
        of(&[&ca, &app]),
        Err(PeerError::NotFirst),
        "nobody proved to hold the key of the second"
    );
    assert_eq!(of(&[&ca, &app, &root]), Err(PeerError::TooMany));
    assert_eq!(of(&[&app, &root]), Err(PeerError::TooMany));
    assert_eq!(of(&[&ca]), Err(PeerError::OnlyCa));
    assert_eq!(of(&[]), Err(PeerError::NoCertificate));
    assert_eq!(of_peer(&[b"nonsense"]), Err(PeerError::Malformed));
    let answer = KesError::from(PeerError::NoCertificate);
    assert_eq!(
        (answer.status(), answer.message()),
        (400, "tls: client certificate is required")
    );
    let answer = KesError::from(PeerError::TooMany);
    assert_eq!(
        answer.message(),
        "tls: received more than one client certificate"
    );
}

#[test]
fn values_that_are_no_hash_make_nobody_admin() {
    let caller = Identity::of_certificate(&certificate("app.crt")).unwrap();
    assert!(AdminIdentity::parse(&caller.to_string()).is(&caller));
    for nobody in ["_", "disabled", "", &caller.to_string().to_uppercase()] {
        let admin = AdminIdentity::parse(nobody);
        assert!(!admin.is(&caller), "{nobody}");
        assert_eq!(admin.identity(), None);
        assert_eq!(admin.to_string(), nobody);
    }
    let name = IdentityName::from(caller);
    assert_eq!(name.identity(), Some(caller));
    assert_eq!(IdentityName::parse("disabled").unwrap().identity(), None);
}
