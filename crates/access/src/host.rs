//! Which `Host` headers name a bucket.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// Why a configured domain is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It is no domain name.
    #[error("{0:?} is not a domain name: letters, digits, '-' and '.', without a port")]
    NotADomain(String),
    /// Two domains are the same, or one lies within the other: a name could mean two buckets.
    #[error("the domains {0:?} and {1:?} overlap")]
    Overlapping(String, String),
}

/// Takes a bucket from the `Host` header only under domains that are ours; every other host, whatever it looks
/// like, means a path-style request.
///
/// A server is reached under names that nobody told it: a proxy's, a container's, an address. None
/// of them may turn into a bucket.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    domains: Vec<String>,
}

impl Hosts {
    /// Path-style only.
    #[must_use]
    pub const fn path_style() -> Self {
        Self {
            domains: Vec::new(),
        }
    }

    /// `BUCKET.DOMAIN` for each of these domains, and path-style.
    ///
    /// # Errors
    /// A domain is not one, or two overlap.
    pub fn under<'a>(domains: impl IntoIterator<Item = &'a str>) -> Result<Self, HostError> {
        let mut known: Vec<String> = Vec::new();
        for domain in domains {
            let domain = domain.to_ascii_lowercase();
            let is_label = |label: &str| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            if domain.len() > 253 || !domain.split('.').all(is_label) {
                return Err(HostError::NotADomain(domain));
            }
            let clash = known.iter().find(|other| {
                **other == domain
                    || bucket_under(other, &domain).is_some()
                    || bucket_under(&domain, other).is_some()
            });
            if let Some(other) = clash {
                return Err(HostError::Overlapping(other.clone(), domain));
            }
            known.push(domain);
        }
        Ok(Self { domains: known })
    }
}

/// What stands before `.domain`, if anything does.
fn bucket_under<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    host.strip_suffix(domain)?
        .strip_suffix('.')
        .filter(|bucket| !bucket.is_empty())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = without_port(host).to_ascii_lowercase();
        for domain in &self.domains {
            if let Some(bucket) = bucket_under(&name, domain) {
                return Ok(VirtualHost::new(domain.as_str()).with_bucket(bucket.to_owned()));
            }
        }
        Ok(VirtualHost::new(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesson_44_a_foreign_host_is_never_a_bucket() {
        let foreign = [
            "localhost",
            "localhost:9000",
            "my-bucket",
            "my-bucket.com",
            "s3.example.org.evil.net",
            "xs3.example.org",
            "[::1]:9000",
            "10.0.0.1:9000",
            "...",
            "",
            "s3.example.org",
            ".s3.example.org",
        ];
        for hosts in [
            Hosts::path_style(),
            Hosts::under(["s3.example.org"]).unwrap(),
        ] {
            for host in foreign {
                assert_eq!(
                    hosts.parse_host_header(host).unwrap().bucket(),
                    None,
                    "{host:?}"
                );
            }
        }
    }

    #[test]
    fn a_bucket_is_read_under_a_domain_of_ours() {
        let hosts = Hosts::under(["s3.example.org", "s3.internal"]).unwrap();
        let cases = [
            ("photos.s3.example.org", "photos"),
            ("photos.s3.example.org:9000", "photos"),
            ("Photos.S3.Example.org", "photos"),
            ("a.b.s3.internal", "a.b"),
        ];
        for (host, bucket) in cases {
            let parsed = hosts.parse_host_header(host).unwrap();
            assert_eq!(parsed.bucket(), Some(bucket), "{host}");
        }
    }

    #[test]
    fn overlapping_and_malformed_domains_are_refused() {
        for bad in ["", "a..b", "-a.b", "a.b:9000", "a_b", "http://a.b"] {
            assert!(
                matches!(Hosts::under([bad]), Err(HostError::NotADomain(_))),
                "{bad:?}"
            );
        }
        for pair in [["a.b", "a.b"], ["a.b", "s3.a.b"], ["s3.a.b", "A.b"]] {
            assert!(
                matches!(Hosts::under(pair), Err(HostError::Overlapping(..))),
                "{pair:?}"
            );
        }
    }
}
