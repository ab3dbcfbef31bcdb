//! Who is taken for whom.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

use crate::harness::{Fixture, Who};

const NOT_ALLOWED: &str = "not authorized: insufficient permissions";

/// A self-signed certificate, and the identity of its key.
fn self_signed(common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> (Who, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let identity = strongroom_kes_api::Identity::of_certificate(certificate.der()).unwrap();
    (
        Who::of_pem(&certificate.pem(), &key.serialize_pem()),
        identity.to_string(),
    )
}

/// A server whose `app` policy is for this identity.
async fn server_for(identity: &str) -> Fixture {
    let app = "bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff";
    Fixture::start_with(|text| text.replace(app, identity)).await
}

#[tokio::test]
async fn self_signed_and_expired_certificates_are_welcome() {
    let (who, identity) = self_signed("me", |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let f = server_for(&identity).await;
    assert_eq!(f.get(&who, "/v1/status").await.status, 200);
}

#[tokio::test]
async fn lesson_13_the_name_in_a_certificate_means_nothing() {
    let (_, identity) = self_signed("the-app", |_| {});
    let (impostor, _) = self_signed("the-app", |_| {});
    let f = server_for(&identity).await;
    assert_eq!(
        f.get(&impostor, "/v1/status").await.error(),
        (403, NOT_ALLOWED.into())
    );
}

#[tokio::test]
async fn ca_certificates_name_nobody_and_the_error_says_so() {
    let (who, identity) = self_signed("ca", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let f = server_for(&identity).await;
    let (status, message) = f.get(&who, "/v1/status").await.error();
    assert_eq!(status, 400);
    assert!(
        message.starts_with("tls: client certificate is required"),
        "{message}"
    );
    assert!(message.contains("CA"), "{message}");
}

#[tokio::test]
async fn a_chain_with_its_ca_is_fine_and_two_leaves_are_not() {
    let f = Fixture::start().await;
    let Who::Certified { chain, key } = Who::app() else {
        unreachable!()
    };
    let ca = crate::harness::fixture("tls/ca.crt");
    let ca = strongroom_transport::certificate::certificates(ca.as_bytes()).unwrap();
    let mut full = chain.clone();
    full.extend(ca);
    let answer = f
        .get(
            &Who::Certified {
                chain: full,
                key: key.clone(),
            },
            "/v1/status",
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let Who::Certified { chain: other, .. } = Who::root() else {
        unreachable!()
    };
    let two = [chain, other].concat();
    let answer = f
        .get(&Who::Certified { chain: two, key }, "/v1/status")
        .await;
    assert_eq!(
        answer.error(),
        (400, "tls: received more than one client certificate".into())
    );
}

#[tokio::test]
async fn somebody_else_s_certificate_behind_one_s_own_ca_certificate_is_worth_nothing() {
    let f = Fixture::start().await;
    let (own_ca, _) = self_signed("ca", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let (Who::Certified { chain, key }, Who::Certified { chain: admin, .. }) =
        (own_ca, Who::root())
    else {
        unreachable!()
    };
    let impostor = Who::Certified {
        chain: [chain, admin].concat(),
        key,
    };
    let answer = f.get(&impostor, "/v1/identity/self/describe").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(f.post(&impostor, "/v1/key/create/k", "").await.status, 400);
    let records = f.records.audit.lock().unwrap();
    assert!(records.iter().all(|r| r.request.identity.is_none()));
}

#[tokio::test]
async fn the_order_of_checks_is_method_then_identity_then_name() {
    let f = Fixture::start().await;
    let nobody = Who::named("nobody");
    let bad_name = "/v1/key/create/a.b";
    assert_eq!(f.get(&nobody, bad_name).await.status, 405);
    assert_eq!(
        f.post(&nobody, bad_name, "").await.error(),
        (403, NOT_ALLOWED.into())
    );
    assert_eq!(f.post(&Who::root(), bad_name, "").await.status, 400);
    assert_eq!(f.post(&nobody, "/v1/nothing", "").await.status, 404);
}

#[tokio::test]
async fn an_open_route_needs_no_certificate_and_opens_nothing_else() {
    let f = Fixture::start_with(|text| text + "\napi:\n  /v1/ready:\n    skip_auth: true\n").await;
    assert_eq!(f.get(&Who::Nobody, "/v1/ready").await.status, 200);
    assert_eq!(f.get(&Who::Nobody, "/version").await.status, 200);
    let answer = f.get(&Who::Nobody, "/v1/status").await;
    assert_eq!(
        answer.error(),
        (400, "tls: client certificate is required".into())
    );
    assert_eq!(f.get(&Who::app(), "/v1/status").await.status, 200);
}

#[tokio::test]
async fn the_version_can_be_had_without_a_certificate_when_the_configuration_says_so() {
    let f = Fixture::start().await;
    let refused = match f.connect(&Who::Nobody).await {
        Ok(mut connection) => connection.request("GET", "/version", &[], None).await,
        Err(error) => Err(error),
    };
    assert!(refused.is_err());
    let f = Fixture::start_with(|text| text + "\napi:\n  /version:\n    skip_auth: true\n").await;
    assert_eq!(f.get(&Who::Nobody, "/version").await.status, 200);
    assert_eq!(f.get(&Who::Nobody, "/v1/ready").await.status, 400);
}

#[tokio::test]
async fn with_auth_on_only_certificates_of_the_authority_connect() {
    let ca = crate::harness::fixtures().join("tls/ca.crt");
    let f = Fixture::start_with(|text| {
        text.replace(
            "tls:\n",
            &format!("tls:\n  auth: on\n  ca: {}\n", ca.display()),
        )
    })
    .await;
    assert_eq!(f.get(&Who::app(), "/v1/status").await.status, 200);
    let (stranger, _) = self_signed("stranger", |_| {});
    let Ok(mut connection) = f.connect(&stranger).await else {
        return;
    };
    assert!(
        connection
            .request("GET", "/version", &[], None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_clients_and_for_nobody_else() {
    let (proxy, identity) = self_signed("proxy", |_| {});
    let f = Fixture::start_with(|text| {
        text.replace(
            "tls:\n",
            &format!(
                "tls:\n  proxy:\n    identities: [{identity}]\n    header:\n      cert: X-Client\n"
            ),
        )
    })
    .await;
    let pem = crate::harness::fixture("tls/app.crt");
    let escaped: String = pem.bytes().map(|b| format!("%{b:02X}")).collect();
    let ask = async |who: &Who, headers: &[(&str, &str)]| {
        let mut connection = f.connect(who).await.unwrap();
        connection
            .request("GET", "/v1/status", headers, None)
            .await
            .unwrap()
    };
    let headers = [
        ("X-Client", escaped.as_str()),
        ("X-Forwarded-For", "10.9.8.7, 1.1.1.1"),
    ];
    assert_eq!(ask(&proxy, &headers).await.status, 200);
    let record = f.records.audit.lock().unwrap().last().cloned().unwrap();
    assert_eq!(record.request.ip, Some([10, 9, 8, 7].into()));
    let nobody = ask(&proxy, &[]).await;
    assert_eq!(
        nobody.error(),
        (400, "no client certificate is present".into())
    );
    let twice = ask(&proxy, &[headers[0], headers[0]]).await;
    assert_eq!(
        twice.error(),
        (400, "too many client certificates are present".into())
    );
    let garbage = ask(&proxy, &[("X-Client", "garbage")]).await;
    assert_eq!(garbage.status, 400);
    // The same headers from somebody who is no proxy mean nothing.
    let impostor = ask(&Who::named("nobody"), &headers).await;
    assert_eq!(impostor.status, 403);
    let record = f.records.audit.lock().unwrap().last().cloned().unwrap();
    assert_ne!(record.request.ip, Some([10, 9, 8, 7].into()));
}

#[tokio::test]
async fn lesson_14_policies_are_judged_anew_on_a_live_connection() {
    let f = Fixture::start().await;
    let mut live = f.connect(&Who::app()).await.unwrap();
    assert_eq!(
        live.request("GET", "/v1/status", &[], None)
            .await
            .unwrap()
            .status,
        200
    );
    let config = crate::harness::config_of("newest", &f.keys, |text| {
        text.replace("    - /v1/status\n", "")
    });
    f.server.reload(config, f.server.store()).await.unwrap();
    let answer = live.request("GET", "/v1/status", &[], None).await.unwrap();
    assert_eq!(
        answer.error(),
        (403, NOT_ALLOWED.into()),
        "the connection stays, the right is gone"
    );
}

#[tokio::test]
async fn lesson_14_authorities_are_asked_anew_on_a_live_connection() {
    let f = Fixture::start().await;
    let app = "bb16264ef2c339c192bd3bc993c4aa952d38ad944a1022bab3f1dd07a009d0ff";
    let (stranger, identity) = self_signed("stranger", |_| {});
    let verified = |text: String| {
        let ca = crate::harness::fixtures().join("tls/ca.crt");
        text.replace(app, &identity).replace(
            "tls:\n",
            &format!("tls:\n  auth: on\n  ca: {}\n", ca.display()),
        )
    };
    let open = crate::harness::config_of("newest", &f.keys, |t| t.replace(app, &identity));
    f.server.reload(open, f.server.store()).await.unwrap();
    let mut live = f.connect(&stranger).await.unwrap();
    let mut member = f.connect(&Who::root()).await.unwrap();
    let ask = async |c: &mut crate::harness::Connection| {
        let answer = c.request("GET", "/v1/status", &[], None).await;
        answer.unwrap().status
    };
    assert_eq!((ask(&mut live).await, ask(&mut member).await), (200, 200));
    let closed = crate::harness::config_of("newest", &f.keys, verified);
    f.server.reload(closed, f.server.store()).await.unwrap();
    for _ in 0..2 {
        assert_eq!((ask(&mut live).await, ask(&mut member).await), (403, 200));
    }
}

#[tokio::test]
async fn log_streams_end_when_the_authorities_change_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let trusted = crate::harness::fixture("tls/ca.crt");
    std::fs::write(&ca, &trusted).unwrap();
    let f = Fixture::start_with(|text| {
        text.replace(
            "tls:\n",
            &format!("tls:\n  auth: on\n  ca: {}\n", ca.display()),
        )
    })
    .await;
    let mut reader = f.connect(&Who::root()).await.unwrap();
    let head = reader.request("GET", "/v1/log/audit", &[], None).await;
    assert_eq!(head.unwrap().status, 200);
    assert!(reader.line().await.unwrap().contains("/v1/log/audit"));
    f.server.reload_certificates().await.unwrap();
    assert_eq!(f.get(&Who::app(), "/v1/status").await.status, 200);
    assert!(reader.line().await.unwrap().contains("/v1/status"));
    let other = crate::harness::fixture("tls/app.crt");
    std::fs::write(&ca, trusted + &other).unwrap();
    f.server.reload_certificates().await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), reader.line()).await;
    assert_eq!(end.unwrap().unwrap(), "", "the last chunk");
}

#[tokio::test]
async fn a_broken_reload_changes_nothing() {
    let f = Fixture::start().await;
    let config = crate::harness::config_of("newest", &f.keys, |text| {
        text.replace("server.key", "no-such.key")
            .replace("    - /v1/status\n", "")
    });
    assert!(f.server.reload(config, f.server.store()).await.is_err());
    assert_eq!(f.get(&Who::app(), "/v1/status").await.status, 200);
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_drops_none() {
    let f = Fixture::start().await;
    let mut live = f.connect(&Who::app()).await.unwrap();
    let subject = strongroom_transport::issue::Subject {
        common_name: "localhost",
        dns_names: &["localhost".to_owned()],
        addresses: &[],
        now: SystemTime::now(),
        validity: Duration::from_secs(3600),
    };
    let other = strongroom_transport::issue::self_signed(&subject).unwrap();
    let mut config = f.server.config();
    config.tls.certificate =
        strongroom_kes_server::config::CertificateSource::Given(other.identity().unwrap());
    f.server.reload(config, f.server.store()).await.unwrap();
    assert_eq!(
        live.request("GET", "/v1/status", &[], None)
            .await
            .unwrap()
            .status,
        200
    );
    assert!(
        f.connect(&Who::app()).await.is_err(),
        "the new certificate is not of the old CA"
    );
}
