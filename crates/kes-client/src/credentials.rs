//! Who the client is.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use strongroom_kes_api::{ApiKey, Identity, PeerError, identity};

use crate::certificate::{self, CLIENT_LIFETIME, CertificateError};

/// A private key and the certificate that shows it.
#[derive(Clone)]
pub struct Credentials {
    identity: Identity,
    source: Source,
}

#[derive(Clone)]
enum Source {
    ApiKey(Arc<ApiKey>),
    Certificate(Arc<CertifiedKey>),
}

/// Keys or certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The certificates name nobody.
    #[error("client certificate cannot be used: {0}")]
    Certificate(#[from] PeerError),
    /// The PEM text does not read.
    #[error("client certificate or key is no valid PEM: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// The private key is encrypted: decrypt it first.
    #[error("private key is encrypted")]
    EncryptedKey,
    /// No certificate could be made from the API key.
    #[error(transparent)]
    SelfSigned(#[from] CertificateError),
    /// The private key is of no known kind, or belongs to another certificate.
    #[error("private key cannot be used: {0}")]
    Key(#[from] rustls::Error),
}

impl Credentials {
    /// An API key: a fresh certificate is made from it, and again before it expires.
    ///
    /// # Errors
    /// [`CredentialsError`] when no certificate can be made from it.
    pub fn api_key(key: ApiKey) -> Result<Self, CredentialsError> {
        make_certified_key(&key, SystemTime::now())?;
        Ok(Self {
            identity: key.identity(),
            source: Source::ApiKey(Arc::new(key)),
        })
    }

    /// A certificate chain, leaf first, and its private key, both PEM. Other blocks are skipped.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn from_pem(certificates_pem: &[u8], key_pem: &[u8]) -> Result<Self, CredentialsError> {
        let chain =
            CertificateDer::pem_slice_iter(certificates_pem).collect::<Result<Vec<_>, _>>()?;
        if is_encrypted(key_pem) {
            return Err(CredentialsError::EncryptedKey);
        }
        Self::from_der(chain, &PrivateKeyDer::from_pem_slice(key_pem)?)
    }

    /// A certificate chain, leaf first, and its private key.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, CredentialsError> {
        let identity = identity::of_peer(&chain)?.identity;
        let certified = CertifiedKey::new(chain, any_supported_type(key)?);
        certified.keys_match()?;
        Ok(Self {
            identity,
            source: Source::Certificate(Arc::new(certified)),
        })
    }

    /// The identity that servers see.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        match &self.source {
            Source::ApiKey(key) => Arc::new(ApiKeyCertificate {
                key: Arc::clone(key),
                made: Mutex::new(None),
            }),
            Source::Certificate(certified) => Arc::new(FixedCertificate(Arc::clone(certified))),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.identity)
    }
}

/// RFC 1423 marks it in the headers, RFC 5958 in the label.
fn is_encrypted(key_pem: &[u8]) -> bool {
    let has = |needle: &[u8]| key_pem.windows(needle.len()).any(|w| w == needle);
    has(b"Proc-Type: 4,ENCRYPTED") || has(b"BEGIN ENCRYPTED PRIVATE KEY")
}

fn make_certified_key(
    key: &ApiKey,
    now: SystemTime,
) -> Result<Arc<CertifiedKey>, CredentialsError> {
    let request = certificate::Request {
        lifetime: CLIENT_LIFETIME,
        ..Default::default()
    };
    let certificate = certificate::self_signed(key, &request, now)?;
    let pkcs8 = key.expose_pkcs8_der();
    let signer: Arc<dyn SigningKey> = any_supported_type(&PrivateKeyDer::Pkcs8(
        PrivatePkcs8KeyDer::from(pkcs8.as_slice()),
    ))?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate], signer)))
}

/// Hands the certificate over whatever CA names the server hints at: upstream names its CAs as soon as one is
/// configured, and a client that listened would withhold a self-signed certificate.
#[derive(Debug)]
struct FixedCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for FixedCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The certificate of an API key, made anew when half its life is over: a client may run for years.
struct ApiKeyCertificate {
    key: Arc<ApiKey>,
    made: Mutex<Option<(SystemTime, Arc<CertifiedKey>)>>,
}

impl fmt::Debug for ApiKeyCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyCertificate({})", self.key.identity())
    }
}

impl ResolvesClientCert for ApiKeyCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let now = SystemTime::now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, certified)) = &*made
            && now
                .duration_since(*at)
                .is_ok_and(|age| age < CLIENT_LIFETIME / 2)
        {
            return Some(Arc::clone(certified));
        }
        // It worked when the credentials were made; should it fail now, the server will ask for a certificate in vain.
        let certified = make_certified_key(&self.key, now).ok()?;
        *made = Some((now, Arc::clone(&certified)));
        Some(certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
