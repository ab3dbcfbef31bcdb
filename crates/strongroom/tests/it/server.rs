//! `strongroom server`, up and running.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::process::{ROOT, Running, STATIC_KEY, command, free_address};

fn start(dir: &tempfile::TempDir, variables: &[(&str, &str)]) -> (Running, SocketAddr) {
    let address = free_address();
    let data = dir.path().join("data");
    let args = [
        "server",
        data.to_str().unwrap(),
        "--address",
        &address.to_string(),
    ];
    (
        Running::start(command(&args, variables), "Without TLS"),
        address,
    )
}

/// Sends a request whole, then reads the answer to its end.
fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
        .write_all(request)
        .expect("the server stopped listening before the request was sent");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("the connection was cut before the answer came");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn health_is_told_to_everybody_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let (server, address) = start(&dir, &[&ROOT[..], &[STATIC_KEY]].concat());
    assert!(
        server.printed.contains(&format!("http://{address}")),
        "{}",
        server.printed
    );
    for path in ["live", "ready", "cluster", "cluster/read"] {
        let answer = exchange(
            address,
            format!("GET /minio/health/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    for path in [
        "/",
        "/bucket/key",
        "/minio/health/other",
        "/minio/admin/v3/info",
    ] {
        let answer = exchange(
            address,
            format!("GET {path} HTTP/1.1\r\nHost: my-bucket\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
        assert!(answer.contains("x-amz-request-id: "), "{path}: {answer}");
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn lesson_47_a_request_refused_before_its_body_was_read_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = start(&dir, &[&ROOT[..], &[STATIC_KEY]].concat());
    // More than the buffers of both ends hold: what is not received here is reset there.
    let body = vec![b'x'; 32 * 1024 * 1024];
    let head = format!(
        "PUT /bucket/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for _ in 0..4 {
        let answer = exchange(address, &[head.as_bytes(), &body].concat());
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    }
}

#[test]
fn a_client_that_waits_for_leave_is_refused_without_sending_its_body() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = start(&dir, &[&ROOT[..], &[STATIC_KEY]].concat());
    let answer = exchange(
        address,
        b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 403"),
        "no 100 Continue: {answer}"
    );
}

#[test]
fn a_form_that_does_not_tell_its_length_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = start(&dir, &[&ROOT[..], &[STATIC_KEY]].concat());
    let answer = exchange(
        address,
        b"POST /bucket HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 411"), "{answer}");
    assert!(
        answer.contains("<Code>MissingContentLength</Code>"),
        "{answer}"
    );
}

#[test]
fn a_start_without_kms_says_so_and_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let (server, address) = start(&dir, &ROOT);
    let answer = exchange(
        address,
        b"GET /minio/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.signal("HUP");
    let answer = exchange(
        address,
        b"GET /minio/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 200"),
        "a reload does not end it: {answer}"
    );
    let asked = Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "idle connections hold nothing up"
    );
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, _) = start(&dir, &[&ROOT[..], &[STATIC_KEY]].concat());
    let address = free_address().to_string();
    let data = dir.path().join("data");
    let args = ["server", data.to_str().unwrap(), "--address", &address];
    let (code, _, stderr) = crate::process::run(&args, &[&ROOT[..], &[STATIC_KEY]].concat());
    assert!(
        code == 1 && stderr.contains("in use by another server"),
        "{stderr}"
    );
}

#[test]
fn lesson_31_no_log_level_shows_a_customer_key_or_a_signature() {
    let dir = tempfile::tempdir().unwrap();
    let chatty = [
        (
            "STRONGROOM_LOG",
            "trace,s3s=trace,s3s_sigv2=trace,hyper=trace,h2=trace",
        ),
        STATIC_KEY,
    ];
    let (server, address) = start(&dir, &[&ROOT[..], &chatty].concat());
    let (key, signature) = (
        "Y3VzdG9tZXIta2V5LW1hcmtlci0zMi1ieXRlcy1sb25n",
        "c2lnbmF0dXJlLW1hcmtlcg==",
    );
    // Fresh, so that the signature is computed and found wrong.
    let date = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let requests = [
        format!(
            "PUT /bucket/key HTTP/1.1\r\nAuthorization: AWS admin:{signature}\r\nx-amz-date: {date}\r\n"
        ),
        format!(
            "GET /bucket/key?AWSAccessKeyId=admin&Expires=4102444800&Signature={signature} HTTP/1.1\r\n"
        ),
    ];
    for request in requests {
        let request = format!(
            "{request}Host: x\r\nConnection: close\r\nContent-Length: 0\r\n\
             x-amz-server-side-encryption-customer-algorithm: AES256\r\n\
             x-amz-server-side-encryption-customer-key: {key}\r\n\r\n"
        );
        let answer = exchange(address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    // The log's reader may be a line behind.
    let waited = Instant::now();
    while server.logged().matches("/bucket/key").count() < 2 && waited.elapsed().as_secs() < 10 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let logged = server.logged();
    assert_eq!(
        logged.matches("status=403").count(),
        2,
        "requests are logged: {logged}"
    );
    for secret in [key, signature, "correct horse", "eEm+JI9"] {
        assert!(!logged.contains(secret), "{secret} is in the log: {logged}");
    }
}
