//! Entrust KeyControl: keys are secrets in a box of a vault of the kind PASM.
//!
//! The vendor's own descriptions of these calls: <https://github.com/EntrustCorporation/pasmcli>, the page
//! "Secrets Vault Overview" of its documentation, and `/apidoc` of each appliance.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};
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
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-vault-auth");
const WITHOUT_REASON: &str = "without a reason";

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
    path: String,
    username: String,
    password: SecretText,
}

#[derive(Serialize)]
struct LoginRequest<'r> {
    username: &'r str,
    password: &'r str,
}

#[derive(Deserialize)]
struct LoginAnswer {
    access_token: Private,
    /// `2023-03-22T16:34:34.021762Z`
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct InBox<'r> {
    box_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'r str>,
}

#[derive(Serialize)]
struct NewSecret<'r> {
    box_id: &'r str,
    name: &'r str,
    secret_data: &'r str,
}

#[derive(Deserialize)]
struct CheckedOut {
    secret_data: Private,
}

#[derive(Serialize)]
struct ListRequest<'r> {
    box_id: &'r str,
    max_items: usize,
    /// As the page before gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'r str>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    let message = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
    // A refusal without any text is one of the appliance's own: it answers 404 so to what a user may not see.
    let code = (message.is_err() && body.is_empty()).then_some(WITHOUT_REASON);
    Refusal::new(status, code, message.ok().as_deref())
}

/// How long a token lives that ends at `expires_at`; none where the text or a clock makes no sense of it.
fn life(expires_at: Option<&str>, now: Timestamp) -> Option<Duration> {
    let end: Timestamp = expires_at?.parse().ok()?;
    Duration::try_from(end.duration_since(now))
        .ok()
        .filter(|life| !life.is_zero())
}

fn grant(answer: &Answer) -> Result<Grant, Failure> {
    let answer: LoginAnswer = answer.json()?;
    Ok(Grant {
        life: life(answer.expires_at.as_deref(), Timestamp::now()),
        token: Token::new(answer.access_token.into_text()),
    })
}

impl ApplianceStore<KeyControl> {
    /// A store as configured. Makes no network call.
    ///
    /// # Errors
    /// The address or an ID is none, or the authorities cannot be read.
    pub async fn open(config: config::KeyControl) -> Result<Self, StoreError> {
        Self::open_with(config, Limits::NORMAL)
    }

    pub(crate) fn open_with(
        config: config::KeyControl,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        // A vault's ID is a UUID and becomes a part of a path.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if config.vault_id.is_empty() || !config.vault_id.bytes().all(is_plain) {
            return Err(StoreError::other(
                "`vault_id` is no ID of a vault: it is the last part of the login URL that KeyControl shows for the vault",
            ));
        }
        if config.box_id.is_empty() {
            return Err(StoreError::other(
                "`box_id` is missing: name the box of the vault that the keys lie in",
            ));
        }
        let rest = Arc::new(Rest::open(&config.endpoint, config.ca.as_deref(), limits)?);
        let session = Session::new(Login {
            rest: Arc::clone(&rest),
            path: format!("/vault/1.0/Login/{}/", config.vault_id),
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

impl Issuer for Login {
    async fn login(&self) -> Result<Grant, Failure> {
        let body = LoginRequest {
            username: &self.username,
            password: self.password.expose(),
        };
        let request = Request::new(Method::POST, self.rest.url(&self.path))
            .json(&body, self.password.expose().len())?
            .hiding(self.password.expose());
        let attempt = || self.rest.send(&request, read_refusal);
        grant(&repeated(&self.rest.limits, attempt).await?)
    }

    async fn renew(&self, token: &Token) -> Result<Grant, Failure> {
        let request = Request::new(Method::POST, self.rest.url("/vault/1.0/Renew/"))
            .json(&serde_json::json!({}), 0)?
            .secret_header(TOKEN_HEADER, "", token.expose())?;
        let attempt = || self.rest.send(&request, read_refusal);
        grant(&repeated(&self.rest.limits, attempt).await?)
    }
}

impl KeyControl {
    async fn call(
        &self,
        call: &str,
        body: &(impl Serialize + Sync),
        secret: &str,
    ) -> Result<Answer, Failure> {
        let url = self.rest.url(&format!("/vault/1.0/{call}/"));
        let call = |token: Arc<Token>| {
            let request = Request::new(Method::POST, url.clone());
            async move {
                let request = request
                    .json(body, secret.len())?
                    .hiding(secret)
                    .secret_header(TOKEN_HEADER, "", token.expose())?;
                self.rest.send(&request, read_refusal).await
            }
        };
        self.session.with_token(call).await
    }

    /// An empty 404 is how the appliance answers for what a user may not see, and how proxies answer for a path that
    /// they do not know. It means that there is no such secret only where the box can be seen.
    async fn judged(&self, failure: Failure) -> Failure {
        match missing(failure) {
            Failure::Refused(Refusal {
                status: 404,
                code: Some(code),
                message: None,
            }) if code == WITHOUT_REASON => self.reach().await.err().unwrap_or(Failure::NotFound),
            other => other,
        }
    }

    fn secret<'r>(&'r self, name: &'r KeyName) -> InBox<'r> {
        InBox {
            box_id: &self.box_id,
            secret_id: Some(name.as_str()),
        }
    }
}

/// `Secret not found` is one of several things that 404 says here: a box or vault can be missing too.
fn missing(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(Refusal {
            status: 404,
            code,
            message,
        }) => {
            let is_secret = message
                .as_ref()
                .is_some_and(|text| text.to_ascii_lowercase().contains("secret"));
            if is_secret {
                Failure::NotFound
            } else {
                Failure::Refused(Refusal {
                    status: 404,
                    code,
                    message,
                })
            }
        }
        other => other,
    }
}

/// The names of a page. What the array is called is told by no public document: it is the one whose objects have names.
fn names_of(page: &serde_json::Map<String, serde_json::Value>) -> Vec<&str> {
    page.values()
        .filter_map(serde_json::Value::as_array)
        .flatten()
        .filter_map(|secret| secret.get("name")?.as_str())
        .collect()
}

impl Vendor for KeyControl {
    const NAME: &'static str = "Entrust KeyControl";
    const CREDENTIALS: &'static str = "`credentials.username` and `credentials.password`";

    fn rest(&self) -> &Rest {
        &self.rest
    }

    async fn reach(&self) -> Result<(), Failure> {
        let body = InBox {
            box_id: &self.box_id,
            secret_id: None,
        };
        match self.call("GetBox", &body, "").await {
            Ok(answer) => answer
                .json::<serde_json::Map<String, serde_json::Value>>()
                .map(drop),
            Err(Failure::Refused(refusal)) if refusal.status == 404 => {
                Err(Failure::Unusable(format!(
                    "there is no box '{}' that the user may use; check `box_id` and the vault's policies",
                    self.box_id
                )))
            }
            Err(other) => Err(other),
        }
    }

    async fn prove(&self) -> Result<(), Failure> {
        self.reach().await
    }

    async fn store(&self, name: &KeyName, value: &StoredValue) -> Result<(), Failure> {
        let text = base64_of(value);
        let body = NewSecret {
            box_id: &self.box_id,
            name: name.as_str(),
            secret_data: &text,
        };
        match self.call("CreateSecret", &body, &text).await {
            Ok(answer) => answer
                .json::<serde_json::Map<String, serde_json::Value>>()
                .map(drop),
            Err(Failure::Refused(refusal)) if refusal.status == 409 => Err(Failure::Exists),
            Err(other) => Err(other),
        }
    }

    async fn load(&self, name: &KeyName) -> Result<StoredValue, Failure> {
        let answer = match self.call("CheckoutSecret", &self.secret(name), "").await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.judged(failure).await),
        };
        value_of_base64(answer.json::<CheckedOut>()?.secret_data.expose())
    }

