//! The local store's files.

use strongroom_backend_fs::format::{verify, verify_parts};

/// Any bytes as a file, and, split in two, as the parts of one of each kind under good checksums.
pub fn read_file(data: &[u8]) {
    let _ = verify(data);
    if let Some((kind, rest)) = data.split_first() {
        let (head, tail) = rest.split_at(rest.len() / 2);
        let _ = verify_parts(*kind, head, tail);
    }
}
