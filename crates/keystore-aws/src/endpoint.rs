//! Where Secrets Manager is, as a configuration says it.

use std::net::IpAddr;

use http::Uri;
use strongroom_keystore::StoreError;

/// An endpoint: with a scheme, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: String,
    is_clear: bool,
}

impl Endpoint {
    /// Upstream's samples have no scheme (`secretsmanager.us-east-2.amazonaws.com`), those of emulators do.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |why: &str| {
            StoreError::other(format!(
                "the endpoint of AWS Secrets Manager {why}; it looks like secretsmanager.us-east-1.amazonaws.com"
            ))
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(refuse("is missing"));
        }
        let mut url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        while url.ends_with('/') && !url.ends_with("://") {
            url.pop();
        }
        let uri: Uri = url.parse().map_err(|_| refuse("is no address"))?;
        let is_clear = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(refuse("has a scheme other than https and http")),
        };
        let host = uri.host().unwrap_or_default();
        let has_user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
        if host.is_empty() || has_user || uri.query().is_some() {
            return Err(refuse("is no address of a host"));
        }
        Ok(Self {
            is_clear: is_clear && !is_this_machine(host),
            url,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.url
    }

    /// Does it make keys travel over a network without encryption?
    pub(crate) fn is_clear(&self) -> bool {
        self.is_clear
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|a: IpAddr| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    fn url(text: &str) -> String {
        Endpoint::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn https_is_meant_where_no_scheme_is_given() {
        let aws = "https://secretsmanager.us-east-2.amazonaws.com";
        assert_eq!(url("secretsmanager.us-east-2.amazonaws.com"), aws);
        assert_eq!(
            url(" https://secretsmanager.us-east-2.amazonaws.com/ "),
            aws
        );
        assert_eq!(url("localhost:4566"), "https://localhost:4566");
        assert_eq!(url("http://127.0.0.1:5000"), "http://127.0.0.1:5000");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "  ",
            "ftp://host",
            "https://",
            "https://me:secret@host",
            "a b",
            "h?x",
        ] {
            let refused = Endpoint::parse(text).unwrap_err().in_full();
            assert!(refused.contains("it looks like"), "{refused}");
            assert!(!refused.contains("secret@"), "{refused}");
        }
    }

    #[test]
    fn plain_http_is_clear_unless_it_stays_here() {
        let is_clear = |text| Endpoint::parse(text).unwrap().is_clear();
        assert!(is_clear("http://secrets.example"));
        assert!(!is_clear("https://secrets.example"));
        assert!(!is_clear("http://localhost:5000"));
        assert!(!is_clear("http://127.0.0.1:5000"));
        assert!(!is_clear("http://[::1]:5000"));
    }
}
