//! What Key Vault sends and wants, in JSON.
//!
//! <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret>

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

/// One version of a secret, without its value.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) attributes: Attributes,
}

/// Times in seconds since 1970.
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) enabled: Option<bool>,
    #[serde(default)]
    pub(crate) created: i64,
    pub(crate) nbf: Option<i64>,
    pub(crate) exp: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct BundleWire {
    id: String,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    #[serde(default, deserialize_with = "wiped")]
    pub(crate) value: Option<Zeroizing<String>>,
    #[serde(rename = "recoveryId")]
    pub(crate) recovery_id: Option<String>,
}

fn wiped<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Zeroizing::new))
}

#[derive(Serialize)]
pub(crate) struct SetWire<'v> {
    pub(crate) value: &'v str,
}

#[derive(Deserialize)]
pub(crate) struct PageWire {
    #[serde(default)]
    pub(crate) value: Vec<BundleWire>,
    #[serde(rename = "nextLink")]
    pub(crate) next_link: Option<String>,
}

impl BundleWire {
    /// `https://vault/secrets/NAME/VERSION`: the name as it was created, and the version where there is one.
    pub(crate) fn name_and_version(&self) -> Option<(String, String)> {
        let url = Url::parse(&self.id).ok()?;
        let mut parts = url
            .path_segments()?
            .skip_while(|part| !part.ends_with("secrets"));
        let name = parts.nth(1)?.to_owned();
        Some((name, parts.next().unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_address_gives_its_name_and_version() {
        let read = |id: &str| {
            let wire = format!(r#"{{"id":"{id}"}}"#);
            serde_json::from_str::<BundleWire>(&wire)
                .unwrap()
                .name_and_version()
        };
        let both = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(
            read("https://v.vault.azure.net/secrets/Key/0a1b"),
            both("Key", "0a1b")
        );
        assert_eq!(
            read("https://v.vault.azure.net/secrets/Key"),
            both("Key", "")
        );
        assert_eq!(
            read("https://v.vault.azure.net/secrets/secrets/7"),
            both("secrets", "7")
        );
        assert_eq!(read("Key"), None);
    }
}
