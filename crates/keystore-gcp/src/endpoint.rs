//! Where Secret Manager is.

use std::fmt;

use reqwest::Url;
use strongroom_keystore::StoreError;

/// The public service.
const PUBLIC: &str = "https://secretmanager.googleapis.com";

/// A checked address: a scheme, a host, nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// With or without `https://`; upstream's status check stumbled over the latter.
    pub(crate) fn parse(given: Option<&str>) -> Result<Self, StoreError> {
        let given = given.map_or(PUBLIC, str::trim);
        let text = match given {
            "" => PUBLIC.to_owned(),
            given if given.contains("://") => given.to_owned(),
            given => format!("https://{given}"),
        };
        let wrong = || {
            StoreError::other(format!(
                "gcp.secretmanager.endpoint is no address: '{given}' should look like {PUBLIC}"
            ))
        };
        let url = Url::parse(&text).map_err(|_| wrong())?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !is_plain {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// An emulator: no credential of anybody goes there.
    pub(crate) fn is_clear_text(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_needs_no_scheme() {
        for (given, meant) in [
            (None, PUBLIC),
            (Some(""), PUBLIC),
            (Some("secretmanager.googleapis.com"), PUBLIC),
            (Some("https://secretmanager.googleapis.com/"), PUBLIC),
            (Some("http://127.0.0.1:9090"), "http://127.0.0.1:9090"),
        ] {
            assert_eq!(Endpoint::parse(given).unwrap().as_str(), meant, "{given:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for given in [
            "ftp://x",
            "https://",
            "https://user:secret@host",
            "https://host?x=1",
            "a b",
        ] {
            let error = Endpoint::parse(Some(given)).unwrap_err().to_string();
            assert!(error.contains("gcp.secretmanager.endpoint"), "{error}");
        }
    }
}