    async fn remove(&self, name: &KeyName) -> Result<(), Failure> {
        match self.call("DeleteSecret", &self.secret(name), "").await {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.judged(failure).await),
        }
    }

    async fn names(&self) -> Result<Vec<KeyName>, Failure> {
        let mut found = BTreeSet::new();
        let mut tokens: HashSet<String> = HashSet::new();
        let mut next: Option<String> = None;
        loop {
            let body = ListRequest {
                box_id: &self.box_id,
                max_items: PAGE,
                next_token: next.as_deref(),
            };
            let attempt = || self.call("ListSecretIds", &body, "");
            let answer = match repeated(&self.rest.limits, attempt).await {
                Ok(answer) => answer,
                // How an empty box answers. In the middle of a listing it would hide all that follows.
                Err(failure) if next.is_none() => match self.judged(failure).await {
                    Failure::NotFound => break,
                    failure => return Err(failure),
                },
                Err(failure) => return Err(failure),
            };
            let page: serde_json::Map<String, serde_json::Value> = answer.json()?;
            // Names of folders and of other users' secrets are no names of keys, and empty ones are none at all.
            let names = names_of(&page).into_iter();
            found.extend(names.filter_map(|name| KeyName::parse(name).ok()));
            next = page
                .get("next_token")
                .and_then(serde_json::Value::as_str)
                .filter(|token| !token.is_empty())
                .map(str::to_owned);
            let Some(token) = &next else { break };
            if !tokens.insert(token.clone()) || found.len() > NAMES_MAX {
                return Err(Failure::Garbled("a listing without end".to_owned()));
            }
        }
        Ok(found.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_token_is_what_is_left_of_it() {
        let now: Timestamp = "2023-03-22T16:04:34.021762Z".parse().unwrap();
        let at = |text| life(Some(text), now);
        let half_hour = Some(Duration::from_secs(30 * 60));
        assert_eq!(at("2023-03-22T16:34:34.021762Z"), half_hour);
        assert_eq!(at("2023-03-22T18:34:34.021762+02:00"), half_hour);
        // Ours or theirs is wrong: nothing is known.
        assert_eq!(at("2023-03-22T16:04:34.021762Z"), None);
        assert_eq!(at("2023-03-22T10:00:00Z"), None);
        assert_eq!(at("soon"), None);
        assert_eq!(life(None, now), None);
    }

    #[test]
    fn names_come_from_whatever_array_has_them() {
        let page = |json: &str| match serde_json::from_str(json) {
            Ok(serde_json::Value::Object(page)) => page,
            other => panic!("{other:?}"),
        };
        let one =
            page(r#"{"box_id":"b","next_token":"t","items":[{"name":"a","id":"1"},{"id":"2"}]}"#);
        assert_eq!(names_of(&one), ["a"]);
        assert!(names_of(&page(r#"{"items":null}"#)).is_empty());
    }
}
