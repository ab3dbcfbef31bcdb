//! Entrust KeyControl: keys are secrets of a box, in a vault of the kind PASM (formerly Secrets Vault).
//!
//! Every call is `POST /vault/1.0/<Call>/`, JSON both ways, with the token of a login in a header. Vaults, boxes, secrets
//! and their names:
//! <https://docs.hytrust.com/DataControl/5.4/Online/Content/Books/Secrets-Vault-Programmers-Reference/Secrets-Vault-Overview.html>.
//! What public documents leave open is read tolerantly: how an error is worded, what a listing calls its array, what the
//! answer to a creation or a deletion holds.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::header::HeaderName;
use reqwest::{Method, Url};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_kes_api::KeyName;
use strongroom_keystore::config::{self, SecretText};
use strongroom_keystore::{StoreError, StoredValue};

use crate::failure::{Failure, Refusal};
use crate::rest::{Answer, Limits, Private, Request, Rest};
use crate::retry::repeated;
use crate::session::{Grant, Issuer, Session, Token};
use crate::store::{ApplianceStore, NAMES_MAX, Vendor, base64_of, value_of_base64};

/// As upstream KES asks.
const PAGE: usize = 256;
/// Carries the token.
const AUTH: HeaderName = HeaderName::from_static("x-vault-auth");
/// Stands for the words of an answer that is a web page: KeyControl's own answers are none.
const WEB_PAGE: &str = "a web page, which is no answer of KeyControl";

/// A key store in an Entrust KeyControl.
pub type KeyControlStore = ApplianceStore<KeyControl>;

/// The calls of an Entrust KeyControl.
#[derive(Debug)]
pub struct KeyControl {
    rest: Arc<Rest>,
    session: Arc<Session<Login>>,
    box_id: String,
}

#[derive(Debug)]
struct Login {
    rest: Arc<Rest>,
    url: Url,
    username: String,
    password: SecretText,
}

#[derive(Serialize)]
struct Credentials<'r> {
    username: &'r str,
    password: &'r str,
}

/// A call that asks for nothing in particular.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct OfBox<'r> {
    box_id: &'r str,
}

#[derive(Serialize)]
struct NewSecret<'r> {
    box_id: &'r str,
    name: &'r str,
    secret_data: &'r str,
}

#[derive(Serialize)]
struct OfSecret<'r> {
    box_id: &'r str,
    /// The name will do.
    secret_id: &'r str,
}

#[derive(Serialize)]
struct OfPage<'r> {
    box_id: &'r str,
    max_items: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'r str>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Private,
    #[serde(default)]
    expires_at: Value,
}

#[derive(Deserialize)]
struct CheckedOut {
    secret_data: Private,
}

/// A secret of any kind. It is passed over, not kept.
#[derive(Deserialize)]
struct CheckedOutAnything {
    #[serde(rename = "secret_data")]
    _data: IgnoredAny,
}

/// The names of a page, and the token of the page behind it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    names: Vec<KeyName>,
    next: Option<String>,
}

impl ApplianceStore<KeyControl> {
    /// A store as configured. Makes no network call.
    ///
    /// # Errors
    /// The address or the vault is none, or the authorities cannot be read.
    pub async fn open(config: config::KeyControl) -> Result<Self, StoreError> {
        Self::open_with(config, Limits::NORMAL)
    }

    pub(crate) fn open_with(
        config: config::KeyControl,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let rest = Arc::new(Rest::open(&config.endpoint, config.ca.as_deref(), limits)?);
        let session = Session::new(Login {
            url: login_url(&rest, &config.vault_id)?,
            rest: Arc::clone(&rest),
            username: config.username,
            password: config.password,
        });
        Ok(Self::new(KeyControl {
            rest,
            session,
            box_id: config.box_id,
        }))
    }
}

/// Where one logs in to a vault. The ID is a step of the path, whatever characters it has.
fn login_url(rest: &Rest, vault_id: &str) -> Result<Url, StoreError> {
    let wrong = || {
        StoreError::other(format!(
            "'{vault_id}' is the ID of no vault; `vault_id` is shown in KeyControl's list of vaults"
        ))
    };
    // Two of these would be steps to elsewhere (RFC 3986 §5.2.4).
    if matches!(vault_id, "" | "." | "..") {
        return Err(wrong());
    }
    let mut url = rest.url("/vault/1.0/Login/");
    url.path_segments_mut()
        .map_err(|()| wrong())?
        .pop_if_empty()
        .push(vault_id)
        .push("");
    Ok(url)
}

impl Issuer for Login {
    async fn login(&self) -> Result<Grant, Failure> {
        let password = self.password.expose();
        let body = Credentials {
            username: &self.username,
            password,
        };
        let request = Request::new(Method::POST, self.url.clone())
            .json(&body, self.username.len() + password.len())?
            .hiding(password);
        let attempt = || self.rest.send(&request, read_refusal);
        granted(&repeated(&self.rest.limits, attempt).await?)
    }

