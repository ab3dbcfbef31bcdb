//! What the recordings do not show.

use strongroom_kes_api::{KeyName, ListPattern, Secret};
use strongroom_kes_client::{Credentials, Endpoint, KesClient, Trust};

use crate::harness::{Fixture, Who, fixture, fixtures};

fn client(f: &Fixture, who: &str) -> KesClient {
    let (certificate, key) = (
        fixture(&format!("tls/{who}.crt")),
        fixture(&format!("tls/{who}.key")),
    );
    KesClient::builder()
        .endpoints([Endpoint::parse(&format!("https://localhost:{}", f.address.port())).unwrap()])
        .credentials(Credentials::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
        .trust(
            Trust::nobody()
                .with_ca_path(&fixtures().join("tls/ca.crt"))
                .unwrap(),
        )
        .build()
        .unwrap()
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text).unwrap()
}

#[tokio::test]
async fn the_client_library_of_this_project_understands_the_server_over_http2() {
    let f = Fixture::start().await;
    let app = client(&f, "app");
    app.create_key(&name("app-a")).await.unwrap();
    let data_key = app.generate_key(&name("app-a"), b"context").await.unwrap();
    let opened = app
        .decrypt(&name("app-a"), &data_key.ciphertext, b"context")
        .await
        .unwrap();
    assert!(opened == data_key.plaintext);
    assert!(
        app.decrypt(&name("app-a"), &data_key.ciphertext, b"other")
            .await
            .is_err()
    );
    let root = client(&f, "root");
    let mac = root
        .hmac(&name("app-a"), Secret::copied_from(b"m"))
        .await
        .unwrap();
    assert_eq!(mac.len(), 32);
    let me = app.describe_self().await.unwrap();
    assert_eq!((me.policy.as_deref(), me.admin), (Some("app"), false));
    assert!(me.allow.contains("/v1/status") && me.deny.len() == 2);
    assert!(app.status().await.unwrap().keystore_latency_ns > 0);
    root.delete_key(&name("app-a")).await.unwrap();
    assert!(
        app.describe_key(&name("app-a")).await.is_err(),
        "the cache forgets a deleted key"
    );
}

