//! HTTP/2 on threads that serve their own connections, where requests run in their connection's turn.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use strongroom_transport::{ClientAuth, Limits, Received, Tls, Workers, bind, serve_on, shutdown};
use tokio::task::JoinSet;

use crate::harness::{client, connect, issued};

/// More than the windows of a stream and of a connection, so that it goes in many turns.
const LARGE_BYTES: usize = 3 << 20;

/// `/slow/<ms>` waits, `/panic` does, everything sends its body back.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let body = Received(&mut body).collect().await.unwrap().to_bytes();
    if let Some(ms) = parts.uri.path().strip_prefix("/slow/") {
        tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
    }
    assert_ne!(parts.uri.path(), "/panic", "as asked");
    Ok(Response::new(Full::new(body)))
}

async fn connection(address: SocketAddr, trusted: &str) -> SendRequest<Full<Bytes>> {
    let mut config = client(trusted, None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect(address, &Arc::new(config)).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &SendRequest<Full<Bytes>>, path: &str, body: Bytes) -> hyper::Result<Bytes> {
    let request = Request::put(format!("https://localhost{path}")).body(Full::new(body));
    let answer = sender.clone().send_request(request.unwrap()).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn requests_that_wait_panic_or_are_large_run_beside_each_other_on_one_connection() {
    let issued = issued();
    let tls = Tls::new(&issued.identity().unwrap(), &ClientAuth::None).unwrap();
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, signal) = shutdown();
    let running = tokio::spawn(async move {
        let workers = Workers::start().unwrap();
        let limits = Limits::default();
        let service = |_: &_| service_fn(answer);
        serve_on(Some(&workers), listener, Some(tls), limits, service, signal).await;
    });
    let sender = connection(address, &issued.certificate).await;

    let large = Bytes::from(vec![7; LARGE_BYTES]);
    let small = Bytes::from_static(b"small");
    let slow = ask(&sender, "/slow/200", small.clone());
    let all = async {
        let mut many = JoinSet::new();
        for _ in 0..100 {
            let (sender, small) = (sender.clone(), small.clone());
            many.spawn(async move { ask(&sender, "/", small).await.unwrap() });
        }
        assert!(many.join_all().await.iter().all(|answer| *answer == small));
        assert!(ask(&sender, "/panic", small.clone()).await.is_err());
        assert_eq!(ask(&sender, "/", large.clone()).await.unwrap(), large);
        assert_eq!(ask(&sender, "/", Bytes::new()).await.unwrap(), Bytes::new());
    };
    let (slow, ()) = tokio::join!(slow, all);
    assert_eq!(slow.unwrap(), small);

    let end = async {
        // Answered, so the one that was sent before has arrived too.
        ask(&sender, "/", small.clone()).await.unwrap();
        shutdown.begin();
    };
    let (last, ()) = tokio::join!(ask(&sender, "/slow/300", small.clone()), end);
    assert_eq!(last.unwrap(), small, "a drain waits for it");
    running.await.unwrap();
}
