//! The requests to a vault.
//!
//! <https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups>

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use strongroom_kes_api::KeyName;
use strongroom_keystore::config::{Azure, SecretText};
use strongroom_keystore::{StoreError, StoredValue};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::endpoint::{endpoint, resource_of};
use crate::login::Source;
use crate::refusal::Refusal;
use crate::surroundings::Surroundings;
use crate::tokens::Tokens;
use crate::web::{Answer, Call, Web};
use crate::wire::{BundleWire, PageWire, SetWire, Version};

/// Known to every cloud of Azure, national and private ones too.
const API_VERSION: &str = "7.4";
/// Most entries that Key Vault puts on a page.
const PAGE_ENTRIES: &str = "25";
/// Pages of versions of one secret. A key has one version; upstream gives up at more than one page.
const VERSION_PAGES_MAX: usize = 8;
/// Pages of a listing: 250,000 secrets. A link that leads round in circles must end.
const LIST_PAGES_MAX: usize = 10_000;

/// One vault, and the tokens for it.
#[derive(Debug)]
pub(crate) struct Vault {
    base: Url,
    web: Web,
    tokens: Tokens,
    /// What a token must be for, as the vault itself says.
    resource: OnceCell<String>,
}

/// Is a name taken?
pub(crate) enum Look {
    Found,
    /// By a name that differs in case.
    FoundAs(String),
    Missing,
}

pub(crate) enum Set {
    Done(Version),
    /// A deleted secret has the name.
    Blocked,
}

pub(crate) enum Deleted {
    /// `is_kept` where it can be recovered.
    Now {
        is_kept: bool,
    },
    UnderWay,
    NotThere,
}

pub(crate) enum Purge {
    Done,
    NotThere,
    Busy,
    /// In Azure's words.
    Denied(String),
}

