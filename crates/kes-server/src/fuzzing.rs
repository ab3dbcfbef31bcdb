//! Parsers that are nobody else's business, for the fuzz targets, which stand outside of this crate.

use strongroom_keystore::StoredValue;
use zeroize::Zeroizing;

use crate::stored_key::Key;

/// Reads a stored key, and writes it again in the newest form.
#[must_use]
pub fn stored_key(text: &str) -> Option<Zeroizing<String>> {
    let value = StoredValue::new(Zeroizing::new(text.to_owned())).ok()?;
    Key::from_stored(&value).ok().map(|key| key.to_stored())
}
