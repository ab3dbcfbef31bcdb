//! Thales CipherTrust Manager, formerly Gemalto KeySecure: keys are secrets of the kind `seed`.
//!
//! Its tokens: <https://thalesdocs.com/ctp/cm/latest/admin/cm_admin/authentication/tokens/index.html>. Its REST
//! interface: <https://thalesdocs.com/ctp/cm/latest/admin/cm_admin/rest-api/index.html>, and the playground of each
//! appliance.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use strongroom_kes_api::KeyName;
use strongroom_keystore::config::{self, SecretText};
use strongroom_keystore::{StoreError, StoredValue};

use crate::failure::{Failure, Refusal};
use crate::rest::{Answer, Limits, Private, Request, Rest};
use crate::retry::repeated;
use crate::session::{Grant, Issuer, Session, Token};
use crate::store::{ApplianceStore, NAMES_MAX, Vendor, value};

/// As upstream KES asks.
const PAGE: usize = 200;
/// Listings that start over because entries moved meanwhile; what was found stays found.
const PASSES_MAX: u32 = 5;

/// A key store in a CipherTrust Manager.
pub type CipherTrustStore = ApplianceStore<CipherTrust>;

/// The calls of a CipherTrust Manager.
#[derive(Debug)]
pub struct CipherTrust {
    rest: Arc<Rest>,
    session: Arc<Session<Login>>,
}

#[derive(Debug)]
struct Login {
    rest: Arc<Rest>,
    refresh: SecretText,
    domain: Option<String>,
}

#[derive(Serialize)]
struct TokenRequest<'r> {
    grant_type: &'static str,
    refresh_token: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'r str>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    jwt: Private,
    /// Seconds.
    duration: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewSecret<'r> {
    data_type: &'static str,
    material: &'r str,
    name: &'r str,
}

#[derive(Deserialize)]
struct Created {
    name: String,
}

#[derive(Deserialize)]
struct Exported {
    material: Private,
}

#[derive(Deserialize)]
struct Listed {
    total: usize,
    #[serde(default)]
    resources: Option<Vec<Resource>>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: serde_json::Value,
    #[serde(rename = "codeDesc")]
    description: String,
    message: Option<String>,
}

fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(error) => {
            let code = format!("{} (code {})", error.description, error.code);
            Refusal::new(status, Some(&code), error.message.as_deref())
        }
        Err(_) => Refusal::new(status, None, None),
    }
}

impl ApplianceStore<CipherTrust> {
    /// A store as configured. Makes no network call.
    ///
    /// # Errors
    /// The address is none, or the authorities cannot be read.
    pub async fn open(config: config::CipherTrust) -> Result<Self, StoreError> {
        Self::open_with(config, Limits::NORMAL)
    }

    pub(crate) fn open_with(
        config: config::CipherTrust,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let rest = Arc::new(Rest::open(&config.endpoint, config.ca.as_deref(), limits)?);
        let session = Session::new(Login {
            rest: Arc::clone(&rest),
            refresh: config.token,
            domain: config.domain.filter(|domain| !domain.is_empty()),
        });
        Ok(Self::new(CipherTrust { rest, session }))
    }
}

impl Issuer for Login {
    async fn login(&self) -> Result<Grant, Failure> {
        let body = TokenRequest {
            grant_type: "refresh_token",
            refresh_token: self.refresh.expose(),
            domain: self.domain.as_deref(),
        };
        let request = Request::new(Method::POST, self.rest.url("/api/v1/auth/tokens"))
            .json(&body, self.refresh.expose().len())?
            .hiding(self.refresh.expose());
        let attempt = || self.rest.send(&request, read_refusal);
        let answer: TokenAnswer = repeated(&self.rest.limits, attempt).await?.json()?;
        Ok(Grant {
            token: Token::new(answer.jwt.into_text()),
            life: answer.duration.map(Duration::from_secs),
        })
    }

    /// A refresh token outlives the tokens it gives: renewing is the same call.
    async fn renew(&self, _: &Token) -> Result<Grant, Failure> {
        self.login().await
    }
}

