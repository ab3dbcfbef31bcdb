//! Random bytes of the system, in the shapes that the parts ask for.

use std::sync::Arc;

use aws_lc_rs::rand;

/// Fills the buffer, or says in words that the system has no random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), String> {
    rand::fill(bytes).map_err(|_| "the system gives no random bytes".to_owned())
}

/// Sixteen bytes for names, which must never repeat.
pub(crate) fn sixteen() -> Arc<dyn Fn() -> [u8; 16] + Send + Sync> {
    Arc::new(|| {
        let mut bytes = [0; 16];
        if let Err(error) = fill(&mut bytes) {
            // A name that repeats would overwrite data, and nothing else can be done without randomness either.
            tracing::error!(error, "stopping at once");
            std::process::abort();
        }
        bytes
    })
}

/// Letters and digits that are told apart in any typeface, for credentials that people copy.
pub(crate) fn text(length: usize) -> anyhow::Result<String> {
    // 32 characters: five bits of a byte choose without bias.
    const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = vec![0; length];
    fill(&mut bytes).map_err(anyhow::Error::msg)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_have_the_length_asked_for_and_differ() {
        let (a, b) = (super::text(40).unwrap(), super::text(40).unwrap());
        assert_eq!((a.len(), b.len()), (40, 40));
        assert_ne!(a, b);
    }
}
