//! The server side of TLS: 1.2 and 1.3, hybrid post-quantum key exchange first, HTTP/2 before HTTP/1.1.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::Identity;

/// What a listener asks of its clients.
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// Some certificate: self-signed, expired or of an unknown authority is welcome, but the client proves that it holds
    /// the private key. Who that is, and what it may do, is decided by the key alone.
    Any {
        /// Refuse clients that send none.
        required: bool,
    },
    /// A certificate of one of these authorities, valid now and meant for clients.
    Verified {
        /// The authorities.
        roots: ClientRoots,
        /// Refuse clients that send none.
        required: bool,
    },
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no authority to verify clients against.
    #[error("client certificates cannot be verified: no certificate authority is known")]
    NoAuthorities,
    /// The cryptography refused the settings.
    #[error("TLS settings are not usable")]
    Settings(#[source] rustls::Error),
    /// The list of authorities refused.
    #[error("client certificates cannot be verified")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// The TLS settings of a listener, exchangeable while it runs. New connections use the new ones; none is dropped.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>, Option<OnFailure>);

/// Told who failed a handshake, and why.
type OnFailure = Arc<dyn Fn(SocketAddr, &dyn Display) + Send + Sync>;

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Settings with one certificate, whatever name the client asks for.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities of `client_auth` are not usable.
    pub fn new(identity: &Identity, client_auth: &ClientAuth) -> Result<Self, TlsError> {
        let config = server_config(identity, client_auth)?;
        Ok(Self(Arc::new(ArcSwap::new(config)), None))
    }

    /// The same settings, whose failed handshakes are told to `on_failure` instead of this program's own log.
    #[must_use]
    pub fn telling(
        self,
        on_failure: impl Fn(SocketAddr, &dyn Display) + Send + Sync + 'static,
    ) -> Self {
        Self(self.0, Some(Arc::new(on_failure)))
    }

    pub(crate) fn failed(&self, address: SocketAddr, why: &dyn Display) {
        match &self.1 {
            Some(tell) => tell(address, why),
            None => tracing::info!(%address, error = %why, "TLS handshake failed"),
        }
    }

    /// Exchanges certificate and client authentication for all connections accepted from now on.
    ///
    /// # Errors
    /// As [`Tls::new`]; the old settings stay then.
    pub fn replace(&self, identity: &Identity, client_auth: &ClientAuth) -> Result<(), TlsError> {
        self.0.store(server_config(identity, client_auth)?);
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

/// The one provider of cryptography.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The authorities whose client certificates are accepted.
#[derive(Clone)]
pub struct ClientRoots(Arc<dyn ClientCertVerifier>, Arc<RootCertStore>);

impl std::fmt::Debug for ClientRoots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientRoots")
            .field("authorities", &self.1.len())
            .finish_non_exhaustive()
    }
}

/// The same authorities, in the same order.
impl PartialEq for ClientRoots {
    fn eq(&self, other: &Self) -> bool {
        self.1.roots == other.1.roots
    }
}

impl ClientRoots {
    /// The authorities of the machine, and these. Unreadable system ones are skipped: a machine may have none.
    ///
    /// # Errors
    /// [`TlsError`] when not one is usable.
    pub fn system_and(extra: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate authority of the system cannot be read");
        }
        let mut all = found.certs;
        all.extend(extra);
        Self::of(all)
    }

    /// These authorities alone.
    ///
    /// # Errors
    /// [`TlsError`] when not one is usable.
    pub fn of(authorities: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let (_, skipped) = roots.add_parsable_certificates(authorities);
        if skipped > 0 {
            tracing::warn!(skipped, "certificate authorities that cannot be used");
        }
        if roots.is_empty() {
            return Err(TlsError::NoAuthorities);
        }
        let roots = Arc::new(roots);
        let verifier = client_verifier(&roots, true)?;
        Ok(Self(verifier, roots))
    }

    /// Is this certificate valid now, meant for clients, and of one of the authorities? `chain` may hold those between.
    #[must_use]
    pub fn verify(&self, certificate: &[u8], chain: &[CertificateDer<'_>]) -> bool {
        let certificate = CertificateDer::from(certificate);
        self.0
            .verify_client_cert(&certificate, chain, UnixTime::now())
            .is_ok()
    }
}

fn client_verifier(
    roots: &Arc<RootCertStore>,
    required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    // Clients that choose a certificate by the names of authorities withhold self-signed ones: name none.
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .clear_root_hint_subjects();
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(TlsError::Verifier)
}

fn server_config(
    identity: &Identity,
    client_auth: &ClientAuth,
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier: Arc<dyn ClientCertVerifier> = match client_auth {
        ClientAuth::None => Arc::new(NoClientAuth),
        ClientAuth::Any { required } => Arc::new(AnyCertificate {
            required: *required,
            algorithms: provider().signature_verification_algorithms,
        }),
        ClientAuth::Verified { roots, required } => client_verifier(&roots.1, *required)?,
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Settings)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(OneCertificate(identity.certified())));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if !matches!(client_auth, ClientAuth::None) {
        // A resumed session would carry an identity past a change of authorities (CVE-2025-68121).
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Accepts every certificate whose private key the client has.
#[derive(Debug)]
struct AnyCertificate {
    required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

type VerifySignature = fn(
    &[u8],
    &CertificateDer<'_>,
    &DigitallySignedStruct,
    &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error>;

impl AnyCertificate {
    /// webpki does not read certificates of X.509 version 1, which `openssl x509 -req` makes without extensions and upstream
    /// KES accepts. Nothing in them matters here but the key, so it is taken out. In TLS 1.2 this leaves the schemes that TLS
    /// 1.3 has too, which every client offers.
    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
        usual: VerifySignature,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if ParsedCertificate::try_from(certificate).is_err()
            && let Ok((&[], parsed)) = X509Certificate::from_der(certificate)
        {
            let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
            return verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms);
        }
        usual(message, certificate, signature, &self.algorithms)
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, certificate, signature, verify_tls12_signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, certificate, signature, verify_tls13_signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
