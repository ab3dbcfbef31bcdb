use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use strongroom_kes_client::{ConnectionError, Endpoint, Error, KeyName, Timeouts};

use crate::server::{Reply, Server, client_of, json};

const KEY: &str = r#"{"plaintext":"AAEC","ciphertext":"Y2lwaGVy"}"#;

fn name() -> KeyName {
    KeyName::parse("k").unwrap()
}

#[tokio::test]
async fn the_next_endpoint_gets_the_whole_body_and_the_failed_one_rests() {
    let broken =
        Server::start(|_| json(500, r#"{"message":"failed to generate encryption key"}"#)).await;
    let good = Server::start(|_| json(200, KEY)).await;
    let client = client_of(&[&broken, &good]).build().unwrap();
    for _ in 0..6 {
        client.generate_key(&name(), b"ctx").await.unwrap();
    }
    // The first endpoint is a loopback address, so it was asked first, once.
    assert_eq!(broken.seen().len(), 1);
    assert_eq!(good.seen().len(), 6);
    for seen in good.seen() {
        assert_eq!(seen.body.trim_ascii(), br#"{"context":"Y3R4"}"#);
    }
}

#[tokio::test]
async fn refusals_and_501_are_final_and_leave_the_endpoint_in_use() {
    for status in [400, 404, 501] {
        let first = Server::start(move |_| json(status, r#"{"message":"no"}"#)).await;
        let second = Server::start(|_| json(200, KEY)).await;
        let client = client_of(&[&first, &second]).build().unwrap();
        for _ in 0..2 {
            let error = client.generate_key(&name(), b"").await.unwrap_err();
            assert!(matches!(error, Error::Server { status: s, .. } if s == status));
        }
        assert_eq!(
            (first.seen().len(), second.seen().len()),
            (2, 0),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_503_is_tried_again_on_the_same_endpoint() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let server = Server::start(|_| match ASKED.fetch_add(1, Ordering::Relaxed) {
        0 => json(503, r#"{"message":"busy"}"#),
        _ => json(200, KEY),
    })
    .await;
    server.client().generate_key(&name(), b"ctx").await.unwrap();
    let bodies: Vec<_> = server.seen().into_iter().map(|s| s.body).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn when_all_endpoints_rest_all_are_asked_after_all() {
    let first = Server::start(|_| json(502, r#"{"message":"failed to read key"}"#)).await;
    let second = Server::start(|_| json(504, r#"{"message":"key store is not reachable"}"#)).await;
    let client = client_of(&[&first, &second]).build().unwrap();
    for asked in 1..=3 {
        let error = client.generate_key(&name(), b"").await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Server {
                    status: 502 | 504,
                    ..
                }
            ),
            "the last answer is reported"
        );
        assert_eq!((first.seen().len(), second.seen().len()), (asked, asked));
    }
}

#[tokio::test]
async fn a_silent_endpoint_times_out_and_the_next_one_answers() {
    let silent = Server::start(|_| Reply {
        after: Duration::from_secs(60),
        ..json(200, KEY)
    })
    .await;
    let good = Server::start(|_| json(200, KEY)).await;
    let timeouts = Timeouts {
        connect: Duration::from_secs(1),
        one_try: Duration::from_millis(300),
    };
    let client = client_of(&[&silent, &good])
        .timeouts(timeouts)
        .build()
        .unwrap();
    client.generate_key(&name(), b"").await.unwrap();
    client.generate_key(&name(), b"").await.unwrap();
    assert_eq!(
        silent.seen().len(),
        1,
        "a try that timed out is not repeated there"
    );

    let alone = client_of(&[&silent]).timeouts(timeouts).build().unwrap();
    let error = alone.generate_key(&name(), b"").await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        matches!(&error, Error::Connection { source, .. } if matches!(**source, ConnectionError::TimedOut { .. }))
    );
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_endpoint_in_use() {
    let slow = Server::start(|_| Reply {
        after: Duration::from_millis(400),
        ..json(200, KEY)
    })
    .await;
    let other = Server::start(|_| json(200, KEY)).await;
    let client = client_of(&[&slow, &other]).build().unwrap();
    let given_up = tokio::time::timeout(
        Duration::from_millis(150),
        client.generate_key(&name(), b""),
    )
    .await;
    assert!(given_up.is_err());
    client.generate_key(&name(), b"").await.unwrap();
    assert_eq!((slow.seen().len(), other.seen().len()), (2, 0));
}

#[tokio::test]
async fn a_closed_port_is_a_connection_error_that_names_the_endpoint() {
    let server = Server::start(|_| json(200, KEY)).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client_of(&[&server])
        .endpoints([Endpoint::parse(&closed.to_string()).unwrap()])
        .build()
        .unwrap();
    let text = client
        .generate_key(&name(), b"")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with(&format!(
            "kes: connection error: Post \"https://{closed}/v1/key/generate/k\": "
        )),
        "{text}"
    );
    assert!(text.to_lowercase().contains("connection refused"), "{text}");
}
