//! What clients of KES lean on, where upstream's own server fails them.

use std::time::Duration;

use crate::harness::{Fixture, Who};

/// As the client library pages: the pattern first, then whatever `continue_at` says, escaped.
async fn page_by_page(f: &Fixture, who: &Who, pattern: &str) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), pattern.to_owned());
    loop {
        let path = format!("/v1/key/list/{}", next.replace('*', "%2A"));
        let answer = f.get(who, &path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let found = page["names"].as_array().unwrap();
        assert!(!found.is_empty() && found.len() <= 1024);
        names.extend(found.iter().map(|name| name.as_str().unwrap().to_owned()));
        match page["continue_at"].as_str() {
            Some(token) if !token.is_empty() => next = token.to_owned(),
            _ => return names,
        }
    }
}

#[tokio::test]
async fn listings_of_several_pages_are_whole_with_a_star_and_without_under_a_policy_of_that_prefix()
{
    let f = Fixture::start_with(|text| text.replace("/v1/key/list/*", "/v1/key/list/app-*")).await;
    for i in 0..2_100 {
        std::fs::write(f.keys.join(format!("app-{i:04}")), "x").unwrap();
    }
    std::fs::write(f.keys.join("other"), "x").unwrap();
    let mut expected: Vec<String> = (0..2_100).map(|i| format!("app-{i:04}")).collect();
    expected.push("app-declared".to_owned());
    for pattern in ["app-*", "app-"] {
        assert_eq!(
            page_by_page(&f, &Who::app(), pattern).await,
            expected,
            "{pattern}"
        );
    }
    assert_eq!(page_by_page(&f, &Who::root(), "*").await.len(), 2_102);
    for beyond in ["*", "o*", "ap*", "app"] {
        let path = format!("/v1/key/list/{beyond}");
        assert_eq!(f.get(&Who::app(), &path).await.status, 403, "{beyond}");
    }
}

#[tokio::test]
async fn who_is_no_admin_can_describe_itself_in_the_flat_shape() {
    let f = Fixture::start().await;
    let me = f
        .get(&Who::app(), "/v1/identity/self/describe")
        .await
        .json();
    // Left out, which clients read as false.
    assert_ne!(me["admin"], true);
    assert_eq!(me["policy"], "app");
    assert!(me["allow"]["/v1/status"].is_object() && me["deny"].is_object());
    assert_eq!(me["identity"].as_str().map(str::len), Some(64));
    let nobody = Who::named("nobody");
    let unknown = f.get(&nobody, "/v1/identity/self/describe").await;
    assert_eq!(unknown.error(), (404, "identity does not exist".into()));
}

#[tokio::test]
async fn the_older_names_of_the_log_streams_stream_too() {
    let f = Fixture::start_with(|text| {
        text.replace("    - /v1/log/audit\n", "    - /v1/log/audit/trace\n")
    })
    .await;
    let auditor = Who::named("auditor");
    let mut stream = f.connect(&auditor).await.unwrap();
    let head = stream
        .request("GET", "/v1/log/audit/trace", &[], None)
        .await
        .unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, None));
    assert!(stream.line().await.unwrap().contains("/v1/log/audit/trace"));
    // Each is judged under its own path.
    assert_eq!(f.get(&auditor, "/v1/log/audit").await.status, 403);
    assert_eq!(f.get(&auditor, "/v1/log/error/trace").await.status, 403);
}

#[tokio::test]
async fn the_first_event_comes_at_once_over_http2() {
    let f = Fixture::start().await;
    let mut sender = f.connect_http2(&Who::named("auditor")).await;
    let uri = format!("https://localhost:{}/v1/log/audit", f.address.port());
    let request = http::Request::get(uri).body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let mut body = answer.into_body();
    let frame = http_body_util::BodyExt::frame(&mut body).await.unwrap();
    let line = frame.unwrap().into_data().unwrap();
    assert!(
        line.starts_with(b"{\"time\":") && line.ends_with(b"}\n"),
        "{line:?}"
    );
}

#[tokio::test]
async fn a_stream_ends_after_the_limit_that_the_configuration_gives_its_route() {
    let f =
        Fixture::start_with(|text| format!("{text}\napi:\n  /v1/log/error:\n    timeout: 100ms\n"))
            .await;
    let mut stream = f.connect(&Who::named("auditor")).await.unwrap();
    let head = stream
        .request("GET", "/v1/log/error", &[], None)
        .await
        .unwrap();
    assert_eq!(head.status, 200);
    let end = tokio::time::timeout(Duration::from_secs(30), stream.line()).await;
    assert_eq!(end.unwrap().unwrap(), "", "the last chunk");
}

#[tokio::test]
async fn routes_that_older_servers_had_are_not_implemented_whoever_asks() {
    let f = Fixture::start().await;
    for (method, path) in [
        ("POST", "/v1/policy/write/x"),
        ("POST", "/v1/policy/assign/x"),
        ("DELETE", "/v1/policy/delete/x"),
        ("POST", "/v1/identity/assign/p/x"),
        ("DELETE", "/v1/identity/forget/x"),
        ("DELETE", "/v1/identity/delete/x"),
        ("POST", "/v1/enclave/create/x"),
        ("GET", "/v1/secret/list/"),
        ("GET", "/v1/cluster/describe"),
    ] {
        let answer = f.request(&Who::named("nobody"), method, path, "").await;
        assert_eq!(answer.error(), (501, "not implemented".into()), "{path}");
    }
    // An enclave is named by clients of 2022 and 2023, and there is one only.
    let mut connection = f.connect(&Who::root()).await.unwrap();
    let path = "/v1/key/describe/app-declared?enclave=a";
    let answer = connection.request("GET", path, &[("Kes-Enclave", "b")], None);
    assert_eq!(answer.await.unwrap().status, 200);
}

#[tokio::test]
async fn metrics_come_in_the_format_that_was_asked_for() {
    let f = Fixture::start().await;
    let mut connection = f.connect(&Who::root()).await.unwrap();
    for encoding in ["delimited", "text", "compact-text"] {
        let kind = format!(
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding={encoding}"
        );
        let headers = [("Accept", kind.as_str())];
        let answer = connection.request("GET", "/v1/metrics", &headers, None);
        let answer = answer.await.unwrap();
        assert_eq!(answer.header("content-type"), Some(kind.as_str()));
        assert!(answer.body.contains("kes_system_up_time"));
    }
}
