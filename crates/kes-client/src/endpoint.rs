//! Where a server is.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

/// Port of a server that is named without scheme and port.
const DEFAULT_PORT: u16 = 7373;
/// Most endpoints that one list may expand to.
const ENDPOINTS_MAX: usize = 256;

/// One server: `https://host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    authority: Authority,
}

/// The text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The list is empty.
    #[error("no server endpoint")]
    Empty,
    /// Not `[https://]host[:port]`.
    #[error("invalid server endpoint '{given}': 'https://host:port' is expected")]
    Invalid {
        /// The refused text.
        given: String,
    },
    /// An ellipsis that does not read `{1...4}`, or a list of too many.
    #[error(
        "invalid ellipsis in server endpoint '{given}': '{{1...4}}' is expected, of at most {ENDPOINTS_MAX} servers in all"
    )]
    Ellipsis {
        /// The refused text.
        given: String,
    },
}

impl Endpoint {
    /// Reads one server. `http://` is taken for `https://`; without scheme and port the port is 7373, with a scheme the
    /// URL's own default of 443.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let invalid = || EndpointError::Invalid {
            given: text.to_owned(),
        };
        let trimmed = text.trim();
        let bare = trimmed
            .strip_prefix("http://")
            .or_else(|| trimmed.strip_prefix("https://"));
        let has_scheme = bare.is_some();
        let host = bare.unwrap_or(trimmed).trim_end_matches('/');
        let mut authority: Authority = host.parse().map_err(|_| invalid())?;
        let is_odd = authority.host().is_empty() || authority.as_str().contains('@');
        if is_odd || (authority.port().is_some() && authority.port_u16().is_none()) {
            return Err(invalid());
        }
        if authority.port().is_none() && !has_scheme {
            authority = format!("{authority}:{DEFAULT_PORT}")
                .parse()
                .map_err(|_| invalid())?;
        }
        Ok(Self { authority })
    }

    /// Reads a comma list; ranges like `kes-{1...3}` expand, as MinIO's settings have them.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, EndpointError> {
        let mut all = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            for one in expand(item)? {
                all.push(Self::parse(&one)?);
                if all.len() > ENDPOINTS_MAX {
                    return Err(EndpointError::Ellipsis {
                        given: text.to_owned(),
                    });
                }
            }
        }
        if all.is_empty() {
            Err(EndpointError::Empty)
        } else {
            Ok(all)
        }
    }

    /// `host:port` as given.
    #[must_use]
    pub fn host_and_port(&self) -> &str {
        self.authority.as_str()
    }

    /// Is it on this machine, by its name?
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.authority.host();
        let address = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback())
    }

    pub(crate) fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme("https")
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// Expands each `{from...to}`; leading zeros set the width.
fn expand(item: &str) -> Result<Vec<String>, EndpointError> {
    let refuse = || EndpointError::Ellipsis {
        given: item.to_owned(),
    };
    let Some((head, rest)) = item.split_once('{') else {
        return Ok(vec![item.to_owned()]);
    };
    let (range, tail) = rest.split_once('}').ok_or_else(refuse)?;
    let (from, to) = range.split_once("...").ok_or_else(refuse)?;
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !is_number(from) || !is_number(to) {
        return Err(refuse());
    }
    let width = if from.starts_with('0') && from.len() > 1 {
        from.len()
    } else {
        0
    };
    let (low, high): (u32, u32) = (
        from.parse().map_err(|_| refuse())?,
        to.parse().map_err(|_| refuse())?,
    );
    if low > high || (high - low) as usize >= ENDPOINTS_MAX {
        return Err(refuse());
    }
    let tails = expand(tail)?;
    if tails.len().saturating_mul((high - low) as usize + 1) > ENDPOINTS_MAX {
        return Err(refuse());
    }
    Ok((low..=high)
        .flat_map(|n| {
            tails
                .iter()
                .map(move |tail| format!("{head}{n:0width$}{tail}"))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        Endpoint::parse_list(text)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn endpoints_read_as_people_write_them() {
        assert_eq!(list("127.0.0.1:7373"), ["https://127.0.0.1:7373"]);
        assert_eq!(list("http://kes:7373/"), ["https://kes:7373"]);
        assert_eq!(list("https://kes.example.com"), ["https://kes.example.com"]);
        assert_eq!(list("kes"), ["https://kes:7373"]);
        assert_eq!(list("a:1, b:2,"), ["https://a:1", "https://b:2"]);
        assert_eq!(list("[::1]:7373"), ["https://[::1]:7373"]);
        assert_eq!(list("https://kes-{1...3}:7373").len(), 3);
        assert_eq!(
            list("k{08...10}"),
            ["https://k08:7373", "https://k09:7373", "https://k10:7373"]
        );
        assert_eq!(list("{1...2}-{1...2}").len(), 4);
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            " , ",
            "https://",
            "a b",
            "u@h:1",
            "h:99999",
            "h/p",
            "k{1..3}",
            "k{3...1}",
            "k{1...999}",
        ] {
            assert!(Endpoint::parse_list(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_known_by_name() {
        for (text, expected) in [
            ("localhost:1", true),
            ("127.0.0.9:1", true),
            ("[::1]:1", true),
            ("10.0.0.1:1", false),
            ("kes:1", false),
        ] {
            assert_eq!(
                Endpoint::parse(text).unwrap().is_loopback(),
                expected,
                "{text}"
            );
        }
    }
}
