//! The client: one request at a time on each connection, over HTTP/1.1 or HTTP/2, the same for all servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use http::header::{HOST, HeaderMap};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// Where a server listens, and how to speak TLS with it.
#[derive(Clone)]
pub struct Target {
    pub port: u16,
    pub tls: Arc<ClientConfig>,
}

/// One request, to be sent over and over.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub struct Connection {
    sender: Sender,
    authority: String,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub async fn open(target: &Target, protocol: Protocol) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port));
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut tls = ClientConfig::clone(&target.tls);
        tls.alpn_protocols = vec![match protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 => b"h2".to_vec(),
        }];
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(tls))
            .connect(name, stream)
            .await?;
        let io = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        let authority = format!("localhost:{}", target.port);
        Ok(Self { sender, authority })
    }

    /// Sends it and receives all of the answer, which must be a success.
    pub async fn call(&mut self, call: &Call) -> Result<Bytes> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        request.headers_mut().clone_from(&call.headers);
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                *request.uri_mut() = call.path.parse()?;
                request.headers_mut().insert(HOST, self.authority.parse()?);
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = Uri::builder()
                    .scheme("https")
                    .authority(self.authority.as_str())
                    .path_and_query(call.path.as_str())
                    .build()?;
                sender.ready().await?;
                sender.send_request(request).await
            }
        }?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "{} {} was answered with {status}: {}",
            call.method,
            call.path,
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    pub async fn json(&mut self, call: &Call) -> Result<serde_json::Value> {
        let body = self.call(call).await?;
        if body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&body).with_context(|| format!("the answer of {}", call.path))
    }
}