#[tokio::test]
async fn lesson_52_listings_longer_than_a_page_are_whole() {
    let f = Fixture::start().await;
    let mut expected: Vec<String> = (0..2500).map(|i| format!("app-{i:04}")).collect();
    for key in &expected {
        std::fs::write(f.keys.join(key), "x").unwrap();
    }
    std::fs::write(f.keys.join("other"), "x").unwrap();
    expected.push("app-declared".to_owned());
    let page = f.get(&Who::app(), "/v1/key/list/app").await;
    assert_eq!(page.json()["names"].as_array().unwrap().len(), 1024);
    assert_eq!(page.member("continue_at"), "app*app-1024");
    let listed = client(&f, "app")
        .list_keys(&ListPattern::parse("app").unwrap())
        .await
        .unwrap();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_body_of_unknown_length_that_got_lost_is_not_taken_for_none() {
    let f = Fixture::start().await;
    f.post(&Who::app(), "/v1/key/create/app-a", "").await;
    let mut connection = f.connect(&Who::app()).await.unwrap();
    let head =
        "POST /v1/key/generate/app-a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = connection
        .send(format!("{head}0\r\n\r\n").as_bytes(), "POST")
        .await
        .unwrap();
    assert_eq!(answer.error(), (400, "invalid request body".into()));
    let answer = connection
        .send(format!("{head}2\r\n{{}}\r\n0\r\n\r\n").as_bytes(), "POST")
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_answer_arrives() {
    let f = Fixture::start().await;
    let body = format!("{{\"plaintext\":\"{}\"}}", "A".repeat(4_000_000));
    let answer = f
        .post(&Who::root(), "/v1/key/encrypt/app-declared", &body)
        .await;
    assert_eq!(answer.error(), (400, "invalid request body".into()));
}

#[tokio::test]
async fn lesson_47_a_request_refused_before_its_body_was_read_still_gets_its_answer() {
    let f = Fixture::start().await;
    let body = "A".repeat(4_000_000);
    for _ in 0..5 {
        let answer = f
            .post(&Who::named("nobody"), "/v1/key/encrypt/app-declared", &body)
            .await;
        assert_eq!(answer.status, 403);
    }
}

#[tokio::test]
async fn a_refused_body_is_received_or_the_client_is_told_that_the_connection_ends() {
    let f = Fixture::start().await;
    let nobody = Who::named("nobody");
    let refused = "POST /v1/key/encrypt/app-declared HTTP/1.1\r\nHost: x\r\n";
    // A rest within limits, though it comes late: the connection goes on.
    let mut connection = f.connect(&nobody).await.unwrap();
    let late = async |c: &mut crate::harness::Connection, head: &str, rest: &str| {
        c.write(head).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        c.send(rest.as_bytes(), "POST").await.unwrap()
    };
    let chunked = format!("{refused}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n");
    for _ in 0..2 {
        let answer = late(&mut connection, &chunked, "0\r\n\r\n").await;
        assert_eq!((answer.status, answer.header("connection")), (403, None));
    }
    // One that never comes, one that is too long, and one that waits to be asked for.
    let too_long = "A".repeat(2_000_000);
    for (headers, body) in [
        ("Content-Length: 10\r\n", "{}"),
        ("Content-Length: 2000000\r\n", too_long.as_str()),
        ("Content-Length: 2\r\nExpect: 100-continue\r\n", ""),
    ] {
        let mut connection = f.connect(&nobody).await.unwrap();
        let text = format!("{refused}{headers}\r\n{body}");
        let answer = connection.send(text.as_bytes(), "POST").await.unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (403, Some("close")),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_over_http2_too() {
    let f = Fixture::start().await;
    let mut sender = f.connect_http2(&Who::root()).await;
    let request = http::Request::head(format!("https://localhost:{}/v1/status", f.address.port()));
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["content-length"], "52");
    let body = http_body_util::BodyExt::collect(answer.into_body()).await;
    assert!(body.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn put_and_post_are_the_same_and_405_names_the_method() {
    let f = Fixture::start().await;
    let root = Who::root();
    for method in ["PUT", "POST"] {
        let path = format!("/v1/key/create/by-{method}");
        assert_eq!(f.request(&root, method, &path, "").await.status, 200);
    }
    let answer = f.request(&root, "DELETE", "/v1/key/create/x", "").await;
    assert_eq!(
        answer.error(),
        (405, "received method 'DELETE' expected 'PUT'".into())
    );
    assert_eq!(
        (answer.header("accept"), answer.header("allow")),
        (Some("PUT"), Some("PUT, POST"))
    );
}

#[tokio::test]
async fn bulk_decryption_follows_the_policy_of_decryption() {
    // The documentation's line, which matches no route.
    let f = Fixture::start_with(|text| {
        text.replace(
            "    - /v1/status\n",
            "    - /v1/status\n    - /v1/key/bulk/decrypt\n",
        )
    })
    .await;
    for key in ["app-a", "app-locked"] {
        f.post(&Who::app(), &format!("/v1/key/create/{key}"), "")
            .await;
    }
    let sealed = f
        .post(
            &Who::app(),
            "/v1/key/encrypt/app-a",
            "{\"plaintext\":\"YWI=\"}",
        )
        .await;
    let ciphertext = sealed.member("ciphertext");
    let entry = format!("{{\"ciphertext\":\"{ciphertext}\"}}");
    let body = format!("[{entry},{entry}]");
    let answer = f
        .post(&Who::app(), "/v1/key/bulk/decrypt/app-a", &body)
        .await;
    assert_eq!(
        answer.body,
        "[{\"plaintext\":\"YWI=\"},{\"plaintext\":\"YWI=\"}]\n"
    );
    let answer = f
        .post(&Who::app(), "/v1/key/bulk/decrypt/app-locked", &body)
        .await;
    assert_eq!(
        answer.status, 403,
        "what decryption is denied is denied in bulk"
    );
    let answer = f
        .post(&Who::root(), "/v1/key/bulk/decrypt/other", "[]")
        .await;
    assert_eq!(answer.error(), (404, "key does not exist".into()));
}

#[tokio::test]
async fn every_request_that_reached_authentication_is_audited() {
    let f = Fixture::start().await;
    f.post(&Who::app(), "/v1/key/create/app-a", "").await;
    f.post(&Who::named("nobody"), "/v1/key/create/app-a", "")
        .await;
    f.get(&Who::root(), "/v1/key/create/app-a").await;
    f.get(&Who::root(), "/nope").await;
    let records = f.records.audit.lock().unwrap().clone();
    let seen: Vec<_> = records
        .iter()
        .map(|r| (r.request.path.as_str(), r.status))
        .collect();
    assert_eq!(
        seen,
        [("/v1/key/create/app-a", 200), ("/v1/key/create/app-a", 403)]
    );
    assert!(
        records
            .iter()
            .all(|r| r.request.identity.is_some() && r.request.ip.is_some())
    );
    let metrics = f.get(&Who::named("auditor"), "/v1/metrics").await.body;
    for line in [
        "{code=\"403\"} 1",
        "{code=\"404\"} 1",
        "{code=\"405\"} 1",
        "kes_log_audit_events 2",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn a_path_of_any_length_makes_a_short_record() {
    let f = Fixture::start().await;
    // Three bytes each when decoded, so that no cut at a fixed byte is safe.
    let path = format!("/v1/key/create/{}", "%E2%82%AC".repeat(5_000));
    let answer = f.post(&Who::named("nobody"), &path, "").await;
    assert_eq!(answer.status, 403);
    let record = f.records.audit.lock().unwrap().last().cloned().unwrap();
    let shown = &record.request.path;
    assert!(
        shown.len() < 600 && shown.starts_with("/v1/key/create/€€"),
        "{shown}"
    );
    assert!(shown.ends_with("… (15015 bytes)"), "{shown}");
}

#[tokio::test]
async fn lesson_52_log_streams_send_their_headers_at_once_and_a_line_for_each_record() {
    let f = Fixture::start_with(|text| text.replace("  audit: on", "  audit: off")).await;
    let mut audit = f.connect(&Who::named("auditor")).await.unwrap();
    let head = audit
        .request("GET", "/v1/log/audit", &[], None)
        .await
        .unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/x-ndjson"));
    let own = audit.line().await.unwrap();
    assert!(own.contains("\"path\":\"/v1/log/audit\""), "{own}");
    f.post(&Who::named("nobody"), "/v1/key/create/app-a", "")
        .await;
    let line: serde_json::Value = serde_json::from_str(&audit.line().await.unwrap()).unwrap();
    assert_eq!(line["response"]["code"], 403);
    assert_eq!(line["request"]["ip"], "127.0.0.1");
    assert_eq!(line["request"]["path"], "/v1/key/create/app-a");
    assert!(
        f.records.audit.lock().unwrap().is_empty(),
        "the process log is off, the stream is not"
    );

    let mut errors = f.connect(&Who::named("auditor")).await.unwrap();
    errors
        .request("GET", "/v1/log/error", &[], None)
        .await
        .unwrap();
    std::fs::write(f.keys.join("broken"), "").unwrap();
    f.get(&Who::root(), "/v1/key/describe/broken").await;
    let line: serde_json::Value = serde_json::from_str(&errors.line().await.unwrap()).unwrap();
    let message = line["message"].as_str().unwrap();
    assert!(
        message.contains("level=ERROR") && message.contains("'broken'"),
        "{message}"
    );
    assert!(!message.contains('\n'));

    f.server
        .reload(f.server.config(), f.server.store())
        .await
        .unwrap();
    let rest = tokio::time::timeout(std::time::Duration::from_secs(5), errors.line()).await;
    assert!(
        !rest.unwrap().is_ok_and(|line| !line.is_empty()),
        "a reload ends the stream"
    );
}

#[tokio::test]
async fn an_admin_that_is_no_hash_is_nobody() {
    let admin = "2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3";
    let f = Fixture::start_with(|text| {
        text.replace(admin, "disabled")
            .replace("    - /v1/status\n", "    - /v1/identity/list/*\n")
    })
    .await;
    assert_eq!(f.get(&Who::root(), "/v1/status").await.status, 403);
    let listed = f.get(&Who::app(), "/v1/identity/list/").await;
    assert_eq!(
        listed.json()["identities"].as_array().unwrap().len(),
        2,
        "{listed:?}"
    );
}

#[tokio::test]
async fn paths_are_decoded_once_and_never_open_another_route() {
    let f = Fixture::start().await;
    assert_eq!(f.get(&Who::root(), "/v1/key%2Flist%2F").await.status, 200);
    assert_eq!(f.get(&Who::root(), "/%76%31/status").await.status, 200);
    assert_eq!(f.get(&Who::root(), "/v1/status%").await.status, 400);
    let answer = f
        .get(
            &Who::root(),
            "/v1/key/describe/app-declared%2F..%2F..%2F..%2Fstatus",
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, Some("/v1/status"))
    );
    // `%252F` is a percent sign in a name, not a slash.
    assert_eq!(
        f.get(&Who::root(), "/v1/key/describe/a%252Fb").await.status,
        400
    );
}
