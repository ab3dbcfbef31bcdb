//! Which servers the client believes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Which server certificates are accepted.
#[derive(Debug, Clone)]
pub struct Trust {
    is_insecure: bool,
    with_system_roots: bool,
    added: Vec<CertificateDer<'static>>,
}

/// A CA file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// There is nothing to trust.
    #[error("no trusted certificates: the system has none; name a CA file")]
    Nothing,
    /// The PEM text holds no certificate.
    #[error("{}: no certificate found", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The PEM text does not read.
    #[error("{}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is odd.
        source: rustls_pki_types::pem::Error,
    },
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The TLS library refused the trusted certificates.
    #[error("trusted certificates cannot be used: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl Trust {
    /// The roots of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    #[must_use]
    pub fn system() -> Self {
        Self {
            is_insecure: false,
            with_system_roots: true,
            added: Vec::new(),
        }
    }

    /// Only what is added.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            is_insecure: false,
            with_system_roots: false,
            added: Vec::new(),
        }
    }

    /// Everybody: for `-k`. Anybody on the way can read the data keys.
    #[must_use]
    pub fn dangerous_everybody() -> Self {
        Self {
            is_insecure: true,
            with_system_roots: false,
            added: Vec::new(),
        }
    }

    /// Adds certificates: CAs, or a server's own (self-signed or not), which is then accepted as it is.
    #[must_use]
    pub fn with_certificates(
        mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Self {
        self.added.extend(certificates);
        self
    }

    /// Adds the certificates of a PEM file, or of every regular file in a directory. Blocking.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn with_ca_path(self, path: &Path) -> Result<Self, TrustError> {
        let read_error = |path: &Path| {
            let path = path.to_owned();
            move |source| TrustError::Read { path, source }
        };
        let mut files = Vec::new();
        if fs::metadata(path).map_err(read_error(path))?.is_dir() {
            for entry in fs::read_dir(path).map_err(read_error(path))? {
                let file = entry.map_err(read_error(path))?.path();
                // Follows links: mounted secrets are directories of links.
                if fs::metadata(&file).map_err(read_error(&file))?.is_file() {
                    files.push(file);
                }
            }
        } else {
            files.push(path.to_owned());
        }
        let mut certificates = Vec::new();
        for file in files {
            let pem = fs::read(&file).map_err(read_error(&file))?;
            let before = certificates.len();
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                certificates.push(certificate.map_err(|source| TrustError::Pem {
                    path: file.clone(),
                    source,
                })?);
            }
            if certificates.len() == before {
                return Err(TrustError::NoCertificate { path: file });
            }
        }
        Ok(self.with_certificates(certificates))
    }

    pub(crate) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        let algorithms = provider.signature_verification_algorithms;
        if self.is_insecure {
            return Ok(Arc::new(Everybody { algorithms }));
        }
        let mut roots = RootCertStore::empty();
        if self.with_system_roots {
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::debug!(%error, "a system root certificate was skipped");
            }
            roots.add_parsable_certificates(system.certs);
        }
        roots.add_parsable_certificates(self.added.iter().cloned());
        if roots.is_empty() {
            return Err(TrustError::Nothing);
        }
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Arc::new(ChainsOrExact {
            chains,
            exact: self.added.clone(),
            algorithms,
        }))
    }
}

/// A chain to a root, as usual; or a certificate that the operator named itself.
///
/// The second is for servers with a self-signed certificate: as an end entity webpki refuses it (`CaUsedAsEndEntity` when
/// it has CA:TRUE, `UnknownIssuer` when it lacks it), while other TLS stacks take a root that is presented as leaf. The
/// match is of the whole certificate; name and validity are checked, and the handshake proves the private key.
#[derive(Debug)]
struct ChainsOrExact {
    chains: Arc<WebPkiServerVerifier>,
    exact: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ChainsOrExact {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.exact.iter().any(|known| known == end_entity) {
            return self.chains.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        verify_validity(end_entity, now)?;
        rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn verify_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now_s < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now_s > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// No check but that the server holds the key of whatever certificate it shows.
#[derive(Debug)]
struct Everybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Everybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
