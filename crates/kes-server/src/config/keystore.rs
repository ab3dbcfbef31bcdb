//! The `keystore` section: exactly one store, under its newest name or an older one.

use std::path::PathBuf;

use strongroom_keystore::KeystoreConfig;
use strongroom_keystore::config::SecretText;

use super::ConfigError;
use super::read::{Reader, Section};
use super::yaml::{Node, Place};

mod appliance;
mod cloud;
mod vault;

/// Sections that upstream knows, as paths below `keystore`.
const KINDS: [&[&str]; 11] = [
    &["fs"],
    &["vault"],
    &["aws", "secretsmanager"],
    // Called so from v0.5 to v0.7.
    &["aws", "secrets_manager"],
    &["gcp", "secretmanager"],
    &["azure", "keyvault"],
    &["gemalto", "keysecure"],
    &["fortanix", "sdkms"],
    &["entrust", "keycontrol"],
    &["kes"],
    &["generic"],
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
) -> Result<KeystoreConfig, ConfigError> {
    let place = section.place;
    let mut given: Vec<(String, &Node)> = Vec::new();
    for kind in KINDS {
        let Some(mut node) = section.peek(kind[0]) else {
            continue;
        };
        if let Some(part) = kind.get(1) {
            match reader.section(&section.path_of(kind[0]), node)?.peek(part) {
                Some(inner) => node = inner,
                None => continue,
            }
        }
        given.push((kind.join("."), node));
    }
    // What else stands beside a store is no setting.
    for kind in KINDS {
        let path = section.path_of(kind[0]);
        let Some((at, node)) = section.take(kind[0]) else {
            continue;
        };
        let Some(part) = kind.get(1) else { continue };
        let mut vendor = reader.section(&path, node)?;
        for other in KINDS.iter().filter(|k| k[0] == kind[0]) {
            other.get(1).map(|part| vendor.take(part));
        }
        reader.finish(vendor);
        if !given.iter().any(|(k, _)| k.starts_with(kind[0])) {
            reader.warn(at, format!("'{path}' names no '{part}' and has no effect"));
        }
    }
    reader.finish(section);
    match given.as_slice() {
        [] => Err(ConfigError::Invalid {
            message: "kesconf: no keystore specified".to_owned(),
            place,
        }),
        [(kind, node)] => read_one(reader, kind, node),
        [_, (_, node), ..] => Err(ConfigError::at(
            node.place,
            "kesconf: invalid keystore config: more than once keystore specified",
        )),
    }
}

fn read_one(
    reader: &mut Reader<'_>,
    kind: &str,
    node: &Node,
) -> Result<KeystoreConfig, ConfigError> {
    let refuse = |why: &str| ConfigError::at(node.place, format!("kesconf: {why}"));
    match kind {
        "kes" => {
            return Err(refuse(
                "keystore 'kes' kept keys as secrets of another KES server, which no server offers any more; name the \
                 store of that server here",
            ));
        }
        "generic" => {
            return Err(refuse(
                "keystore 'generic', the plug-in protocol of v0.14 to v0.21, is not supported; name the store behind \
                 the plug-in here, or move the keys into another one",
            ));
        }
        _ => {}
    }
    let vendor = kind.split('.').next().unwrap_or(kind);
    let section = reader.section(&format!("keystore.{kind}"), node)?;
    let mut store = Store {
        reader,
        section,
        vendor,
        place: node.place,
    };
    let config = match vendor {
        "fs" => KeystoreConfig::Fs {
            path: store.needs(&["path"])?.into(),
        },
        "vault" => vault::read(&mut store)?,
        "aws" => cloud::aws(&mut store)?,
        "gcp" => cloud::gcp(&mut store)?,
        "azure" => cloud::azure(&mut store)?,
        "gemalto" => appliance::ciphertrust(&mut store)?,
        "entrust" => appliance::keycontrol(&mut store)?,
        _ => appliance::sdkms(&mut store)?,
    };
    let Store {
        reader, section, ..
    } = store;
    reader.finish(section);
    Ok(config)
}

/// The section of one store, or a section in it, while it is read.
struct Store<'r, 'e, 'n> {
    reader: &'r mut Reader<'e>,
    section: Section<'n>,
    vendor: &'r str,
    place: Place,
}

impl<'n> Store<'_, '_, 'n> {
    fn invalid(&self, why: &str) -> ConfigError {
        let vendor = self.vendor;
        ConfigError::at(
            self.place,
            format!("kesconf: invalid {vendor} keystore: {why}"),
        )
    }

    /// A text that has to be there. The first name is the newest.
    fn needs(&mut self, names: &[&str]) -> Result<String, ConfigError> {
        match self.may(names)? {
            Some(text) => Ok(text),
            None => {
                let words = names[0].replace('_', " ");
                Err(self.invalid(&format!("no {words} specified")))
            }
        }
    }

    /// A text that may be missing or blank.
    fn may(&mut self, names: &[&str]) -> Result<Option<String>, ConfigError> {
        let text = self.reader.filled(&mut self.section, names)?;
        Ok(text.map(|t| t.text.trim().to_owned()))
    }

    fn may_or(&mut self, name: &str, default: &str) -> Result<String, ConfigError> {
        Ok(self.may(&[name])?.unwrap_or_else(|| default.to_owned()))
    }

    fn may_path(&mut self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.may(&[name])?.map(Into::into))
    }

    /// A password keeps its blanks.
    fn may_secret(&mut self, names: &[&str]) -> Result<Option<SecretText>, ConfigError> {
        let text = self.reader.filled(&mut self.section, names)?;
        Ok(text.map(|t| SecretText::new(t.text)))
    }

    fn needs_secret(&mut self, name: &str) -> Result<SecretText, ConfigError> {
        match self.may_secret(&[name])? {
            Some(secret) => Ok(secret),
            None => {
                let words = name.replace('_', " ");
                Err(self.invalid(&format!("no {words} specified")))
            }
        }
    }

    /// Reads a section below this one; a missing one is empty. What nobody takes of it is warned of.
    fn within<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Store<'_, '_, 'n>) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let section = self.reader.subsection(&mut self.section, name)?;
        let mut inner = Store {
            place: section.place.unwrap_or(self.place),
            reader: self.reader,
            section,
            vendor: self.vendor,
        };
        // Accepted for old files: how often is tried is decided by the time that is left.
        inner.section.take("retry");
        let outcome = read(&mut inner)?;
        let Store {
            reader, section, ..
        } = inner;
        reader.finish(section);
        Ok(outcome)
    }

    /// `tls.ca`, of the stores that have nothing else there.
    fn may_ca(&mut self) -> Result<Option<PathBuf>, ConfigError> {
        self.within("tls", |tls| tls.may_path("ca"))
    }
}