    async fn renew(&self, token: &Token) -> Result<Grant, Failure> {
        let request = Request::new(Method::POST, self.rest.url("/vault/1.0/Renew/"))
            .secret_header(AUTH, "", token.expose())?
            .json(&Nothing {}, 0)?;
        // Once: the login that follows a failure is repeated.
        granted(&self.rest.send(&request, read_refusal).await?)
    }
}

fn granted(answer: &Answer) -> Result<Grant, Failure> {
    let granted: Granted = answer.json()?;
    if granted.access_token.expose().is_empty() {
        return Err(Failure::Garbled("an empty token".to_owned()));
    }
    Ok(Grant {
        life: life(&granted.expires_at, Timestamp::now()),
        token: Token::new(granted.access_token.into_text()),
    })
}

/// What is left of a token's life: its end is a time in RFC 3339, the same without a zone, or seconds since 1970. Nothing
/// where that cannot be read, or is over by our clock: one of the two clocks is wrong then, and the life is unknown.
fn life(expires_at: &Value, now: Timestamp) -> Option<Duration> {
    let end = match expires_at {
        Value::String(text) => instant(text)?,
        Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok()?,
        _ => return None,
    };
    let left = Duration::try_from(end.duration_since(now)).ok()?;
    (!left.is_zero()).then_some(left)
}

fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let utc: DateTime = text.parse().ok()?;
    Some(utc.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Finds the words of an error: text as it is, or in JSON under one of the usual names.
fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    let Ok(Value::Object(error)) = serde_json::from_slice(body) else {
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let text = if text.starts_with('<') {
            WEB_PAGE
        } else {
            text
        };
        return Refusal::new(status, None, Some(text));
    };
    let inner = error.get("error").and_then(Value::as_object);
    let error = inner.unwrap_or(&error);
    let first = |members: &[&str]| {
        members
            .iter()
            .find_map(|member| error.get(*member)?.as_str())
    };
    let code = first(&["code", "error_code"]);
    let message = first(&["message", "error", "error_message", "msg", "detail"]);
    Refusal::new(status, code, message)
}

/// Do the words of a refusal hold these?
fn says(refusal: &Refusal, words: &str) -> bool {
    let message = refusal.message.as_deref().unwrap_or_default();
    message.to_ascii_lowercase().contains(words)
}

/// Reads a page of a listing: whatever its array is called, its entries have names. Entries without one, or with one that
/// is no key's, are somebody else's.
fn listed(page: &Map<String, Value>) -> Result<Listed, Failure> {
    let next = page.get("next_token").and_then(Value::as_str);
    let mut lists = page
        .iter()
        .filter(|(member, _)| *member != "next_token")
        // An empty list is null to some encoders of JSON.
        .filter(|(_, list)| list.is_array() || list.is_null())
        .map(|(_, list)| list)
        .peekable();
    if lists.peek().is_none() {
        return Err(Failure::Garbled("a listing without a list".to_owned()));
    }
    let names = lists
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| KeyName::parse(entry.get("name")?.as_str()?).ok())
        .collect();
    Ok(Listed {
        names,
        next: next.filter(|token| !is_end(token)).map(str::to_owned),
    })
}

/// Does nothing follow? A token is sent back as it came, and its inside is KeyControl's own affair, but for this: it is
/// base64 of an object, and where the object's `next_ctx` is empty, asking for more would start over.
fn is_end(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Inside {
        next_ctx: Value,
    }
    let inside = STANDARD
        .decode(token)
        .ok()
        .and_then(|json| serde_json::from_slice::<Inside>(&json).ok());
    let is_empty = |context: &Value| context.is_null() || context.as_str() == Some("");
    token.is_empty() || inside.is_some_and(|inside| is_empty(&inside.next_ctx))
}

impl KeyControl {
    /// Makes a call with the token. `secret` is what the body has of one.
    async fn call<B: Serialize + Sync>(
        &self,
        name: &str,
        body: &B,
        secret: &str,
    ) -> Result<Answer, Failure> {
        let url = self.rest.url(&format!("/vault/1.0/{name}/"));
        let call = |token: Arc<Token>| {
            let request = Request::new(Method::POST, url.clone());
            async move {
                let request = request
                    .secret_header(AUTH, "", token.expose())?
                    .json(body, secret.len())?
                    .hiding(secret);
                self.rest.send(&request, read_refusal).await
            }
        };
        self.session.with_token(call).await
    }

    /// Sees that the box is there, and that KeyControl itself says so.
    async fn see_box(&self) -> Result<(), Failure> {
        let body = OfBox {
            box_id: &self.box_id,
        };
        let answer = self.call("GetBox", &body, "").await;
        let answer = answer.map_err(|failure| self.without_box(failure))?;
        answer.json::<Map<String, Value>>().map(drop)
    }

