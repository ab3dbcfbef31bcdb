//! Keys: made, shown, removed, and used.

use std::sync::Arc;

use strongroom_envelope::master::RANDOM_BYTES;
use strongroom_envelope::{MasterCipher, MasterKey};
use strongroom_kes_api::body::{
    Algorithm, BodyError, BulkDecryptRequest, BulkDecryptResponse, DecryptRequest, DecryptResponse,
    EncryptRequest, EncryptResponse, FromJson, GenerateRequest, GenerateResponse, HmacRequest,
    HmacResponse, ImportKeyRequest, KeyInfo, NamePage,
};
use strongroom_kes_api::name::PAGE_NAMES_MAX;
use strongroom_kes_api::{KesError, KeyName, ListPattern, Secret};
use strongroom_keystore::StoreError;
use zeroize::Zeroizing;

use crate::log::Level;
use crate::reply::Reply;
use crate::serve::Call;
use crate::server::{new_key, store_key, with_master};
use crate::state::ReadKeyError;
use crate::stored_key::Key;

/// Bytes of a data key.
const DATA_KEY_BYTES: usize = 32;

pub(crate) async fn create(call: &Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::for_create(call.argument)?;
    let key =
        new_key(&call.server.surroundings, creator(call)).map_err(|_| KesError::GENERATE_FAILED)?;
    store(call, &name, &key).await
}

pub(crate) async fn import(mut call: Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::for_create(call.argument)?;
    let body = call
        .body()
        .await
        .map_err(|_| KesError::INVALID_IMPORT_BODY)?;
    let request =
        ImportKeyRequest::from_json(&body.bytes).map_err(|_| KesError::INVALID_IMPORT_BODY)?;
    let (algorithm, bytes) = request.into_checked()?;
    let cipher = match algorithm {
        Algorithm::Aes256 => MasterCipher::Aes256,
        Algorithm::ChaCha20 => MasterCipher::ChaCha20,
    };
    let master = MasterKey::try_from_slice(cipher, bytes.as_slice())
        .map_err(|_| KesError::invalid_key_size(algorithm.as_str()))?;
    let key = with_master(&call.server.surroundings, master, creator(&call))
        .map_err(|_| KesError::new(500, "failed to create key"))?;
    store(&call, &name, &key).await
}

fn creator(call: &Call<'_>) -> Option<String> {
    call.permit.identity().map(|identity| identity.to_string())
}

async fn store(call: &Call<'_>, name: &KeyName, key: &Key) -> Result<Reply, KesError> {
    match store_key(call.state, name, key).await {
        Ok(()) => Ok(Reply::Empty),
        Err(StoreError::Exists) => Err(KesError::KEY_EXISTS),
        Err(error) => {
            call.log(
                Level::ERROR,
                format!("failed to create key '{name}': {}", error.in_full()),
            );
            Err(KesError::CREATE_KEY_FAILED)
        }
    }
}

pub(crate) async fn describe(call: &Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let key = read(call, &name).await?;
    Ok(Reply::json(&KeyInfo {
        name: name.to_string(),
        algorithm: Some(key.algorithm()),
        created_at: key.created_at,
        created_by: key.created_by.clone(),
    }))
}

/// The store first, then the cache: who reads in between finds the key in neither.
pub(crate) async fn delete(call: &Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let (state, gone) = (Arc::clone(call.state), name.clone());
    let newest = Arc::clone(&call.server.state);
    // A task of its own: a client that goes away, or a time that runs out, must not leave a deleted key in the cache.
    let deletion = tokio::spawn(async move {
        let outcome = state.store.delete(&gone).await;
        if matches!(outcome, Ok(()) | Err(StoreError::NotFound)) {
            state.forget(&gone).await;
            // A reload meanwhile may have put another cache in place, and somebody the key into it.
            let newest = newest.load_full();
            if !Arc::ptr_eq(&newest, &state) {
                newest.forget(&gone).await;
            }
        }
        outcome
    });
    let outcome = deletion
        .await
        .unwrap_or_else(|error| Err(StoreError::failed("deletion did not finish", error)));
    match outcome {
        Ok(()) => Ok(Reply::Empty),
        Err(StoreError::NotFound) => Err(KesError::KEY_NOT_FOUND),
        Err(error) => {
            call.log(
                Level::ERROR,
                format!("failed to delete key '{name}': {}", error.in_full()),
            );
            Err(KesError::DELETE_KEY_FAILED)
        }
    }
}

pub(crate) async fn list(call: &Call<'_>) -> Result<Reply, KesError> {
    let pattern = ListPattern::parse(call.argument)?;
    let from = pattern.resume_at().map(KeyName::parse).transpose()?;
    let page = call
        .state
        .store
        .list(pattern.prefix(), from.as_ref(), PAGE_NAMES_MAX)
        .await;
    match page {
        Ok(page) => Ok(Reply::json(&NamePage {
            names: page.names.iter().map(ToString::to_string).collect(),
            continue_at: page.next.map(|next| pattern.token(next.as_str())),
        })),
        Err(error) => {
            call.log(
                Level::ERROR,
                format!("failed to list keys: {}", error.in_full()),
            );
            Err(KesError::LIST_KEYS_FAILED)
        }
    }
}

