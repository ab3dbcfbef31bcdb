//! What a server shows of itself: a certificate chain and its private key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::pem::{self, PemError};
use crate::tls::provider;

/// A certificate chain with the private key of its first certificate; they are known to belong together.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}

/// Why a certificate or key cannot be used. The operator's files are at fault in every case.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read '{}'", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The PEM text is damaged or cannot be decrypted.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There is no `CERTIFICATE` block.
    #[error("no certificate found; a PEM block 'CERTIFICATE' is expected")]
    NoCertificate,
    /// There is no private key block.
    #[error("no private key found; a PEM block 'PRIVATE KEY' is expected")]
    NoPrivateKey,
    /// A certificate does not parse.
    #[error("certificate is no valid X.509 certificate")]
    Malformed,
    /// Clients could not check whom they talk to.
    #[error(
        "certificate has no DNS name and no IP address; clients need at least one subject alternative name"
    )]
    NoSubjectAltName,
    /// Certificate and key do not fit, or the key type is unknown.
    #[error("certificate and private key cannot be used together")]
    Unusable(#[source] rustls::Error),
    /// A file holds something that cannot be used.
    #[error("'{}' is not usable", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// A file for certificate authorities holds something else.
    #[error("'{}' holds something that is no certificate", path.display())]
    NotOnlyCertificates {
        /// Which file.
        path: PathBuf,
    },
}

impl Identity {
    /// Puts together a chain, leaf first, and a private key: PKCS#8, SEC1 or PKCS#1, perhaps encrypted (PKCS#8 or RFC 1423).
    /// Blocks of other kinds (`EC PARAMETERS`) are skipped.
    ///
    /// # Errors
    /// [`CertificateError`] when one is missing, damaged, or they do not belong together, or when the leaf names no host.
    pub fn from_pem(
        certificate: &[u8],
        private_key: &[u8],
        password: Option<&str>,
    ) -> Result<Self, CertificateError> {
        Self::of(
            server_chain(certificate)?,
            self::private_key(private_key, password)?,
        )
    }

    fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let certified =
            CertifiedKey::from_der(chain, key, &provider()).map_err(CertificateError::Unusable)?;
        Ok(Self(Arc::new(certified)))
    }

    /// [`Identity::from_pem`] of two files.
    ///
    /// # Errors
    /// As there with the name of the file, and when a file cannot be read.
    pub fn from_files(
        certificate: &Path,
        private_key: &Path,
        password: Option<&str>,
    ) -> Result<Self, CertificateError> {
        let chain = server_chain(&read(certificate)?).map_err(in_file(certificate))?;
        let key = self::private_key(&read(private_key)?, password).map_err(in_file(private_key))?;
        Self::of(chain, key).map_err(in_file(private_key))
    }

    /// The chain, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

fn in_file(path: &Path) -> impl FnOnce(CertificateError) -> CertificateError {
    let path = path.to_owned();
    |source| CertificateError::InFile {
        path,
        source: Box::new(source),
    }
}

/// A chain whose leaf names a host.
fn server_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = certificates(text)?;
    let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
    if names_a_host(leaf)? {
        Ok(chain)
    } else {
        Err(CertificateError::NoSubjectAltName)
    }
}

/// The certificates of a PEM text, in order; other blocks are skipped.
///
/// # Errors
/// [`CertificateError::Pem`] when the text is damaged.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let mut found = Vec::new();
    for block in pem::blocks(text)? {
        if block.label() == "CERTIFICATE" {
            found.push(CertificateDer::from(block.open(None)?.to_vec()));
        }
    }
    Ok(found)
}

/// The first private key of a PEM text; other blocks are skipped.
///
/// # Errors
/// [`CertificateError`] when there is none, or it is damaged or cannot be decrypted.
pub fn private_key(
    text: &[u8],
    password: Option<&str>,
) -> Result<PrivateKeyDer<'static>, CertificateError> {
    for block in pem::blocks(text)? {
        let label = block.label().to_owned();
        let Some(kind) = label.strip_suffix("PRIVATE KEY") else {
            continue;
        };
        let der = block.open(password)?.to_vec();
        return Ok(match kind.trim() {
            "EC" => PrivateSec1KeyDer::from(der).into(),
            "RSA" => PrivatePkcs1KeyDer::from(der).into(),
            _ => PrivatePkcs8KeyDer::from(der).into(),
        });
    }
    Err(CertificateError::NoPrivateKey)
}

/// The certificates of a file, or of every regular file of a folder, which must hold certificates only.
///
/// # Errors
/// [`CertificateError`] when a file cannot be read or holds something else.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| CertificateError::File { path, source }
    };
    if !std::fs::metadata(path).map_err(failed(path))?.is_dir() {
        return authorities_of_file(path);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed(path))? {
        let file = entry.map_err(failed(path))?.path();
        if std::fs::metadata(&file).map_err(failed(&file))?.is_file() {
            found.extend(authorities_of_file(&file)?);
        }
    }
    Ok(found)
}

fn authorities_of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let blocks = pem::blocks(&read(path)?).map_err(|e| in_file(path)(e.into()))?;
    if blocks.is_empty() || blocks.iter().any(|b| b.label() != "CERTIFICATE") {
        return Err(CertificateError::NotOnlyCertificates {
            path: path.to_owned(),
        });
    }
    let mut found = Vec::with_capacity(blocks.len());
    for block in blocks {
        found.push(CertificateDer::from(block.open(None)?.to_vec()));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(source) => Err(CertificateError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn names_a_host(leaf: &CertificateDer<'_>) -> Result<bool, CertificateError> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::Malformed)?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|_| CertificateError::Malformed)?;
    Ok(names.is_some_and(|extension| {
        let is_host =
            |n: &GeneralName<'_>| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
        extension.value.general_names.iter().any(is_host)
    }))
}
