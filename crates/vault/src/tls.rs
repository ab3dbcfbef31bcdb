//! Own certificates of a connection to Vault.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Files of certificates. Nothing given: the system's authorities, and no client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Private key of the client certificate, PEM, not encrypted.
    pub key: Option<PathBuf>,
    /// Client certificate with its chain, PEM.
    pub cert: Option<PathBuf>,
    /// The only authorities to trust: a PEM file or a directory of them.
    pub ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads the files into the settings of a client.
    pub(crate) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, VaultError> {
        let builder = match &self.ca {
            None => builder,
            Some(path) => builder.tls_certs_only(authorities(path)?),
        };
        match (&self.key, &self.cert) {
            (None, None) => Ok(builder),
            (Some(key), Some(cert)) => Ok(builder.identity(identity(key, cert)?)),
            _ => Err(VaultError::Config(
                "a client certificate for Vault needs both tls.key and tls.cert".to_owned(),
            )),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> VaultError {
    VaultError::Config(format!("{} cannot be read: {error}", path.display()))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, VaultError> {
    let mut found = Vec::new();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| unreadable(path, &e))?;
        for entry in entries {
            let file = entry.map_err(|e| unreadable(path, &e))?.path();
            // Directories of authorities hold links and read-me files too: only certificates count.
            if file.is_file() {
                found.extend(certificates(&file)?);
            }
        }
    } else {
        found = certificates(path)?;
    }
    if found.is_empty() {
        return Err(VaultError::Config(format!(
            "{} has no certificate in it: tls.ca must name the authority that signed Vault's certificate, as PEM",
            path.display()
        )));
    }
    Ok(found)
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, VaultError> {
    let text = std::fs::read(file).map_err(|e| unreadable(file, &e))?;
    let broken = |what: String| {
        VaultError::Config(format!(
            "{} has a broken certificate in it: {what}",
            file.display()
        ))
    };
    CertificateDer::pem_slice_iter(&text)
        .map(|der| {
            let der = der.map_err(|e| broken(e.to_string()))?;
            Certificate::from_der(&der).map_err(|e| broken(e.to_string()))
        })
        .collect()
}

fn identity(key: &Path, cert: &Path) -> Result<Identity, VaultError> {
    let key_text = Zeroizing::new(std::fs::read(key).map_err(|e| unreadable(key, &e))?);
    let cert_text = std::fs::read(cert).map_err(|e| unreadable(cert, &e))?;
    if PrivateKeyDer::from_pem_slice(&key_text).is_err() {
        return Err(VaultError::Config(format!(
            "{} has no private key in it that can be used: it must be PEM and not encrypted",
            key.display()
        )));
    }
    let mut both = Zeroizing::new(Vec::with_capacity(cert_text.len() + key_text.len() + 1));
    both.extend_from_slice(&cert_text);
    both.push(b'\n');
    both.extend_from_slice(&key_text);
    Identity::from_pem(&both).map_err(|_| {
        VaultError::Config(format!(
            "{} is no certificate that can be used with the key {}",
            cert.display(),
            key.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(files: &TlsFiles) -> String {
        match files.apply(reqwest::Client::builder()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("accepted: {files:?}"),
        }
    }

    #[test]
    fn a_directory_of_authorities_may_hold_other_files_but_one_certificate_at_least() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("README"), "nothing here").unwrap();
        let files = TlsFiles {
            ca: Some(folder.path().to_path_buf()),
            ..TlsFiles::default()
        };
        assert!(refused(&files).contains("has no certificate in it"));
        let authority = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
        assert!(files.apply(reqwest::Client::builder()).is_ok());
    }

    #[test]
    fn a_missing_or_lonely_file_is_named() {
        let lonely = TlsFiles {
            cert: Some("/nowhere/a.crt".into()),
            ..TlsFiles::default()
        };
        assert!(refused(&lonely).contains("both tls.key and tls.cert"));
        let missing = TlsFiles {
            ca: Some("/nowhere/ca.crt".into()),
            ..TlsFiles::default()
        };
        assert!(refused(&missing).contains("/nowhere/ca.crt"));
    }

    #[test]
    fn an_encrypted_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["me".to_owned()]).unwrap();
        let (key, cert) = (folder.path().join("k"), folder.path().join("c"));
        std::fs::write(
            &key,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
        )
        .unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        let files = TlsFiles {
            key: Some(key.clone()),
            cert: Some(cert),
            ca: None,
        };
        assert!(refused(&files).contains("not encrypted"));
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        assert!(files.apply(reqwest::Client::builder()).is_ok());
    }
}
