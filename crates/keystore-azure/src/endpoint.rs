//! Where a vault is, and what a token for it must be for.

use reqwest::Url;
use strongroom_keystore::StoreError;

/// `https://my-vault.vault.azure.net`, with or without the scheme.
pub(crate) fn endpoint(given: &str) -> Result<Url, StoreError> {
    let given = given.trim();
    let text = if given.contains("://") {
        given.to_owned()
    } else {
        format!("https://{given}")
    };
    let url = Url::parse(&text).ok().filter(|url| {
        let is_plain = url.username().is_empty() && url.password().is_none();
        url.has_host() && is_plain && url.query().is_none() && url.fragment().is_none()
    });
    match url {
        Some(url) if url.scheme() == "https" => Ok(url),
        Some(url) if url.scheme() == "http" => Err(StoreError::other(format!(
            "azure.keyvault.endpoint is '{given}' and must begin with https://: keys and tokens do not go over the \
             network unencrypted"
        ))),
        _ => Err(StoreError::other(format!(
            "azure.keyvault.endpoint is no address: '{given}' should look like https://my-vault.vault.azure.net"
        ))),
    }
}

/// `Bearer authorization="https://login…/TENANT", resource="https://vault.azure.net"`. The vault must lie under that
/// host: otherwise any server could ask for a token that opens something else
/// (<https://aka.ms/azsdk/blog/vault-uri>).
pub(crate) fn resource_of(challenge: &str, vault: &Url) -> Result<String, StoreError> {
    let named = |field: &str| {
        let (_, rest) = challenge.split_once(&format!("{field}=\""))?;
        Some(rest.split_once('"')?.0)
    };
    let resource = named("resource")
        .or_else(|| named("scope"))
        .unwrap_or_default();
    let resource = resource.trim_end_matches("/.default").trim_end_matches('/');
    let url = Url::parse(resource)
        .ok()
        .filter(|url| url.scheme() == "https");
    let theirs = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let ours = vault.host_str().unwrap_or_default();
    if !theirs.is_empty() && (ours == theirs || ours.ends_with(&format!(".{theirs}"))) {
        return Ok(resource.to_owned());
    }
    Err(StoreError::other(format!(
        "the server at {vault} asks for a token for '{resource}', which it does not belong to: it gets none; check \
         azure.keyvault.endpoint"
    )))
}

#[cfg(test)]
mod tests;
