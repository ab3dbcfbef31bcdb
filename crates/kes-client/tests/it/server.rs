//! A server that answers what the test says, over real TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use strongroom_kes_client::certificate::{Request as CertificateRequest, self_signed};
use strongroom_kes_client::{
    ApiKey, Credentials, Endpoint, Identity, KesClient, KesClientBuilder, Timeouts, Trust,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) const CLIENT_KEY: &str = "kes:v1:AAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
pub(crate) const SERVER_KEY: &str = "kes:v1:AGaV6VXHasF0FnaB60WdCOeTZ8eTIDikL4zlN16c8NAs";

/// What a request looked like.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) has_length: bool,
    pub(crate) caller: Option<Identity>,
    pub(crate) version: http::Version,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) after: Duration,
}

pub(crate) fn json(status: u16, body: &str) -> Reply {
    Reply {
        status,
        content_type: "application/json",
        body: body.as_bytes().to_vec(),
        after: Duration::ZERO,
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(
            certificate(&CertificateRequest {
                ip_addresses: vec!["127.0.0.1".parse().unwrap()],
                is_server: true,
                lifetime: Duration::from_secs(3600),
                ..Default::default()
            }),
            answer,
        )
        .await
    }

    pub(crate) async fn start_with(
        certificate: CertificateDer<'static>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_refusing(None, certificate, answer).await
    }

    /// Turns every client certificate down for this reason.
    pub(crate) async fn start_refusing(
        refusal: Option<rustls::CertificateError>,
        certificate: CertificateDer<'static>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls_config(certificate.clone(), refusal)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, log, answer) =
                    (acceptor.clone(), Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let caller = tls.get_ref().1.peer_certificates().map(|chain| {
                        strongroom_kes_api::identity::of_peer(chain)
                            .unwrap()
                            .identity
                    });
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                        async move {
                            let seen = see(request, caller).await;
                            let reply = answer(&seen);
                            log.lock().unwrap().push(seen);
                            tokio::time::sleep(reply.after).await;
                            Response::builder()
                                .status(reply.status)
                                .header("content-type", reply.content_type)
                                .body(Full::new(Bytes::from(reply.body)))
                        }
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(tls), service)
                        .await;
                });
            }
        });
        Self {
            address,
            certificate,
            seen,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.address.to_string()).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// A client of this server that trusts it.
    pub(crate) fn client(&self) -> KesClient {
        client_of(&[self]).build().unwrap()
    }
}

pub(crate) fn client_of(servers: &[&Server]) -> KesClientBuilder {
    KesClient::builder()
        .endpoints(servers.iter().map(|s| s.endpoint()))
        .credentials(Credentials::api_key(ApiKey::parse(CLIENT_KEY).unwrap()).unwrap())
        .trust(Trust::nobody().with_certificates(servers.iter().map(|s| s.certificate.clone())))
        .timeouts(Timeouts {
            connect: Duration::from_secs(5),
            one_try: Duration::from_secs(5),
        })
}

pub(crate) fn certificate(request: &CertificateRequest) -> CertificateDer<'static> {
    self_signed(
        &ApiKey::parse(SERVER_KEY).unwrap(),
        request,
        SystemTime::now(),
    )
    .unwrap()
}

async fn see(request: Request<Incoming>, caller: Option<Identity>) -> Seen {
    let (parts, body) = request.into_parts();
    Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        has_length: parts.headers.contains_key("content-length"),
        body: body.collect().await.unwrap().to_bytes(),
        caller,
        version: parts.version,
    }
}

fn tls_config(
    certificate: CertificateDer<'static>,
    refusal: Option<rustls::CertificateError>,
) -> ServerConfig {
    let key = ApiKey::parse(SERVER_KEY)
        .unwrap()
        .expose_pkcs8_der()
        .to_vec();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient {
            provider,
            refusal,
            hints: vec![DistinguishedName::from(vec![0x30, 0])],
        }))
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Takes every certificate unless it is to refuse them, and names a CA that no client has: a client that listened would send none.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<rustls::crypto::CryptoProvider>,
    refusal: Option<rustls::CertificateError>,
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match &self.refusal {
            Some(refusal) => Err(rustls::Error::InvalidCertificate(refusal.clone())),
            None => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
