//! Which servers are believed: those of a file or directory, and no others.

use std::fs;
use std::path::Path;

use reqwest::Certificate;
use strongroom_keystore::StoreError;

/// No list of authorities is longer; what is, is another file. The system's own have some 200 KiB.
const CA_BYTES_MAX: u64 = 4 << 20;

/// The certificates of a PEM file, or of all PEM files in a directory. Other files of a directory are passed over.
pub(crate) fn authorities(ca: &Path) -> Result<Vec<Certificate>, StoreError> {
    let shown = ca.display();
    let unreadable = |error| StoreError::failed(format!("cannot read `tls.ca` {shown}"), error);
    let mut found = Vec::new();
    if fs::metadata(ca).map_err(unreadable)?.is_dir() {
        for entry in fs::read_dir(ca).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // Follows links: directories of authorities are made of them.
            if fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= CA_BYTES_MAX) {
                found.extend(in_file(&path)?);
            }
        }
    } else {
        found = in_file(ca)?;
    }
    if found.is_empty() {
        return Err(StoreError::other(format!(
            "`tls.ca` {shown} holds no certificate: give a PEM file, or a directory of them"
        )));
    }
    Ok(found)
}

fn in_file(path: &Path) -> Result<Vec<Certificate>, StoreError> {
    let shown = path.display();
    let pem = fs::read(path)
        .map_err(|e| StoreError::failed(format!("cannot read certificates from {shown}"), e))?;
    Certificate::from_pem_bundle(&pem)
        .map_err(|e| StoreError::failed(format!("cannot read certificates from {shown}"), e))
}
