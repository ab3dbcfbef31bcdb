//! ETags of plain objects: S3's MD5s, or opaque ones where the operator gave that promise up for speed.

use std::fmt;

use strongroom_backend::complete::{Chosen, hex, multipart_etag};
use strongroom_backend::integrity::Digests;

use crate::options::Entropy;

/// Makes ETags.
#[derive(Clone)]
pub(crate) struct Etags {
    /// ETags are MD5s, as S3 promises.
    pub(crate) compat: bool,
    /// Where opaque ones come from.
    pub(crate) entropy: Entropy,
}

impl fmt::Debug for Etags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etags")
            .field("compat", &self.compat)
            .finish_non_exhaustive()
    }
}

impl Etags {
    /// Of an object or a part.
    pub(crate) fn of_body(&self, digests: &Digests) -> String {
        match digests.md5 {
            Some(md5) if self.compat => hex(&md5),
            _ => self.opaque(1),
        }
    }

    /// Of an object made of parts.
    pub(crate) fn of_parts(&self, chosen: &[Chosen<'_>]) -> String {
        let md5 = if self.compat {
            multipart_etag(chosen)
        } else {
            None
        };
        md5.unwrap_or_else(|| self.opaque(chosen.len()))
    }

    /// Clients take 32 bare hex digits for an MD5; the count at the end tells them not to.
    fn opaque(&self, parts: usize) -> String {
        format!("{}-{parts}", hex(&(self.entropy)()))
    }
}
