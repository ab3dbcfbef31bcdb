//! Fortanix SDKMS, today Data Security Manager: keys are security objects of the kind `OPAQUE`.
//!
//! Each request carries the application's API key, so there is no session to keep. The calls:
//! <https://support.fortanix.com/apidocs>, opaque objects:
//! <https://support.fortanix.com/docs/using-opaque-and-secret-objects>.

use std::collections::{BTreeSet, HashSet};

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use strongroom_kes_api::KeyName;
use strongroom_keystore::config::{self, SecretText};
use strongroom_keystore::{StoreError, StoredValue};

use crate::failure::{Failure, Refusal};
use crate::rest::{Answer, Limits, Private, Request, Rest};
use crate::retry::repeated;
use crate::store::{ApplianceStore, NAMES_MAX, Vendor, base64_of, value_of_base64};

/// As upstream KES asks; the service gives no more at once without being asked to.
const PAGE: usize = 100;

/// A key store in a Fortanix SDKMS.
pub type SdkmsStore = ApplianceStore<Sdkms>;

/// The calls of a Fortanix SDKMS.
#[derive(Debug)]
pub struct Sdkms {
    rest: Rest,
    key: SecretText,
    group_id: Option<String>,
}

#[derive(Serialize)]
struct Import<'r> {
    obj_type: &'static str,
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'r str>,
    key_ops: [&'static str; 2],
    value: &'r str,
    enabled: bool,
}

#[derive(Serialize)]
struct Named<'r> {
    name: &'r str,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    value: Option<Private>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct SessionAnswer {
    access_token: Private,
}

/// Errors are plain sentences here.
fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    let text = std::str::from_utf8(body).unwrap_or_default();
    // A page of a proxy says nothing that is worth repeating.
    let text = (!text.trim_start().starts_with('<')).then_some(text);
    Refusal::new(status, None, text)
}

impl ApplianceStore<Sdkms> {
    /// A store as configured. Makes no network call.
    ///
    /// # Errors
    /// The address is none, or the authorities cannot be read.
    pub async fn open(config: config::Sdkms) -> Result<Self, StoreError> {
        Self::open_with(config, Limits::NORMAL)
    }

    pub(crate) fn open_with(config: config::Sdkms, limits: Limits) -> Result<Self, StoreError> {
        let rest = Rest::open(&config.endpoint, config.ca.as_deref(), limits)?;
        Ok(Self::new(Sdkms {
            rest,
            key: config.key,
            group_id: config.group_id.filter(|group| !group.is_empty()),
        }))
    }
}

impl Sdkms {
    fn request(&self, method: Method, url: Url) -> Result<Request, Failure> {
        Request::new(method, url).secret_header(AUTHORIZATION, "Basic ", self.key.expose())
    }

    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        self.rest.send(&request, read_refusal).await
    }

    /// The object of a name with its value.
    async fn export(&self, name: &KeyName) -> Result<Object, Failure> {
        let body = Named {
            name: name.as_str(),
        };
        let request = self
            .request(Method::POST, self.rest.url("/crypto/v1/keys/export"))?
            .json(&body, 0)?;
        match self.send(request).await {
            Ok(answer) => answer.json(),
            // The service's own words: a proxy's 404 says nothing of objects.
            Err(Failure::Refused(refusal)) if refusal.status == 404 && says(&refusal, "exist") => {
                Err(Failure::NotFound)
            }
            Err(other) => Err(other),
        }
    }

    /// Objects in the order of their names: those above `start`, without the first `skip` of them.
    async fn page(&self, start: Option<&str>, skip: usize) -> Result<Vec<Object>, Failure> {
        let mut url = self.rest.url("/crypto/v1/keys");
        let limit = PAGE.to_string();
        url.query_pairs_mut()
            .append_pair("sort", "name:asc")
            .append_pair("limit", &limit);
        if let Some(start) = start {
            url.query_pairs_mut().append_pair("start", start);
        }
        if skip > 0 {
            let skip = skip.to_string();
            url.query_pairs_mut().append_pair("offset", &skip);
        }
        let request = self.request(Method::GET, url)?;
        let attempt = || self.rest.send(&request, read_refusal);
        repeated(&self.rest.limits, attempt).await?.json()
    }

    /// Can the key log in? Leaves no session behind.
    async fn log_in_and_out(&self) -> Result<(), Failure> {
        let request = self.request(Method::POST, self.rest.url("/sys/v1/session/auth"))?;
        let session: SessionAnswer = self.send(request).await?.json()?;
        let request = Request::new(Method::POST, self.rest.url("/sys/v1/session/terminate"))
            .secret_header(AUTHORIZATION, "Bearer ", session.access_token.expose())?;
        self.send(request).await.map(drop)
    }
}