    /// Where nothing can be missing but the box, says that it is.
    fn without_box(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Refused(refusal)
                if refusal.status == 404
                    && refusal.message.as_ref().is_some_and(|m| m != WEB_PAGE) =>
            {
                Failure::Unusable(format!(
                    "box '{}' is not there, or not for this user ({refusal}); check `box_id` and the policies of the vault",
                    self.box_id
                ))
            }
            other => other,
        }
    }

    /// What a refused call on a secret means. Status 404 is also the answer of a proxy that lost the appliance, and of an
    /// appliance that lost the box. A secret is missing when KeyControl says so, or when it says nothing and shows the box.
    async fn of_secret(&self, failure: Failure) -> Failure {
        let refusal = match failure {
            Failure::Refused(refusal) if refusal.status == 404 => refusal,
            other => return other,
        };
        if says(&refusal, "secret not found") {
            return Failure::NotFound;
        }
        if refusal.message.as_deref() == Some(WEB_PAGE) {
            return Failure::Refused(refusal);
        }
        match self.see_box().await {
            Ok(()) => Failure::NotFound,
            Err(Failure::Refused(other)) if other.status == 404 => Failure::Refused(refusal),
            Err(other) => other,
        }
    }

    async fn page(&self, next_token: Option<&str>) -> Result<Listed, Failure> {
        let body = OfPage {
            box_id: &self.box_id,
            max_items: PAGE,
            next_token,
        };
        let attempt = || self.call("ListSecretIds", &body, "");
        let answer = repeated(&self.rest.limits, attempt).await;
        let answer = answer.map_err(|failure| self.without_box(failure))?;
        listed(&answer.json()?)
    }
}

impl Vendor for KeyControl {
    const NAME: &'static str = "Entrust KeyControl";
    const CREDENTIALS: &'static str =
        "`credentials.username`, `credentials.password` and `vault_id`";

    fn rest(&self) -> &Rest {
        &self.rest
    }

    async fn reach(&self) -> Result<(), Failure> {
        // KeyControl has no call for strangers: the box tells whether keys can be reached.
        self.see_box().await
    }

    async fn prove(&self) -> Result<(), Failure> {
        self.session.log_in_anew().await?;
        self.see_box().await
    }

    async fn store(&self, name: &KeyName, value: &StoredValue) -> Result<(), Failure> {
        let text = base64_of(value);
        let body = NewSecret {
            box_id: &self.box_id,
            name: name.as_str(),
            secret_data: &text,
        };
        match self.call("CreateSecret", &body, &text).await {
            // Any object will do. Whatever else comes may have been a success: the caller looks what lies there.
            Ok(answer) => answer.json::<Map<String, Value>>().map(drop),
            Err(Failure::Refused(refusal)) if refusal.status == 409 => {
                if says(&refusal, "already exists") {
                    return Err(Failure::Exists);
                }
                // Another conflict, or other words for it: the name tells which it is.
                match self.load(name).await {
                    Err(Failure::NotFound) => Err(Failure::Refused(refusal)),
                    Ok(_) | Err(Failure::Unusable(_)) => Err(Failure::Exists),
                    Err(other) => Err(other),
                }
            }
            Err(other) => Err(self.without_box(other)),
        }
    }

    async fn load(&self, name: &KeyName) -> Result<StoredValue, Failure> {
        let body = OfSecret {
            box_id: &self.box_id,
            secret_id: name.as_str(),
        };
        let answer = match self.call("CheckoutSecret", &body, "").await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.of_secret(failure).await),
        };
        match answer.json::<CheckedOut>() {
            Ok(secret) => value_of_base64(secret.secret_data.expose()),
            Err(_) if answer.json::<CheckedOutAnything>().is_ok() => Err(Failure::Unusable(
                "what lies there is no key: the secret is of another kind than text".to_owned(),
            )),
            Err(garbled) => Err(garbled),
        }
    }

    async fn remove(&self, name: &KeyName) -> Result<(), Failure> {
        let body = OfSecret {
            box_id: &self.box_id,
            secret_id: name.as_str(),
        };
        let answer = match self.call("DeleteSecret", &body, "").await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.of_secret(failure).await),
        };
        let Err(garbled) = answer.json::<Map<String, Value>>() else {
            return Ok(());
        };
        // A success in words that say nothing: it is one when nothing lies there any longer.
        match self.load(name).await {
            Err(Failure::NotFound) => Ok(()),
            _ => Err(garbled),
        }
    }

    /// Follows the tokens. One that comes back leads in a circle.
    async fn names(&self) -> Result<Vec<KeyName>, Failure> {
        let mut found = BTreeSet::new();
        let mut followed = HashSet::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.page(next.as_deref()).await?;
            found.extend(page.names);
            let Some(token) = page.next else {
                return Ok(found.into_iter().collect());
            };
            let is_endless = found.len() > NAMES_MAX || followed.len() > NAMES_MAX;
            if is_endless || !followed.insert(token.clone()) {
                return Err(Failure::Garbled("a listing without end".to_owned()));
            }
            next = Some(token);
        }
    }
}

#[cfg(test)]
mod tests;
