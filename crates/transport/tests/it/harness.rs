//! A listener in this process whose service answers with what it knows of its peer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use strongroom_transport::issue::{Issued, Subject, self_signed};
use strongroom_transport::{Limits, Peer, Shutdown, TellPeer, Tls, bind, serve, shutdown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: JoinHandle<()>,
}

pub(crate) async fn start(tls: Option<Tls>, limits: Limits) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, signal) = shutdown();
    let make_service = |peer: &Peer| TellPeer::new(service_fn(answer), peer);
    let running = tokio::spawn(serve(listener, tls, limits, make_service, signal));
    Server {
        address,
        shutdown,
        running,
    }
}

/// `/slow/<ms>` waits; everything tells the peer.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(ms) = request.uri().path().strip_prefix("/slow/") {
        tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await;
    }
    let peer = request.extensions().get::<Peer>().unwrap();
    let text = format!(
        "tls={} certificates={}",
        peer.is_tls(),
        peer.certificates().len()
    );
    Ok(Response::new(Full::new(text.into())))
}

pub(crate) fn issued() -> Issued {
    self_signed(&subject(SystemTime::now())).unwrap()
}

pub(crate) fn subject(now: SystemTime) -> Subject<'static> {
    let dns_names: &'static [String] = Box::leak(Box::new(["localhost".to_owned()]));
    let validity = Duration::from_secs(3600);
    Subject {
        common_name: "localhost",
        dns_names,
        addresses: &[],
        now,
        validity,
    }
}

/// A client that trusts these, and shows this certificate.
pub(crate) fn client(trusted: &str, shown: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let trusted = strongroom_transport::certificate::certificates(trusted.as_bytes()).unwrap();
    roots.add_parsable_certificates(trusted);
    let builder = ClientConfig::builder_with_provider(strongroom_transport::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let chain =
                strongroom_transport::certificate::certificates(shown.certificate.as_bytes());
            let key =
                strongroom_transport::certificate::private_key(shown.private_key.as_bytes(), None);
            builder
                .with_client_auth_cert(chain.unwrap(), key.unwrap())
                .unwrap()
        }
    }
}

pub(crate) async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config))
        .connect(name, stream)
        .await
}

/// Sends a GET and reads until the peer closes.
pub(crate) async fn get<S>(mut stream: S, path: &str) -> std::io::Result<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}
