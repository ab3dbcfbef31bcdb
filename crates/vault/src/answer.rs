//! What comes back.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

use crate::error::{Said, VaultError};

/// An answer of Vault: one of success, or "nothing there", which some calls have data in.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) path: String,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

/// What a 404 without errors has.
#[derive(Deserialize)]
struct Told {
    data: Option<IgnoredAny>,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

impl Answer {
    /// Sorts an answer by its status.
    pub(crate) fn checked(self, endpoint: &str) -> Result<Self, VaultError> {
        let errors = serde_json::from_slice::<Errors>(&self.body).ok();
        let is_vaults = errors.is_some();
        let said = Said::new(&errors.map(|e| e.errors).unwrap_or_default());
        let path = self.path.clone();
        match self.status {
            200..=299 => Ok(self),
            // A missing entry has an empty list of errors, or data about what was there. A missing engine has a sentence
            // ("no handler for route"), one of the other version a warning, and a page of a proxy is no JSON at all: none
            // of these means that a key is absent.
            404 if is_vaults && said == Said::default() => Ok(self),
            404 if !is_vaults
                && let Ok(Told { data, warnings }) = serde_json::from_slice(&self.body) =>
            {
                match (data, warnings) {
                    (Some(IgnoredAny), _) => Ok(self),
                    (None, Some(warnings)) => {
                        let said = Said::new(&warnings);
                        Err(VaultError::Refused {
                            path,
                            status: 404,
                            said,
                        })
                    }
                    (None, None) => {
                        Err(self.garbage("status 404, and no list of errors".to_owned()))
                    }
                }
            }
            403 if is_vaults => Err(VaultError::Denied { path, said }),
            503 if said.contains("sealed") => Err(VaultError::Sealed {
                endpoint: endpoint.to_owned(),
            }),
            // A standby without its active node; eventual consistency not reached (412); a quota (429).
            500 if said.contains("not active") => Err(VaultError::Unreachable(format!(
                "Vault at {endpoint} has no active node ({said})"
            ))),
            412 | 429 if is_vaults => Err(VaultError::Unreachable(format!(
                "Vault at {endpoint} asks to try again later (status {}: {said})",
                self.status
            ))),
            502..=504 => Err(VaultError::Unreachable(format!(
                "{endpoint} answers with status {}: Vault, or what lies in front of it, is not ready",
                self.status
            ))),
            300..=399 => Err(self.garbage(format!(
                "status {}, a redirect that must not be followed",
                self.status
            ))),
            status if is_vaults => Err(VaultError::Refused { path, status, said }),
            status if status >= 500 => Err(VaultError::Unreachable(format!(
                "{endpoint} answers with status {status}, and not in Vault's form"
            ))),
            status => Err(self.garbage(format!("status {status}, and no list of errors"))),
        }
    }

    /// Is there nothing at the path?
    pub(crate) fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// The whole body.
    ///
    /// A parser's message can quote what it read, so it is not passed on.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, VaultError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "JSON of another shape",
                _ => "no JSON",
            };
            self.garbage(what.to_owned())
        })
    }

    /// What lies under `data`.
    pub(crate) fn data<T: DeserializeOwned>(&self) -> Result<T, VaultError> {
        self.parse::<Wrapped<T>>().map(|wrapped| wrapped.data)
    }

    /// Where success is all that counts: Vault says nothing then, or something in JSON. A page of whoever stands in
    /// between is no proof that anything was done.
    pub(crate) fn done(&self) -> Result<(), VaultError> {
        if self.body.trim_ascii().is_empty() {
            return Ok(());
        }
        self.parse::<IgnoredAny>().map(|_| ())
    }

    /// What lies under `data`, where there must be something.
    pub(crate) fn found<T: DeserializeOwned>(&self) -> Result<T, VaultError> {
        if self.is_missing() {
            return Err(VaultError::NotFound {
                path: self.path.clone(),
            });
        }
        self.data()
    }

    fn garbage(&self, what: String) -> VaultError {
        VaultError::Garbage {
            path: self.path.clone(),
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(status: u16, body: &str) -> Result<Answer, VaultError> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        let path = "kv/k".to_owned();
        Answer { status, path, body }.checked("https://v")
    }

    fn error(status: u16, body: &str) -> VaultError {
        sorted(status, body).err().unwrap()
    }

    #[test]
    fn only_vault_itself_can_say_that_a_key_is_missing() {
        assert!(sorted(404, r#"{"errors":[]}"#).unwrap().is_missing());
        let deleted = r#"{"data":{"data":null,"metadata":{}}}"#;
        assert!(sorted(404, deleted).unwrap().is_missing());
        let unmounted = r#"{"errors":["no handler for route \"kv/k\". route entry not found."]}"#;
        assert!(matches!(
            error(404, unmounted),
            VaultError::Refused { status: 404, .. }
        ));
        let other_version =
            r#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine"]}"#;
        assert!(error(404, other_version).to_string().contains("versioned"));
        assert!(matches!(
            error(404, "<html>404</html>"),
            VaultError::Garbage { .. }
        ));
        assert!(matches!(error(404, "{}"), VaultError::Garbage { .. }));
    }

    #[test]
    fn sealed_busy_and_broken_ways_are_told_apart_from_refusals() {
        let sealed = r#"{"errors":["Vault is sealed"]}"#;
        assert!(matches!(error(503, sealed), VaultError::Sealed { .. }));
        for (status, body) in [
            (502, "<html>"),
            (503, ""),
            (504, "late"),
            (429, r#"{"errors":["rate limit"]}"#),
            (500, "oops"),
            (
                500,
                r#"{"errors":["local node not active but active cluster node not found"]}"#,
            ),
        ] {
            assert!(
                matches!(error(status, body), VaultError::Unreachable(_)),
                "{status} {body}"
            );
        }
        let internal = r#"{"errors":["internal error"]}"#;
        assert!(matches!(
            error(500, internal),
            VaultError::Refused { status: 500, .. }
        ));
        let denied = r#"{"errors":["permission denied"]}"#;
        assert!(matches!(error(403, denied), VaultError::Denied { .. }));
        assert!(matches!(
            error(403, "<html>firewall"),
            VaultError::Garbage { .. }
        ));
        assert!(matches!(error(307, ""), VaultError::Garbage { .. }));
    }

    #[test]
    fn what_cannot_be_parsed_is_not_quoted() {
        let answer = sorted(200, r#"{"data":"hvs.SECRET"}"#).unwrap();
        let error = answer.data::<Vec<u8>>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
        assert!(matches!(error, VaultError::Garbage { .. }));
    }
}