impl CipherTrust {
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&NewSecret<'_>>,
    ) -> Result<Answer, Failure> {
        let call = |token: Arc<Token>| {
            let mut url = self.rest.url(path);
            url.query_pairs_mut().extend_pairs(query);
            let request = Request::new(method.clone(), url);
            async move {
                let mut request =
                    request.secret_header(AUTHORIZATION, "Bearer ", token.expose())?;
                if let Some(body) = body {
                    request = request
                        .json(body, body.material.len())?
                        .hiding(body.material);
                }
                self.rest.send(&request, read_refusal).await
            }
        };
        self.session.with_token(call).await
    }

    async fn page(&self, skip: usize, limit: usize) -> Result<Listed, Failure> {
        let (skip, limit) = (skip.to_string(), limit.to_string());
        let query = [("limit", limit.as_str()), ("skip", skip.as_str())];
        let attempt = || self.call(Method::GET, SECRETS, &query, None);
        repeated(&self.rest.limits, attempt).await?.json()
    }
}

const SECRETS: &str = "/api/v1/vault/secrets";

/// A missing secret is told in the vendor's form; a page of a proxy says nothing of secrets.
fn missing(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(refusal) if refusal.status == 404 && refusal.code.is_some() => {
            Failure::NotFound
        }
        other => other,
    }
}

impl Vendor for CipherTrust {
    const NAME: &'static str = "Thales CipherTrust";
    const CREDENTIALS: &'static str = "`credentials.token` and `credentials.domain`";

    fn rest(&self) -> &Rest {
        &self.rest
    }

    async fn reach(&self) -> Result<(), Failure> {
        let request = Request::new(Method::GET, self.rest.url("/"));
        match self.rest.send(&request, read_refusal).await {
            // Whoever refuses is there.
            Err(Failure::Refused(refusal)) if refusal.status < 500 => Ok(()),
            end => end.map(drop),
        }
    }

    async fn prove(&self) -> Result<(), Failure> {
        // The login is all there is to prove: the user may be allowed to use secrets and not to list them.
        self.session.log_in_anew().await
    }

    async fn store(&self, name: &KeyName, value: &StoredValue) -> Result<(), Failure> {
        let body = NewSecret {
            data_type: "seed",
            material: value.expose(),
            name: name.as_str(),
        };
        match self.call(Method::POST, SECRETS, &[], Some(&body)).await {
            Ok(answer) => {
                let created: Created = answer.json()?;
                if created.name == name.as_str() {
                    Ok(())
                } else {
                    Err(Failure::Garbled("another secret was created".to_owned()))
                }
            }
            Err(Failure::Refused(refusal)) if refusal.status == 409 => Err(Failure::Exists),
            Err(other) => Err(other),
        }
    }

    async fn load(&self, name: &KeyName) -> Result<StoredValue, Failure> {
        let path = format!("{SECRETS}/{}/export", name.as_str());
        let answer = self
            .call(Method::POST, &path, &[("type", "name")], None)
            .await
            .map_err(missing)?;
        value(answer.json::<Exported>()?.material.into_text())
    }

    async fn remove(&self, name: &KeyName) -> Result<(), Failure> {
        let path = format!("{SECRETS}/{}", name.as_str());
        self.call(Method::DELETE, &path, &[("type", "name")], None)
            .await
            .map(drop)
            .map_err(missing)
    }

    /// Pages are cut by position, so an entry that is deleted meanwhile moves all behind it. Each page therefore
    /// starts with the last entry of the one before; where that is another now, the listing starts over and keeps
    /// what it has.
    async fn names(&self) -> Result<Vec<KeyName>, Failure> {
        let mut found = BTreeSet::new();
        for _ in 0..PASSES_MAX {
            let mut skip = 0;
            let mut last: Option<Resource> = None;
            loop {
                let page = self.page(skip, PAGE).await?;
                let mut resources = page.resources.unwrap_or_default();
                if let Some(last) = &last {
                    let is_same = resources
                        .first()
                        .is_some_and(|first| first.id == last.id && first.name == last.name);
                    if !is_same {
                        break;
                    }
                }
                let read = resources.len();
                let names = resources
                    .iter()
                    .filter_map(|r| KeyName::parse(&r.name).ok());
                found.extend(names);
                let is_stuck = read < 2 && skip > 0;
                if found.len() > NAMES_MAX || skip > NAMES_MAX {
                    return Err(Failure::Garbled("a listing without end".to_owned()));
                }
                if read == 0 || is_stuck || skip + read >= page.total {
                    return Ok(found.into_iter().collect());
                }
                skip += read - 1;
                last = resources.pop();
            }
        }
        Ok(found.into_iter().collect())
    }
}
