//! The calls.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use strongroom_kes_api::body::{
    Algorithm, ApiRoutes, BulkDecryptRequest, BulkDecryptResponse, DecryptRequest, DecryptResponse,
    EncryptRequest, EncryptResponse, FromJson, GenerateRequest, GenerateResponse, HmacRequest,
    HmacResponse, IdentityInfo, ImportKeyRequest, KeyInfo, PolicyDocument, PolicyInfo,
    RESPONSE_BYTES_MAX, SMALL_RESPONSE_BYTES_MAX, SelfInfo, StatusResponse, ToJson,
    VersionResponse,
};
use strongroom_kes_api::name::IdentityName;
use strongroom_kes_api::{Identity, KeyName, ListPattern, PolicyName, Secret, path};

use crate::config::KesClientBuilder;
use crate::endpoint::Endpoint;
use crate::error::{Error, bad_body};
use crate::listing;
use crate::log_stream::{Log, LogStream};
use crate::transport::{Answer, Call, Transport};

/// A client of one or more KES servers that hold the same keys. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct KesClient {
    transport: Arc<Transport>,
    identity: Option<Identity>,
}

impl KesClient {
    /// Starts the settings of a client.
    #[must_use]
    pub fn builder() -> KesClientBuilder {
        KesClientBuilder::new()
    }

    pub(crate) fn new(transport: Transport, identity: Option<Identity>) -> Self {
        Self {
            transport: Arc::new(transport),
            identity,
        }
    }