fn says(refusal: &Refusal, word: &str) -> bool {
    refusal
        .message
        .as_ref()
        .is_some_and(|message| message.contains(word))
}

impl Vendor for Sdkms {
    const NAME: &'static str = "Fortanix SDKMS";
    const CREDENTIALS: &'static str = "`credentials.key`";

    fn rest(&self) -> &Rest {
        &self.rest
    }

    async fn reach(&self) -> Result<(), Failure> {
        let request = Request::new(Method::GET, self.rest.url("/sys/v1/health"));
        match self.send(request).await {
            // Whoever refuses is there.
            Err(Failure::Refused(refusal)) if refusal.status < 500 => Ok(()),
            end => end.map(drop),
        }
    }

    async fn prove(&self) -> Result<(), Failure> {
        self.reach().await?;
        match self.log_in_and_out().await {
            Err(failure) if failure.unauthorized().is_some() => {
                Err(Failure::Login(Box::new(failure)))
            }
            end => end,
        }
    }

    async fn store(&self, name: &KeyName, value: &StoredValue) -> Result<(), Failure> {
        let text = base64_of(value);
        let body = Import {
            obj_type: "OPAQUE",
            name: name.as_str(),
            group_id: self.group_id.as_deref(),
            key_ops: ["EXPORT", "APPMANAGEABLE"],
            value: &text,
            enabled: true,
        };
        let request = self
            .request(Method::PUT, self.rest.url("/crypto/v1/keys"))?
            .json(&body, text.len())?
            .hiding(&text);
        match self.send(request).await {
            Ok(answer) => {
                let stored: Object = answer.json()?;
                if stored.name.as_deref() == Some(name.as_str()) {
                    Ok(())
                } else {
                    Err(Failure::Garbled("another object was stored".to_owned()))
                }
            }
            Err(Failure::Refused(refusal)) if refusal.status == 409 => {
                if says(&refusal, "already exists") {
                    return Err(Failure::Exists);
                }
                // Other conflicts have the same status: the name tells which it is.
                match self.export(name).await {
                    Err(Failure::NotFound) => Err(Failure::Refused(refusal)),
                    _ => Err(Failure::Exists),
                }
            }
            Err(other) => Err(other),
        }
    }

    async fn load(&self, name: &KeyName) -> Result<StoredValue, Failure> {
        let object = self.export(name).await?;
        if !object.enabled {
            return Err(Failure::Unusable(
                "the security object is disabled; enable it there to use the key".to_owned(),
            ));
        }
        let Some(text) = object.value else {
            return Err(Failure::Unusable(
                "the security object came without its value; it needs the operation EXPORT"
                    .to_owned(),
            ));
        };
        value_of_base64(text.expose())
    }

    async fn remove(&self, name: &KeyName) -> Result<(), Failure> {
        let object = self.export(name).await?;
        let is_id = |kid: &String| {
            !kid.is_empty() && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let Some(kid) = object.kid.filter(is_id) else {
            return Err(Failure::Garbled("an object without an ID".to_owned()));
        };
        let url = self.rest.url(&format!("/crypto/v1/keys/{kid}"));
        match self.send(self.request(Method::DELETE, url)?).await {
            Err(Failure::Refused(refusal)) if refusal.status == 404 && says(&refusal, "exist") => {
                Err(Failure::NotFound)
            }
            end => end.map(drop),
        }
    }

    /// Each page starts behind the last name of the one before; objects need no name, and a page of such ones is skipped by
    /// its length. Where a page brings nothing new, the service does not page as documented, and going on would never end.
    async fn names(&self) -> Result<Vec<KeyName>, Failure> {
        let mut found = BTreeSet::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut start: Option<String> = None;
        let mut skip = 0;
        loop {
            let page = self.page(start.as_deref(), skip).await?;
            let is_full = page.len() >= PAGE;
            let before = seen.len();
            for object in page {
                if let Some(name) = object.name.filter(|name| !name.is_empty()) {
                    found.extend(KeyName::parse(&name).ok());
                    seen.insert(format!("name {name}"));
                    start = Some(name);
                    skip = 0;
                    continue;
                }
                skip += 1;
                seen.extend(object.kid.map(|kid| format!("kid {kid}")));
            }
            if !is_full {
                return Ok(found.into_iter().collect());
            }
            if seen.len() == before || seen.len() > NAMES_MAX {
                return Err(Failure::Garbled("a listing without end".to_owned()));
            }
        }
    }
}
