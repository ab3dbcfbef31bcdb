//! How long and how many: the limits of a listener.

use std::time::{Duration, Instant};

use strongroom_transport::{ClientAuth, Limits, Tls, bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{client, connect, get, issued, start};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tight() -> Limits {
    Limits {
        handshake_timeout: ms(200),
        header_timeout: ms(200),
        idle_timeout: ms(600),
        ..Limits::default()
    }
}

/// Reads until the peer closes, and tells how long that took.
async fn closed_after(mut stream: TcpStream) -> (Vec<u8>, Duration) {
    let started = Instant::now();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
    let _ = read.await.expect("the connection is never closed");
    (rest, started.elapsed())
}

#[tokio::test]
async fn a_taken_port_is_told_with_what_to_do() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).await.unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("choose another"),
        "{error}"
    );
}

#[tokio::test]
async fn half_a_request_is_waited_for_only_so_long() {
    let server = start(None, tight()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    let (_, took) = closed_after(stream).await;
    assert!(
        took < ms(550),
        "the time of a head, not that of an idle connection: {took:?}"
    );
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_a_head_may_take() {
    let server = start(None, tight()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        tokio::time::sleep(ms(400)).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let bytes = stream.read(&mut answer).await.unwrap();
        assert!(answer[..bytes].starts_with(b"HTTP/1.1 200"));
    }
    let (rest, took) = closed_after(stream).await;
    assert!(rest.is_empty() && took > ms(450), "{took:?}");
}

#[tokio::test]
async fn a_request_may_take_longer_than_every_idle_limit() {
    let server = start(None, tight()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    assert!(
        get(stream, "/slow/1500")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_silent_handshake_is_cut() {
    let tls = Tls::new(&issued().identity().unwrap(), &ClientAuth::None).unwrap();
    let server = start(Some(tls), tight()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (rest, took) = closed_after(stream).await;
    assert!(rest.is_empty() && took < ms(2000), "{took:?}");
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let server = start(
        None,
        Limits {
            connections_max: 1,
            ..Limits::default()
        },
    )
    .await;
    let first = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(ms(100)).await;
    let second = TcpStream::connect(server.address).await.unwrap();
    let second = tokio::spawn(get(second, "/"));
    tokio::time::sleep(ms(200)).await;
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_drain_finishes_running_requests_and_accepts_no_new_ones() {
    let server = start(
        None,
        Limits {
            drain_grace: ms(5000),
            ..Limits::default()
        },
    )
    .await;
    let running = TcpStream::connect(server.address).await.unwrap();
    let running = tokio::spawn(get(running, "/slow/500"));
    let idle = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(ms(150)).await;
    server.shutdown.begin();
    let (_, took) = closed_after(idle).await;
    assert!(
        took < ms(300),
        "idle connections are closed at once: {took:?}"
    );
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(running.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    server.running.await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_though_a_request_does_not() {
    let server = start(
        None,
        Limits {
            drain_grace: ms(200),
            ..Limits::default()
        },
    )
    .await;
    let running = TcpStream::connect(server.address).await.unwrap();
    let running = tokio::spawn(get(running, "/slow/60000"));
    tokio::time::sleep(ms(100)).await;
    server.shutdown.begin();
    tokio::time::timeout(ms(2000), server.running)
        .await
        .expect("the drain hangs")
        .unwrap();
    assert!(running.await.unwrap().unwrap_or_default().is_empty());
}

#[tokio::test]
async fn lesson_47_the_answer_to_a_request_whose_body_was_not_read_arrives() {
    let server = start(None, Limits::default()).await;
    let body_bytes = 3 << 20;
    for _ in 0..10 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {body_bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The client sends all before it reads, as simple ones do.
        stream.write_all(&vec![0; body_bytes]).await.unwrap();
        stream.shutdown().await.unwrap();
        let (answer, _) = closed_after(stream).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[tokio::test]
async fn one_address_gets_its_share_of_the_places_and_no_more() {
    let limits = Limits {
        connections_per_address_max: 2,
        ..Limits::default()
    };
    let server = start(None, limits).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let second = TcpStream::connect(server.address).await.unwrap();
    let third = TcpStream::connect(server.address).await.unwrap();
    let (answer, _) = closed_after(third).await;
    assert!(answer.is_empty(), "closed without a word");
    // Those who came in time are served, and a place is free again when one of them goes.
    first
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut start = [0; 12];
    first.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    drop(second);
    let deadline = tokio::time::Instant::now() + ms(20_000);
    loop {
        assert!(tokio::time::Instant::now() < deadline, "no place came free");
        let mut again = TcpStream::connect(server.address).await.unwrap();
        let asked = again.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        if asked.is_ok() && again.read_exact(&mut start).await.is_ok() {
            break;
        }
        tokio::time::sleep(ms(20)).await;
    }
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, stream]);
    frame.extend(payload);
    frame
}

/// The beginning of a connection that grants its streams so many bytes, and one request for this path.
fn http2_request(path: &str, window: u32) -> Vec<u8> {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const END_STREAM_AND_HEADERS: u8 = 5;
    const INITIAL_WINDOW_SIZE: u8 = 4;
    let mut setting = vec![0, INITIAL_WINDOW_SIZE];
    setting.extend(window.to_be_bytes());
    // GET and https are in the static table, :path is its name 4 (RFC 7541, appendix A).
    let mut head = vec![0x82, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
    head.extend(path.as_bytes());
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    all.extend(frame(SETTINGS, 0, 0, &setting));
    all.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 1, &head));
    all
}

#[tokio::test]
async fn an_http2_client_that_takes_no_answer_is_cut_and_one_that_waits_for_it_is_not() {
    let issued = issued();
    let tls = Tls::new(&issued.identity().unwrap(), &ClientAuth::None).unwrap();
    let limits = Limits {
        write_stall_timeout: ms(400),
        idle_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let server = start(Some(tls), limits).await;
    let mut config = client(&issued.certificate, None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = std::sync::Arc::new(config);
    let is_answered = async |path: &str, window: u32| {
        let mut stream = connect(server.address, &config).await.unwrap();
        let request = http2_request(path, window);
        stream.write_all(&request).await.unwrap();
        let mut seen = Vec::new();
        let answer = async {
            while stream.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {
                if seen.windows(12).any(|w| w == b"certificates") {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(Duration::from_secs(30), answer).await
    };
    let kept = "an answer that nobody takes is kept for ever";
    assert!(!is_answered("/", 0).await.expect(kept), "no room for it");
    assert!(is_answered("/slow/1500", 65_535).await.unwrap());
}
