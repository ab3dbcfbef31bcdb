//! An object's place, and its cleaned form that keys are bound to.

/// Bucket and raw key of an object.
///
/// Keys are bound to the *cleaned* path, as MinIO's are, where `a//b` and `a/b` are one. The envelope's commitment
/// binds the raw key, so the two are never confused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectPath<'p> {
    bucket: &'p str,
    key: &'p str,
}

impl<'p> ObjectPath<'p> {
    /// Names an object by bucket and raw key, both already checked by the protocol layer.
    #[must_use]
    pub const fn new(bucket: &'p str, key: &'p str) -> Self {
        Self { bucket, key }
    }

    /// The bucket.
    #[must_use]
    pub const fn bucket(&self) -> &'p str {
        self.bucket
    }

    /// The key as the client wrote it.
    #[must_use]
    pub const fn key(&self) -> &'p str {
        self.key
    }

    /// `bucket/key` without empty and `.` segments, with each `..` taking the segment before it, and without a slash
    /// at the end: the lexical rule of Go's `path.Join`, which MinIO's derivation follows.
    #[must_use]
    pub fn cleaned(&self) -> String {
        let mut kept: Vec<&str> = Vec::new();
        let rooted = self.bucket.starts_with('/');
        for segment in self.bucket.split('/').chain(self.key.split('/')) {
            match segment {
                "" | "." => {}
                ".." if kept.last().is_some_and(|last| *last != "..") => {
                    kept.pop();
                }
                ".." if rooted => {}
                segment => kept.push(segment),
            }
        }
        let joined = kept.join("/");
        match (rooted, joined.is_empty()) {
            (true, _) => format!("/{joined}"),
            (false, true) => ".".to_owned(),
            (false, false) => joined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ObjectPath;

    #[test]
    fn cleaning_follows_the_lexical_rule_that_minio_keys_are_bound_to() {
        for (bucket, key, cleaned) in [
            ("b", "o", "b/o"),
            ("b", "a//b", "b/a/b"),
            ("b", "/a", "b/a"),
            ("b", "a/b/", "b/a/b"),
            ("b", "./a/./b", "b/a/b"),
            ("b", "a/../c", "b/c"),
            ("b", "../../c", "../c"),
            ("b", "..", "."),
            ("b", "", "b"),
            ("b", "a b/\u{fc}..", "b/a b/\u{fc}.."),
        ] {
            assert_eq!(
                ObjectPath::new(bucket, key).cleaned(),
                cleaned,
                "{bucket} {key}"
            );
        }
    }
}
