//! Our own state: the state key, the ETag keys, and records sealed under the former
//! (`docs/formats/state.md`).

use std::fmt;

use bytes::Bytes;
use s3s::{S3ErrorCode, S3Result};
use strongroom_backend::Backend;
use strongroom_backend::object::Generation;
use strongroom_backend::record::RecordName;
use strongroom_envelope::etag::{EtagKey, EtagKeyId, EtagKeys};
use strongroom_envelope::state::{OpenRecord, RecordError, StateKeyRecord};
use strongroom_envelope::{Context, SealedDataKey, StateKey};
use strongroom_kms::{Entropy, Kms};
use zeroize::Zeroizing;

use crate::config::OpenError;
use crate::error;

const STATE_KEY: &str = "state/key";
const OLDER_KEYS: &str = "state/older-keys";
const ETAG_KEYS: &str = "state/etag-keys";
/// A state key has an older one when a KMS was given to a store that had none, which happens once.
const OLDER_KEYS_MAX: usize = 16;
/// What records of uploads are called, see `docs/formats/state.md` §6.
const OF_UPLOADS: [&str; 2] = ["upload/", "part/"];
/// Several gateways may begin on an empty remote at once: all but one lose the race to write, and read.
const RACES_MAX: usize = 8;

/// The keys of our state.
pub(crate) struct Keys {
    state: StateKey,
    older: Vec<StateKey>,
    etag: EtagKeys,
}

impl Keys {
    /// Reads the keys, or makes them for a store that has none.
    pub(crate) async fn load(
        inner: &impl Backend,
        kms: Option<&dyn Kms>,
        entropy: &Entropy,
    ) -> Result<Self, OpenError> {
        let (state, older) = load_state_key(inner, kms, entropy).await?;
        let mut keys = Self {
            state,
            older,
            etag: EtagKeys::new(new_etag_key(entropy)?),
        };
        keys.etag = keys.load_etag_keys(inner, entropy).await?;
        Ok(keys)
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let id = EtagKeyId::new(1).expect("not zero");
        Self {
            state: StateKey::from_bytes([1; 32]),
            older: Vec::new(),
            etag: EtagKeys::new(EtagKey::new(id, [2; 32])),
        }
    }

    pub(crate) const fn etag_keys(&self) -> &EtagKeys {
        &self.etag
    }

    /// Seals a record of ours.
    pub(crate) fn seal(
        &self,
        name: &str,
        generation: u64,
        plaintext: &[u8],
        entropy: &Entropy,
    ) -> S3Result<Bytes> {
        let nonce = draw(entropy)?;
        Ok(self
            .state
            .seal_record(name, generation, plaintext, nonce)
            .into())
    }

    /// Opens a record of ours.
    ///
    /// That of an upload may be under an older state key. That key lay in clear, and whoever read it can make
    /// records: no setting is believed on its word, and a forged record of an upload makes no more than an
    /// object that does not open.
    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<OpenRecord, RecordError> {
        match self.state.open_record(name, sealed) {
            Err(RecordError::NotAuthentic)
                if OF_UPLOADS.iter().any(|prefix| name.starts_with(prefix)) =>
            {
                self.open_under_older(name, sealed)
                    .ok_or(RecordError::NotAuthentic)
            }
            opened => opened,
        }
    }

    fn open_under_older(&self, name: &str, sealed: &[u8]) -> Option<OpenRecord> {
        self.older
            .iter()
            .find_map(|key| key.open_record(name, sealed).ok())
    }

