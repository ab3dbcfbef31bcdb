//! Who holds the key that the object key is sealed under.

use std::fmt;

/// A way of server-side encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// The client sends the key with each request.
    SseC,
    /// A key of the KMS that the client, or the bucket's setting, names.
    SseKms,
    /// The deployment's own key of the KMS.
    SseS3,
}

impl Scheme {
    /// The text that separates the schemes in the derivation of the sealing key. Upstream's, bit for bit.
    pub(crate) const fn domain(self) -> &'static str {
        match self {
            Self::SseC => "SSE-C",
            Self::SseKms => "SSE-KMS",
            Self::SseS3 => "SSE-S3",
        }
    }

    /// Whether the key comes from the KMS.
    #[must_use]
    pub const fn needs_kms(self) -> bool {
        !matches!(self, Self::SseC)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.domain())
    }
}