impl Vault {
    pub(crate) fn open(config: Azure, around: &Surroundings) -> Result<Self, StoreError> {
        let base = endpoint(&config.endpoint)?;
        let web = Web::new(config.ca.as_deref())?;
        let source = Source::choose(config.credentials, around)?;
        Ok(Self {
            base,
            web,
            tokens: Tokens::new(source, around.clock),
            resource: OnceCell::new(),
        })
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(crate) fn called(&self) -> String {
        format!("Azure Key Vault at {}", self.endpoint())
    }

    pub(crate) fn login(&self) -> String {
        self.tokens.source().whom()
    }

    fn url(&self, path: &str, page_entries: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base.path().trim_end_matches('/')
        ));
        url.query_pairs_mut()
            .append_pair("api-version", API_VERSION);
        if let Some(entries) = page_entries {
            url.query_pairs_mut().append_pair("maxresults", entries);
        }
        url
    }

    /// Any HTTP answer counts, a refusal too. Gives the answer's `Date`.
    pub(crate) async fn reach(&self) -> Result<Option<String>, StoreError> {
        let call = Call::get(self.base.clone());
        let answer = self.web.probe(&self.called(), &call).await?;
        Ok(answer.date)
    }

    /// Asks without a token: the refusal says what a token must be for.
    async fn resource(&self) -> Result<&str, StoreError> {
        let asked = self.resource.get_or_try_init(|| async {
            let call = Call::get(self.url("secrets", Some("1")));
            let answer = self.web.exchange(&self.called(), &call).await?;
            match (answer.status, &answer.challenge) {
                (401, Some(challenge)) => resource_of(challenge, &self.base),
                (500..=599, _) => Err(Refusal::of(&answer).on("the first request")),
                (status, _) => Err(StoreError::other(format!(
                    "{} answered HTTP {status} to a request without a token, and a Key Vault would ask for one: check \
                     azure.keyvault.endpoint",
                    self.called()
                ))),
            }
        });
        asked.await.map(String::as_str)
    }

    /// A token, or why there is none.
    pub(crate) async fn log_in(&self) -> Result<(), StoreError> {
        let resource = self.resource().await?;
        self.tokens.get(&self.web, resource).await.map(drop)
    }

    /// One call. A token that the vault refuses is replaced once; such a call was not carried out.
    async fn call(&self, mut call: Call) -> Result<Answer, StoreError> {
        let resource = self.resource().await?;
        let mut is_second = false;
        loop {
            let token = self.tokens.get(&self.web, resource).await?;
            let bearer = Zeroizing::new(format!("Bearer {}", token.text.expose()));
            call.headers = vec![(AUTHORIZATION, SecretText::new(bearer))];
            let answer = self.web.exchange(&self.called(), &call).await?;
            if answer.status != 401 {
                return Ok(answer);
            }
            if !self.tokens.refuse(&token) || is_second {
                return Ok(answer);
            }
            is_second = true;
        }
    }

    async fn get(&self, url: Url) -> Result<Answer, StoreError> {
        self.call(Call::get(url)).await
    }

    /// A page of one secret: it needs a token and the right to list.
    pub(crate) async fn prove(&self) -> Result<(), StoreError> {
        let answer = self.get(self.url("secrets", Some("1"))).await?;
        match answer.status {
            200 => read::<PageWire>(&answer, "listing keys").map(drop),
            _ => Err(Refusal::of(&answer).on("listing keys")),
        }
    }

    pub(crate) async fn look(&self, name: &KeyName) -> Result<Look, StoreError> {
        let what = format!("looking for key '{name}'");
        let answer = self.get(self.url(&format!("secrets/{name}"), None)).await?;
        if answer.status == 200 {
            let bundle: BundleWire = read(&answer, &what)?;
            return Ok(match bundle.name_and_version() {
                Some((found, _)) if found != name.as_str() => Look::FoundAs(found),
                _ => Look::Found,
            });
        }
        let refusal = Refusal::of(&answer);
        if refusal.is_not_found() {
            Ok(Look::Missing)
        } else if refusal.is_disabled() {
            Ok(Look::Found)
        } else {
            Err(refusal.on(&what))
        }
    }

    pub(crate) async fn set(&self, name: &KeyName, value: &StoredValue) -> Result<Set, StoreError> {
        let what = format!("creating key '{name}'");
        // Room for every quote escaped: growing would leave copies of a key behind.
        let mut body = Zeroizing::new(Vec::with_capacity(2 * value.expose().len() + 64));
        let wire = SetWire {
            value: value.expose(),
        };
        serde_json::to_writer(&mut *body, &wire)
            .map_err(|e| StoreError::failed(format!("key '{name}' is no JSON"), e))?;
        let call = Call {
            method: Method::PUT,
            body: Some(("application/json", body)),
            // Each would be one more version, and this one's own could look like somebody else's.
            repeats: false,
            ..Call::get(self.url(&format!("secrets/{name}"), None))
        };
        let answer = self.call(call).await?;
        if answer.status == 200 {
            let bundle: BundleWire = read(&answer, &what)?;
            let (_, id) = bundle.name_and_version().ok_or_else(|| foreign(&what))?;
            return Ok(Set::Done(Version {
                id,
                attributes: bundle.attributes,
            }));
        }
        let refusal = Refusal::of(&answer);
        if refusal.is_conflict_with_deleted() {
            Ok(Set::Blocked)
        } else {
            Err(refusal.on(&what))
        }
    }

    /// All versions of the secret of exactly this name; none where there is no such secret.
    pub(crate) async fn versions(&self, name: &KeyName) -> Result<Vec<Version>, StoreError> {
        let what = format!("listing the versions of key '{name}'");
        let mut versions = Vec::new();
        let mut next = Some(self.url(&format!("secrets/{name}/versions"), Some(PAGE_ENTRIES)));
        for _ in 0..VERSION_PAGES_MAX {
            let Some(url) = next else {
                return Ok(versions);
            };
            let answer = self.get(url).await?;
            if answer.status != 200 {
                let refusal = Refusal::of(&answer);
                if refusal.is_not_found() {
                    return Ok(versions);
                }
                return Err(refusal.on(&what));
            }
            let page: PageWire = read(&answer, &what)?;
            for bundle in &page.value {
                let (found, id) = bundle.name_and_version().ok_or_else(|| foreign(&what))?;
                // Names are looked up without regard to case: `KEY` is not the key `key`, to which other rules may apply.
                if found == name.as_str() {
                    versions.push(Version {
                        id,
                        attributes: bundle.attributes.clone(),
                    });
                }
            }
            next = self.next(page.next_link)?;
        }
        if next.is_none() {
            return Ok(versions);
        }
        Err(StoreError::other(format!(
            "secret '{name}' in Azure Key Vault has more than {} versions, and the oldest is the key \
             (TooManyObjectVersions): somebody adds versions to it; purge the secret and restore it with one",
            versions.len()
        )))
    }

    pub(crate) async fn value(
        &self,
        name: &KeyName,
        version: &str,
    ) -> Result<StoredValue, StoreError> {
        let what = format!("reading key '{name}'");
        let answer = self
            .get(self.url(&format!("secrets/{name}/{version}"), None))
            .await?;
        if answer.status != 200 {
            return Err(Refusal::of(&answer).on(&what));
        }
        let bundle: BundleWire = read(&answer, &what)?;
        let value = bundle.value.ok_or_else(|| foreign(&what))?;
        StoredValue::new(value)
            .map_err(|e| StoreError::failed(format!("secret '{name}' is no key"), e))
    }

    pub(crate) async fn delete(&self, name: &KeyName) -> Result<Deleted, StoreError> {
        let what = format!("deleting key '{name}'");
        let call = Call {
            method: Method::DELETE,
            ..Call::get(self.url(&format!("secrets/{name}"), None))
        };
        let answer = self.call(call).await?;
        if answer.status == 200 {
            let bundle: BundleWire = read(&answer, &what)?;
            return Ok(Deleted::Now {
                is_kept: bundle.recovery_id.is_some(),
            });
        }
        let refusal = Refusal::of(&answer);
        if refusal.is_not_found() {
            Ok(Deleted::NotThere)
        } else if refusal.is_conflict_with_deleted() {
            Ok(Deleted::UnderWay)
        } else {
            Err(refusal.on(&what))
        }
    }

    pub(crate) async fn purge(&self, name: &KeyName) -> Result<Purge, StoreError> {
        let call = Call {
            method: Method::DELETE,
            ..Call::get(self.url(&format!("deletedsecrets/{name}"), None))
        };
        let answer = self.call(call).await?;
        if answer.status == 204 {
            return Ok(Purge::Done);
        }
        let refusal = Refusal::of(&answer);
        if refusal.is_not_found() {
            Ok(Purge::NotThere)
        } else if refusal.is_conflict() {
            Ok(Purge::Busy)
        } else if refusal.is_denied() {
            Ok(Purge::Denied(refusal.quoted()))
        } else {
            Err(refusal.on(&format!("purging key '{name}'")))
        }
    }

    /// All names that can be names of keys.
    pub(crate) async fn names(&self) -> Result<Vec<KeyName>, StoreError> {
        const WHAT: &str = "listing keys";
        let mut names = Vec::new();
        let mut next = Some(self.url("secrets", Some(PAGE_ENTRIES)));
        for _ in 0..LIST_PAGES_MAX {
            let Some(url) = next else {
                return Ok(names);
            };
            let answer = self.get(url).await?;
            if answer.status != 200 {
                return Err(Refusal::of(&answer).on(WHAT));
            }
            let page: PageWire = read(&answer, WHAT)?;
            let found = page.value.iter().filter_map(BundleWire::name_and_version);
            names.extend(found.filter_map(|(name, _)| KeyName::parse(&name).ok()));
            next = self.next(page.next_link)?;
        }
        Err(StoreError::other(format!(
            "{} lists without end: keep keys in a vault of their own",
            self.called()
        )))
    }

    /// Only to the vault itself: a token goes along.
    fn next(&self, link: Option<String>) -> Result<Option<Url>, StoreError> {
        let Some(link) = link.filter(|link| !link.is_empty()) else {
            return Ok(None);
        };
        match Url::parse(&link) {
            Ok(url) if url.origin() == self.base.origin() => Ok(Some(url)),
            _ => Err(StoreError::other(format!(
                "{} continues a listing at another address, which is not followed: check azure.keyvault.endpoint",
                self.called()
            ))),
        }
    }

    /// 404 for a secret that nobody has tells "not found" from "not allowed".
    pub(crate) async fn try_to_read(&self, name: &str) -> Result<(), StoreError> {
        let answer = self.get(self.url(&format!("secrets/{name}"), None)).await?;
        let refusal = Refusal::of(&answer);
        if answer.status == 200 || refusal.is_not_found() || refusal.is_disabled() {
            Ok(())
        } else {
            Err(refusal.on("reading secrets"))
        }
    }
}

fn read<T: DeserializeOwned>(answer: &Answer, what: &str) -> Result<T, StoreError> {
    // The parser's error is not passed on: it may quote a key.
    serde_json::from_slice(&answer.body).map_err(|_| foreign(what))
}

fn foreign(what: &str) -> StoreError {
    StoreError::other(format!(
        "{what} failed: something came back that is no answer of Azure Key Vault; check azure.keyvault.endpoint, and any \
         proxy in between"
    ))
}
