//! Files of `fixtures/`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read recordings and golden files"
)]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use strongroom_envelope::{MasterCipher, MasterKey};

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
}

pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

/// Names of the JSON files of a folder, sorted.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    names
}

/// Writes a golden file that is not there yet. One that is there is for ever.
pub(crate) fn write_new(name: &str, text: &str) {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).open(path(name)) {
        Ok(mut file) => file.write_all(text.as_bytes()).unwrap(),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{name}"),
    }
}

pub(crate) fn base64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A key as a key server of any age stored it: JSON, or base64 of a protobuf message whose first field holds the key
/// (field 1) and its type (field 2).
pub(crate) fn stored_key(name: &str) -> MasterKey {
    let text = text(name);
    let (bytes, cipher) = if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let cipher = match value["algorithm"].as_str().unwrap_or("") {
            "ChaCha20" | "XCHACHA20-POLY1305" => MasterCipher::ChaCha20,
            _ => MasterCipher::Aes256,
        };
        (base64(&value["bytes"]), cipher)
    } else {
        let message = STANDARD.decode(text.trim()).unwrap();
        assert_eq!(
            (&message[..4], message[36]),
            (&[0x0a, 0x24, 0x0a, 0x20][..], 0x10)
        );
        let cipher = if message[37] == 2 {
            MasterCipher::ChaCha20
        } else {
            MasterCipher::Aes256
        };
        (message[4..36].to_vec(), cipher)
    };
    MasterKey::try_from_slice(cipher, &bytes).unwrap()
}