    /// The identity that servers see, if there are credentials.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// The servers.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.transport.endpoints
    }

    /// The build of a server.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn version(&self) -> Result<VersionResponse, Error> {
        let answer = self
            .get_at_most(path::VERSION, "", SMALL_RESPONSE_BYTES_MAX)
            .await?;
        read(&answer)
    }

    /// Is the key store reachable?
    ///
    /// # Errors
    /// 502 or 504 when it is not.
    pub async fn ready(&self) -> Result<(), Error> {
        self.get(path::READY, "").await.map(drop)
    }

    /// The state of a server.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn status(&self) -> Result<StatusResponse, Error> {
        read(&self.get(path::STATUS, "").await?)
    }

    /// The metrics of a server, as Prometheus text.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn metrics(&self) -> Result<String, Error> {
        let answer = self.get(path::METRICS, "").await?;
        String::from_utf8(answer.body.into()).map_err(|_| Error::BadAnswer {
            endpoint: answer.endpoint,
            reason: "its metrics are no text".to_owned(),
        })
    }

    /// Opens a log of the first server: endless, unlike all other answers. (Newest upstream never sends a line.)
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn log(&self, log: Log) -> Result<LogStream, Error> {
        LogStream::open(&self.transport, log).await
    }

    /// The routes that a server offers.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn apis(&self) -> Result<ApiRoutes, Error> {
        read(&self.get(path::API, "").await?)
    }

    /// Creates a key.
    ///
    /// # Errors
    /// [`Error::KeyExists`], among others. After a lost answer the retry finds the key that the first try made.
    pub async fn create_key(&self, name: &KeyName) -> Result<(), Error> {
        self.post(path::KEY_CREATE, name.as_str(), Bytes::new())
            .await
            .map(drop)
    }

    /// Imports a key of 32 bytes.
    ///
    /// # Errors
    /// [`Error::KeyExists`], among others.
    pub async fn import_key(
        &self,
        name: &KeyName,
        key: Secret,
        algorithm: Algorithm,
    ) -> Result<(), Error> {
        let request = ImportKeyRequest::new(key, algorithm);
        self.post(path::KEY_IMPORT, name.as_str(), wiped(&request))
            .await
            .map(drop)
    }

    /// Describes a key.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], among others.
    pub async fn describe_key(&self, name: &KeyName) -> Result<KeyInfo, Error> {
        read(&self.get(path::KEY_DESCRIBE, name.as_str()).await?)
    }

    /// Deletes a key. All that is encrypted under it is lost, unless somebody has a copy of the key.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], among others.
    pub async fn delete_key(&self, name: &KeyName) -> Result<(), Error> {
        let call = Call {
            method: Method::DELETE,
            route: path::KEY_DELETE,
            argument: name.as_str().to_owned(),
            body: Bytes::new(),
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        self.transport.send(&call).await.map(drop)
    }

    /// All key names of a pattern, ascending bytewise, page by page.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn list_keys(&self, pattern: &ListPattern) -> Result<Vec<String>, Error> {
        listing::list(self, path::KEY_LIST, pattern.prefix()).await
    }

    /// Makes a data key: 32 random bytes, plain and encrypted under the named key.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], among others.
    pub async fn generate_key(
        &self,
        name: &KeyName,
        context: &[u8],
    ) -> Result<GenerateResponse, Error> {
        let request = GenerateRequest {
            context: context.to_vec(),
        };
        read(
            &self
                .post(path::KEY_GENERATE, name.as_str(), wiped(&request))
                .await?,
        )
    }

    /// Encrypts a short message (well under a megabyte).
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], among others.
    pub async fn encrypt(
        &self,
        name: &KeyName,
        plaintext: Secret,
        context: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let request = EncryptRequest {
            plaintext,
            context: context.to_vec(),
        };
        let answer = self
            .post(path::KEY_ENCRYPT, name.as_str(), wiped(&request))
            .await?;
        read::<EncryptResponse>(&answer).map(|r| r.ciphertext)
    }

    /// Decrypts.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] when the ciphertext was not made by this key under this context; others too.
    pub async fn decrypt(
        &self,
        name: &KeyName,
        ciphertext: &[u8],
        context: &[u8],
    ) -> Result<Secret, Error> {
        let request = DecryptRequest {
            ciphertext: ciphertext.to_vec(),
            context: context.to_vec(),
            version: None,
        };
        let answer = self
            .post(path::KEY_DECRYPT, name.as_str(), wiped(&request))
            .await?;
        read::<DecryptResponse>(&answer).map(|r| r.plaintext)
    }

    /// Decrypts up to [`strongroom_kes_api::body::BULK_DECRYPT_MAX`] ciphertexts; one failure fails all. Newest upstream
    /// servers have no such route (404).
    ///
    /// # Errors
    /// As [`KesClient::decrypt`].
    pub async fn decrypt_many(
        &self,
        name: &KeyName,
        entries: Vec<DecryptRequest>,
    ) -> Result<Vec<Secret>, Error> {
        let expected = entries.len();
        let request = BulkDecryptRequest { entries };
        let answer = self
            .post(path::KEY_BULK_DECRYPT, name.as_str(), wiped(&request))
            .await?;
        let secrets: Vec<Secret> = read::<BulkDecryptResponse>(&answer)?
            .entries
            .into_iter()
            .map(|r| r.plaintext)
            .collect();
        if secrets.len() != expected {
            let reason = format!("{} plaintexts for {expected} ciphertexts", secrets.len());
            return Err(Error::BadAnswer {
                endpoint: answer.endpoint,
                reason,
            });
        }
        Ok(secrets)
    }

    /// HMAC-SHA-256 of a message under the HMAC half of the named key.
    ///
    /// # Errors
    /// [`Error::NoHmacKey`] for keys that were stored before keys had one; others too.
    pub async fn hmac(&self, name: &KeyName, message: Secret) -> Result<Secret, Error> {
        let call = Call {
            method: Method::PUT,
            route: path::KEY_HMAC,
            argument: name.as_str().to_owned(),
            body: wiped(&HmacRequest { message }),
            response_bytes_max: SMALL_RESPONSE_BYTES_MAX,
        };
        let answer = self.transport.send(&call).await?;
        read::<HmacResponse>(&answer).map(|r| r.hmac)
    }

    /// Who am I, and what may I do?
    ///
    /// # Errors
    /// [`Error::IdentityNotFound`] for a caller without policy, and for all but the admin on newest upstream servers.
    pub async fn describe_self(&self) -> Result<SelfInfo, Error> {
        read(&self.get(path::IDENTITY_SELF_DESCRIBE, "").await?)
    }

    /// Describes an identity.
    ///
    /// # Errors
    /// [`Error::IdentityNotFound`], among others.
    pub async fn describe_identity(&self, identity: &IdentityName) -> Result<IdentityInfo, Error> {
        read(&self.get(path::IDENTITY_DESCRIBE, identity.as_str()).await?)
    }

    /// All identities of a pattern, ascending.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn list_identities(&self, pattern: &ListPattern) -> Result<Vec<String>, Error> {
        listing::list(self, path::IDENTITY_LIST, pattern.prefix()).await
    }

    /// Describes a policy.
    ///
    /// # Errors
    /// [`Error::PolicyNotFound`], among others.
    pub async fn describe_policy(&self, name: &PolicyName) -> Result<PolicyInfo, Error> {
        read(&self.get(path::POLICY_DESCRIBE, name.as_str()).await?)
    }

    /// The patterns of a policy.
    ///
    /// # Errors
    /// [`Error::PolicyNotFound`], among others.
    pub async fn read_policy(&self, name: &PolicyName) -> Result<PolicyDocument, Error> {
        read(&self.get(path::POLICY_READ, name.as_str()).await?)
    }

    /// All policies of a pattern, ascending.
    ///
    /// # Errors
    /// [`Error`], as with every call.
    pub async fn list_policies(&self, pattern: &ListPattern) -> Result<Vec<String>, Error> {
        listing::list(self, path::POLICY_LIST, pattern.prefix()).await
    }

    pub(crate) async fn get(&self, route: &'static str, argument: &str) -> Result<Answer, Error> {
        self.get_at_most(route, argument, RESPONSE_BYTES_MAX).await
    }

    async fn get_at_most(
        &self,
        route: &'static str,
        argument: &str,
        response_bytes_max: usize,
    ) -> Result<Answer, Error> {
        let call = Call {
            method: Method::GET,
            route,
            argument: argument.to_owned(),
            body: Bytes::new(),
            response_bytes_max,
        };
        self.transport.send(&call).await
    }

    async fn post(
        &self,
        route: &'static str,
        argument: &str,
        body: Bytes,
    ) -> Result<Answer, Error> {
        let call = Call {
            method: Method::POST,
            route,
            argument: argument.to_owned(),
            body,
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        self.transport.send(&call).await
    }
}

impl fmt::Debug for KesClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KesClient")
            .field("endpoints", &self.transport.endpoints)
            .field("identity", &self.identity)
            .finish()
    }
}

pub(crate) fn read<T: FromJson>(answer: &Answer) -> Result<T, Error> {
    T::from_json(&answer.body).map_err(|error| bad_body(&answer.endpoint, &error))
}

/// The body in memory that is wiped when the request is done.
fn wiped(request: &impl ToJson) -> Bytes {
    Bytes::from_owner(request.to_json())
}
