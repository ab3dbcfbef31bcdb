//! Secrets, one type per role, so that a mix-up does not compile.
//!
//! Each is zeroed when dropped, prints as its name alone, compares in constant time and shows its bytes only through
//! `expose`.

use std::fmt;

use zeroize::Zeroizing;

use crate::hmac::{equal, hmac};

/// A key of another length than 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key has {bytes} bytes, not 32")]
pub struct WrongKeyLength {
    /// What was given.
    pub bytes: usize,
}

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(Zeroizing<[u8; 32]>);

        impl $name {
            /// Takes the key's bytes. The caller's copy is the caller's to zero.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Zeroizing::new(bytes))
            }

            /// Takes the key's bytes from a slice.
            ///
            /// # Errors
            /// The slice has not exactly 32 bytes.
            pub fn try_from_slice(bytes: &[u8]) -> Result<Self, WrongKeyLength> {
                let mut key = Zeroizing::new([0; 32]);
                if bytes.len() != key.len() {
                    return Err(WrongKeyLength { bytes: bytes.len() });
                }
                key.copy_from_slice(bytes);
                Ok(Self(key))
            }

            /// The bytes of the key. Every call is worth a look in review.
            #[must_use]
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<Zeroizing<[u8; 32]>> for $name {
            fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
                Self(bytes)
            }
        }

        impl PartialEq for $name {
            /// Compares in constant time.
            fn eq(&self, other: &Self) -> bool {
                equal(self.expose(), other.expose())
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    )*};
}

secrets! {
    /// The key of an SSE-C request: 32 bytes that the client holds and sends with every call.
    ClientKey;
    /// A data key (DEK): 32 bytes that the KMS made, and sealed under an external key.
    DataKey;
    /// The key of an object's footer, `HMAC(OEK, "strongroom/v1/footer")`.
    ///
    /// It is kept, sealed, in the record of an upload: completing an SSE-C upload comes without the client's key.
    FooterKey;
    /// The HMAC key that lies beside a master key in a key server.
    HmacKey;
    /// The object key (OEK): all keys of an object's bytes come from it. Stored only sealed.
    ObjectKey;
    /// The key of one part, `HMAC(OEK, LE32(part number))`. A plain PUT is part 1.
    PartKey;
    /// The key of our own records, itself sealed by the KMS.
    StateKey;
}

impl HmacKey {
    /// `HMAC-SHA-256(key, message)`: the same for the same message, for ever.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        *hmac(self.expose(), &[message])
    }
}