    async fn load_etag_keys(
        &self,
        inner: &impl Backend,
        entropy: &Entropy,
    ) -> Result<EtagKeys, OpenError> {
        let name = record_name(ETAG_KEYS)?;
        for _ in 0..RACES_MAX {
            let decode = |opened: &OpenRecord| {
                EtagKeys::decode(&opened.plaintext).map_err(|e| damaged(ETAG_KEYS, &e))
            };
            let present = inner.read_record(&name).await.map_err(OpenError::Store)?;
            let (keys, generation) = match &present {
                None => (EtagKeys::new(new_etag_key(entropy)?), 1),
                Some(record) => match self.open(ETAG_KEYS, &record.bytes) {
                    Ok(opened) => return decode(&opened),
                    // Under a state key that lay in clear they did too, as it were.
                    Err(refused) => {
                        let old = self
                            .open_under_older(ETAG_KEYS, &record.bytes)
                            .ok_or_else(|| damaged(ETAG_KEYS, &refused))?;
                        let fresh = Zeroizing::new(random::<32>(entropy)?);
                        let renewed = decode(&old)?.renewed(*fresh);
                        let keys = renewed.ok_or_else(|| damaged(ETAG_KEYS, "it is full"))?;
                        (keys, old.generation.saturating_add(1))
                    }
                },
            };
            let (plain, nonce) = (keys.encode(), random(entropy)?);
            let sealed = self.state.seal_record(ETAG_KEYS, generation, &plain, nonce);
            let expected = present.as_ref().map(|record| &record.generation);
            if write_if(inner, &name, expected, sealed.into()).await? {
                return Ok(keys);
            }
        }
        Err(damaged(ETAG_KEYS, "it can be neither read nor written"))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

async fn load_state_key(
    inner: &impl Backend,
    kms: Option<&dyn Kms>,
    entropy: &Entropy,
) -> Result<(StateKey, Vec<StateKey>), OpenError> {
    let name = record_name(STATE_KEY)?;
    let mut outrun = None;
    for _ in 0..RACES_MAX {
        let Some(record) = inner.read_record(&name).await.map_err(OpenError::Store)? else {
            if let Some(made) = make_state_key(inner, kms, entropy, None).await? {
                return Ok((made, Vec::new()));
            }
            continue;
        };
        match StateKeyRecord::decode(&record.bytes).map_err(|e| damaged(STATE_KEY, &e))? {
            StateKeyRecord::Sealed(data_key) => {
                let state = open_state_key(kms, &data_key).await?;
                let older = match (load_older_keys(inner, &state).await, outrun) {
                    // Whoever outran us wrote them before we overwrote them.
                    (Err(OpenError::Record { .. }), Some(old)) => {
                        write_older_keys(inner, &state, &[&old], entropy).await?;
                        vec![old]
                    }
                    (loaded, _) => loaded?,
                };
                return Ok((state, older));
            }
            StateKeyRecord::Plain(state) if kms.is_none() => {
                tracing::warn!(
                    "no KMS: the key of the store's state lies in clear in its system area and protects nothing \
                     against who reads that"
                );
                return Ok((state, Vec::new()));
            }
            StateKeyRecord::Plain(old) => {
                let replaced = Replaced {
                    generation: record.generation,
                    old,
                };
                let (made, old) = replace_state_key(inner, kms, entropy, replaced).await?;
                if let Some(made) = made {
                    return Ok((made, vec![old]));
                }
                outrun = Some(old);
            }
        }
    }
    Err(damaged(STATE_KEY, "it can be neither read nor written"))
}

async fn open_state_key(kms: Option<&dyn Kms>, key: &SealedDataKey) -> Result<StateKey, OpenError> {
    let kms = kms.ok_or_else(|| OpenError::KmsMissing {
        key: key.key_name.clone(),
    })?;
    let context = Context::for_state_key().canonical();
    let version = key.key_version.as_deref();
    let opened = kms
        .open_data_key(&key.key_name, version, &key.sealed, context.as_bytes())
        .await?;
    Ok(StateKey::from_bytes(*opened.expose()))
}

/// A state key that lay in clear, because there was no KMS.
struct Replaced {
    generation: Generation,
    old: StateKey,
}

/// Puts a key sealed by the KMS in the place of one in clear. The old one is kept, sealed, for records that
/// are under it. No new one: another node was faster.
async fn replace_state_key(
    inner: &impl Backend,
    kms: Option<&dyn Kms>,
    entropy: &Entropy,
    replaced: Replaced,
) -> Result<(Option<StateKey>, StateKey), OpenError> {
    tracing::info!("a KMS is configured: the key of the store's state is sealed from now on");
    let made = make_state_key(inner, kms, entropy, Some(&replaced)).await?;
    Ok((made, replaced.old))
}

async fn make_state_key(
    inner: &impl Backend,
    kms: Option<&dyn Kms>,
    entropy: &Entropy,
    replaced: Option<&Replaced>,
) -> Result<Option<StateKey>, OpenError> {
    let (state, record) = match kms {
        Some(kms) => {
            let context = Context::for_state_key().canonical();
            let made = kms.new_data_key(None, context.as_bytes()).await?;
            let state = StateKey::from_bytes(*made.plaintext.expose());
            let record = StateKeyRecord::Sealed(SealedDataKey {
                key_name: made.key_name,
                key_version: made.key_version,
                fingerprint: made.fingerprint,
                sealed: made.sealed,
                bucket_key: false,
            });
            (state, record)
        }
        None => {
            tracing::warn!(
                "no KMS: the key of the store's state is kept in clear in its system area and protects nothing \
                 against who reads that"
            );
            let bytes = Zeroizing::new(random::<32>(entropy)?);
            (
                StateKey::from_bytes(*bytes),
                StateKeyRecord::Plain(StateKey::from_bytes(*bytes)),
            )
        }
    };
    if let Some(Replaced { old, .. }) = replaced {
        // Before the new key: a crash in between leaves a record that nobody can open and the old key in
        // place, and the next start writes both anew.
        write_older_keys(inner, &state, &[old], entropy).await?;
    }
    let name = record_name(STATE_KEY)?;
    let bytes = Bytes::copy_from_slice(&record.encode().map_err(|e| damaged(STATE_KEY, e))?);
    let expected = replaced.map(|replaced| &replaced.generation);
    let written = write_if(inner, &name, expected, bytes).await?;
    Ok(written.then_some(state))
}

async fn write_older_keys(
    inner: &impl Backend,
    state: &StateKey,
    keys: &[&StateKey],
    entropy: &Entropy,
) -> Result<(), OpenError> {
    let mut plain = Zeroizing::new(vec![1]);
    for key in keys {
        plain.extend_from_slice(key.expose());
    }
    let sealed = state.seal_record(OLDER_KEYS, 1, &plain, random(entropy)?);
    let name = record_name(OLDER_KEYS)?;
    let present = inner.read_record(&name).await.map_err(OpenError::Store)?;
    let expected = present.as_ref().map(|record| &record.generation);
    inner
        .write_record(&name, expected, sealed.into())
        .await
        .map_err(OpenError::Store)?;
    Ok(())
}

async fn load_older_keys(
    inner: &impl Backend,
    state: &StateKey,
) -> Result<Vec<StateKey>, OpenError> {
    let name = record_name(OLDER_KEYS)?;
    let Some(record) = inner.read_record(&name).await.map_err(OpenError::Store)? else {
        return Ok(Vec::new());
    };
    let opened = state
        .open_record(OLDER_KEYS, &record.bytes)
        .map_err(|e| damaged(OLDER_KEYS, &e))?;
    let (keys, rest) = match opened.plaintext.split_first() {
        Some((1, keys)) => keys.as_chunks::<32>(),
        _ => return Err(damaged(OLDER_KEYS, "its version is not known")),
    };
    if !rest.is_empty() || keys.len() > OLDER_KEYS_MAX {
        return Err(damaged(OLDER_KEYS, "it is not a list of keys"));
    }
    Ok(keys.iter().map(|key| StateKey::from_bytes(*key)).collect())
}

fn new_etag_key(entropy: &Entropy) -> Result<EtagKey, OpenError> {
    // A random id, so that keys made anew after the record was lost are not taken for the old ones. The top bit is
    // left for those that follow.
    let id = u32::from_le_bytes(random(entropy)?) >> 1;
    let id = EtagKeyId::new(id.max(1)).ok_or_else(|| damaged(ETAG_KEYS, "no id"))?;
    Ok(EtagKey::new(id, *Zeroizing::new(random::<32>(entropy)?)))
}

/// False: somebody else wrote it meanwhile.
async fn write_if(
    inner: &impl Backend,
    name: &RecordName,
    expected: Option<&Generation>,
    bytes: Bytes,
) -> Result<bool, OpenError> {
    match inner.write_record(name, expected, bytes).await {
        Ok(_) => Ok(true),
        Err(e) if e.code() == &S3ErrorCode::PreconditionFailed => Ok(false),
        Err(e) => Err(OpenError::Store(e)),
    }
}

fn record_name(name: &str) -> Result<RecordName, OpenError> {
    RecordName::new(name).map_err(|e| damaged(name, &e))
}

fn damaged(name: &str, cause: impl fmt::Display) -> OpenError {
    OpenError::Record {
        name: name.to_owned(),
        cause: cause.to_string(),
    }
}

fn random<const N: usize>(entropy: &Entropy) -> Result<[u8; N], OpenError> {
    let mut bytes = [0; N];
    entropy(&mut bytes).map_err(OpenError::Entropy)?;
    Ok(bytes)
}

/// Fresh random bytes for a request.
pub(crate) fn draw<const N: usize>(entropy: &Entropy) -> S3Result<[u8; N]> {
    let mut bytes = [0; N];
    entropy(&mut bytes).map_err(|cause| error::entropy(&cause))?;
    Ok(bytes)
}
