//! Files that the server was started from, and whether they have changed.
//!
//! Their content is compared, every few seconds. That sees what notifications of the kernel miss: files on NFS, and the
//! links that Kubernetes swaps to publish a new Secret. A change counts when two looks in a row agree on it, so that a set
//! of files that is still being written is left alone.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use strongroom_kes_server::Config;
use strongroom_kes_server::config::CertificateSource;
use strongroom_keystore::KeystoreConfig;
use zeroize::Zeroizing;

/// How often files are looked at. Operators wait for a new certificate in seconds, and reading a few small files is cheap.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(3);
/// What did not work is quietly tried again after so many looks: perhaps it was a store that could not be reached.
const LOOKS_BEFORE_RETRY: u32 = 20;
/// No file that a server is started from is larger; what is beyond is not compared.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Files of a folder of authorities that are looked at.
const FOLDER_FILES_MAX: usize = 1024;

type Hash = [u8; 32];

/// What all watched files held at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The configuration file.
    config: Hash,
    /// Certificates and keys of the key store's connection.
    store: Hash,
    /// The server's certificate and key, and the authorities for clients.
    tls: Hash,
}

impl Look {
    /// This look, but for the configuration file, which was read after the earlier one.
    pub(super) fn with_config_of(self, earlier: Self) -> Self {
        Self {
            config: earlier.config,
            ..self
        }
    }
}

/// What a change asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Only certificates: the configuration and the store stay.
    Certificates,
    /// Everything.
    Configuration {
        /// The store's own files changed: it has to be opened again though its settings are the same.
        is_store_changed: bool,
    },
}

/// Which files to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    config: PathBuf,
    store: Vec<PathBuf>,
    tls: Vec<PathBuf>,
}

impl Files {
    /// The files of a configuration.
    pub(super) fn of(path: &Path, config: &Config) -> Self {
        let mut tls = Vec::new();
        if let CertificateSource::Files {
            private_key,
            certificate,
            ..
        } = &config.tls.certificate
        {
            tls.extend([private_key.clone(), certificate.clone()]);
        }
        tls.extend(config.tls.authorities.clone());
        let store = match &config.keystore {
            KeystoreConfig::Vault(vault) => {
                let tls = &vault.tls;
                [&tls.key, &tls.cert, &tls.ca].map(Clone::clone).to_vec()
            }
            KeystoreConfig::Azure(azure) => vec![azure.ca.clone()],
            KeystoreConfig::CipherTrust(store) => vec![store.ca.clone()],
            KeystoreConfig::KeyControl(store) => vec![store.ca.clone()],
            KeystoreConfig::Sdkms(store) => vec![store.ca.clone()],
            KeystoreConfig::Memory
            | KeystoreConfig::Fs { .. }
            | KeystoreConfig::Aws(_)
            | KeystoreConfig::Gcp(_) => Vec::new(),
        };
        Self {
            config: path.to_owned(),
            store: store.into_iter().flatten().collect(),
            tls,
        }
    }

    /// The configuration file alone, while nobody has read which others there are.
    pub(super) fn of_path(path: &Path) -> Self {
        Self {
            config: path.to_owned(),
            store: Vec::new(),
            tls: Vec::new(),
        }
    }

    /// Reads them all. Blocks.
    pub(super) fn look(&self) -> Look {
        Look {
            config: hash(std::slice::from_ref(&self.config)),
            store: hash(&self.store),
            tls: hash(&self.tls),
        }
    }
}

/// Remembers what is in use, what was refused, and what the last look saw.
#[derive(Debug)]
pub(super) struct Watch {
    in_use: Look,
    refused: Option<(Look, u32)>,
    last: Look,
}

impl Watch {
    pub(super) fn new(in_use: Look) -> Self {
        Self {
            in_use,
            refused: None,
            last: in_use,
        }
    }

    /// Is there something to do after this look?
    pub(super) fn see(&mut self, look: Look) -> Option<Change> {
        let is_steady = look == self.last;
        self.last = look;
        if !is_steady || look == self.in_use {
            return None;
        }
        if let Some((refused, looks)) = &mut self.refused
            && *refused == look
        {
            *looks += 1;
            if *looks % LOOKS_BEFORE_RETRY != 0 {
                return None;
            }
        }
        let is_store_changed = self.is_store_changed(look);
        if look.config == self.in_use.config && !is_store_changed {
            return Some(Change::Certificates);
        }
        Some(Change::Configuration { is_store_changed })
    }

    /// Do the store's own files differ from those in use?
    pub(super) fn is_store_changed(&self, look: Look) -> bool {
        look.store != self.in_use.store
    }

    /// What this look saw is in use now.
    pub(super) fn took(&mut self, look: Look) {
        *self = Self::new(look);
    }

    /// What was seen cannot be used. Tells whether that is new.
    pub(super) fn refuse(&mut self, look: Look) -> bool {
        if matches!(&self.refused, Some((refused, _)) if *refused == look) {
            return false;
        }
        self.refused = Some((look, 0));
        true
    }
}

fn hash(paths: &[PathBuf]) -> Hash {
    let mut context = Context::new(&SHA256);
    for path in paths {
        add(&mut context, path);
        let Ok(entries) = std::fs::read_dir(path) else {
            continue;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .take(FOLDER_FILES_MAX)
            .collect();
        files.sort_unstable();
        for file in files {
            add(&mut context, &file);
        }
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Adds name and content; a file that cannot be read is told from one that is empty.
fn add(context: &mut Context, path: &Path) {
    let name = path.as_os_str().as_bytes();
    context.update(&name.len().to_be_bytes());
    context.update(name);
    // A pipe in its place would be waited for.
    let is_file = std::fs::metadata(path).is_ok_and(|m| m.is_file());
    let content = is_file
        .then(|| std::fs::File::open(path).ok())
        .flatten()
        .and_then(|file| {
            let mut bytes =
                Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_BYTES_MAX).ok()?));
            file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        });
    match content {
        Some(content) => {
            context.update(&[1]);
            context.update(&content.len().to_be_bytes());
            context.update(&content);
        }
        None => context.update(&[0]),
    }
}

#[cfg(test)]
mod tests;
