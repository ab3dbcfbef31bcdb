//! The bare server: reads a body, answers `n` bytes to `/n`. The same HTTP and TLS libraries and settings as the key server,
//! one thread for each core that serves its own connections, and nothing else: no limits, no time-outs, no checks.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

static BYTES: [u8; 4096] = [b'x'; 4096];

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    certificate: PathBuf,
    #[arg(long)]
    key: PathBuf,
    /// The runtime of several threads that steal tasks from each other, as most programs have it.
    #[arg(long)]
    stealing: bool,
}

pub fn serve(arguments: &Arguments) -> Result<()> {
    let provider = strongroom_transport::tls::provider();
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&arguments.certificate)?],
            PrivateKeyDer::from_pem_file(&arguments.key)?,
        )?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.send_tls13_tickets = 0;
    let tls = TlsAcceptor::from(Arc::new(tls));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    if arguments.stealing {
        return tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(async {
                let listener = TcpListener::bind(address).await?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    tokio::spawn(connection(stream, tls.clone()));
                }
            });
    }
    let listener = std::net::TcpListener::bind(address)?;
    let cores = std::thread::available_parallelism()?.get();
    let workers: Vec<_> = (0..cores)
        .map(|_| {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            let tls = tls.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let Ok(runtime) = runtime else { return };
                runtime.block_on(async {
                    while let Some(stream) = receiver.recv().await {
                        if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                            tokio::spawn(connection(stream, tls.clone()));
                        }
                    }
                });
            });
            sender
        })
        .collect();
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        worker.send(stream).context("a worker has ended")?;
    }
    Ok(())
}

async fn connection(stream: tokio::net::TcpStream, tls: TlsAcceptor) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let _ = if is_http2 {
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service_fn(echo))
            .await
    } else {
        http1::Builder::new()
            .serve_connection(io, service_fn(echo))
            .await
    };
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let length = request.uri().path().trim_start_matches('/').parse();
    let length = length.unwrap_or(0).min(BYTES.len());
    let _ = request.into_body().collect().await;
    let mut answer = Response::new(Full::new(Bytes::from_static(&BYTES[..length])));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}
