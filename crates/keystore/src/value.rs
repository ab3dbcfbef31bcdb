//! What lies under a name.

use std::fmt;

use zeroize::Zeroizing;

/// Longest value. Real ones have some 300 bytes; the rest guards against files that are no keys at all.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// A stored text. It holds a master key: wiped on drop, never shown.
pub struct StoredValue(Zeroizing<String>);

/// The text is longer than [`VALUE_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored value has more than {VALUE_BYTES_MAX} bytes")]
pub struct ValueTooLong;

impl StoredValue {
    /// Takes a text over.
    ///
    /// # Errors
    /// [`ValueTooLong`] above [`VALUE_BYTES_MAX`] bytes.
    pub fn new(text: Zeroizing<String>) -> Result<Self, ValueTooLong> {
        if text.len() > VALUE_BYTES_MAX {
            Err(ValueTooLong)
        } else {
            Ok(Self(text))
        }
    }

    /// A second copy, wiped on drop too.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredValue({} bytes)", self.0.len())
    }
}