pub(crate) async fn generate(mut call: Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let body = call.body().await?;
    let request = if body.is_declared_empty {
        GenerateRequest::default()
    } else {
        parse(&body.bytes)?
    };
    let key = read(&call, &name).await?;
    // Drawn at once: the generator costs more per call than per byte.
    let mut drawn = Zeroizing::new([0; DATA_KEY_BYTES + RANDOM_BYTES]);
    call.server
        .surroundings
        .entropy
        .fill(drawn.as_mut_slice())
        .map_err(|_| KesError::GENERATE_FAILED)?;
    let (data_key, random) = drawn
        .split_first_chunk::<DATA_KEY_BYTES>()
        .and_then(|(data_key, rest)| Some((data_key, *rest.first_chunk()?)))
        .ok_or(KesError::GENERATE_FAILED)?;
    let ciphertext = key.master.seal(data_key, &request.context, random);
    Ok(Reply::json(&GenerateResponse {
        plaintext: Secret::copied_from(data_key),
        ciphertext,
        version: None,
    }))
}

pub(crate) async fn encrypt(mut call: Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let request: EncryptRequest = parse(&call.body().await?.bytes)?;
    let key = read(&call, &name).await?;
    let random = seal_random(&call).ok_or(KesError::ENCRYPT_FAILED)?;
    let ciphertext = key
        .master
        .seal(request.plaintext.expose(), &request.context, random);
    Ok(Reply::json(&EncryptResponse { ciphertext }))
}

pub(crate) async fn decrypt(mut call: Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let request: DecryptRequest = parse(&call.body().await?.bytes)?;
    let key = read(&call, &name).await?;
    open(&key, &request).map(|plaintext| Reply::json(&plaintext))
}

/// One failure fails all, as its callers expect.
pub(crate) async fn bulk_decrypt(mut call: Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let body = call.body().await?;
    let request = BulkDecryptRequest::from_json(&body.bytes).map_err(|error| match error {
        BodyError::TooMany { .. } => KesError::TOO_MANY_CIPHERTEXTS,
        _ => KesError::INVALID_BODY,
    })?;
    let key = read(&call, &name).await?;
    let entries = request
        .entries
        .iter()
        .map(|entry| open(&key, entry))
        .collect::<Result<_, _>>()?;
    Ok(Reply::json(&BulkDecryptResponse { entries }))
}

pub(crate) async fn hmac(mut call: Call<'_>) -> Result<Reply, KesError> {
    let name = KeyName::parse(call.argument)?;
    let request: HmacRequest = parse(&call.body().await?.bytes)?;
    let key = read(&call, &name).await?;
    // Never a substitute: MinIO derives credentials from the answer, which must stay what they were.
    let hmac_key = key.hmac.as_ref().ok_or(KesError::NO_HMAC_KEY)?;
    let mac = Zeroizing::new(hmac_key.mac(request.message.expose()));
    Ok(Reply::json(&HmacResponse {
        hmac: Secret::copied_from(mac.as_slice()),
    }))
}

fn open(key: &Key, request: &DecryptRequest) -> Result<DecryptResponse, KesError> {
    let opened = key.master.open(&request.ciphertext, &request.context);
    let plaintext = opened.map_err(|_| KesError::NOT_AUTHENTIC)?;
    Ok(DecryptResponse {
        plaintext: Secret::new(plaintext),
    })
}

fn parse<T: FromJson>(body: &[u8]) -> Result<T, KesError> {
    T::from_json(body).map_err(|_| KesError::INVALID_BODY)
}

fn seal_random(call: &Call<'_>) -> Option<[u8; RANDOM_BYTES]> {
    let mut random = [0; RANDOM_BYTES];
    call.server.surroundings.entropy.fill(&mut random).ok()?;
    Some(random)
}

async fn read(call: &Call<'_>, name: &KeyName) -> Result<Arc<Key>, KesError> {
    if let Some(key) = call.state.cache.remembered(name, call.elapsed()) {
        return Ok(key);
    }
    // Apart, so that requests for remembered keys do not carry its space around.
    Box::pin(fetch(call, name)).await
}

async fn fetch(call: &Call<'_>, name: &KeyName) -> Result<Arc<Key>, KesError> {
    let outcome = call.state.key(name, || call.elapsed()).await;
    call.server.log_disk_reports(call.state);
    match outcome {
        Ok(key) => Ok(key),
        Err(error) => match &*error {
            ReadKeyError::Store(StoreError::NotFound) => Err(KesError::KEY_NOT_FOUND),
            other => {
                call.log(
                    Level::ERROR,
                    format!("failed to read key '{name}': {other}"),
                );
                Err(KesError::READ_KEY_FAILED)
            }
        },
    }
}
