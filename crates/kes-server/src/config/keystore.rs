//! The `keystore` section: exactly one store.

use strongroom_keystore::KeystoreConfig;

use super::ConfigError;
use super::read::{Reader, Section};

/// Sections that upstream knows, as paths below `keystore`.
const KINDS: [&[&str]; 10] = [
    &["fs"],
    &["vault"],
    &["aws", "secretsmanager"],
    &["aws", "secrets_manager"],
    &["gcp", "secretmanager"],
    &["azure", "keyvault"],
    &["gemalto", "keysecure"],
    &["fortanix", "sdkms"],
    &["entrust", "keycontrol"],
    &["kes"],
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
) -> Result<KeystoreConfig, ConfigError> {
    let mut given = Vec::new();
    for kind in KINDS {
        let mut node = section.peek(kind[0]);
        for part in &kind[1..] {
            let inner = node.map(|n| reader.section(kind[0], n)).transpose()?;
            node = inner.and_then(|s| s.peek(part));
        }
        if let Some(node) = node {
            given.push((kind.join("."), node));
        }
    }
    for kind in KINDS {
        section.take(kind[0]);
    }
    let place = section.place;
    reader.finish(section);
    match given.as_slice() {
        [] => Err(ConfigError::Invalid {
            message: "kesconf: no keystore specified".to_owned(),
            place,
        }),
        [(kind, node)] if kind == "fs" => {
            let mut section = reader.section("keystore.fs", node)?;
            let path = reader
                .text(&mut section, "path")?
                .filter(|p| !p.text.trim().is_empty());
            reader.finish(section);
            match path {
                Some(path) => Ok(KeystoreConfig::Fs {
                    path: path.text.into(),
                }),
                None => Err(ConfigError::at(
                    node.place,
                    "kesconf: invalid fs keystore: no path specified",
                )),
            }
        }
        [(kind, node)] => Err(ConfigError::at(
            node.place,
            format!("kesconf: keystore '{kind}' is not supported by this version of strongroom"),
        )),
        [_, (_, node), ..] => Err(ConfigError::at(
            node.place,
            "kesconf: invalid keystore config: more than once keystore specified",
        )),
    }
}
