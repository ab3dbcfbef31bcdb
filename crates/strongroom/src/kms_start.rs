//! Asking the KMS for a first data key, before any request is answered.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use strongroom_kms::{Kms, KmsError};

/// The context of the first data key, which is thrown away.
const NO_CONTEXT: &[u8] = b"{}";
/// Shortest that one attempt may take, however little time is left: the client tries three times by itself, and knows why it failed.
const ATTEMPT_MIN: Duration = Duration::from_secs(5);
/// First pause after a KMS that does not answer; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What the store holds when the server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// Nothing.
    New,
    /// Records that were sealed under some key.
    Used,
}

impl Store {
    pub(crate) const fn from_is_new(is_new: bool) -> Self {
        if is_new { Self::New } else { Self::Used }
    }
}

/// Makes sure that the default key is there and can be used; makes it for a new store where that is allowed.
///
/// For a store that was used before, a missing key is no omission but a loss: a key of the same name with other material would
/// hide it. A KMS that does not answer is waited for until `timeout`.
pub(crate) async fn ready(kms: &dyn Kms, timeout: Duration, store: Store) -> Result<()> {
    let deadline = Instant::now() + timeout;
    let mut pause = PAUSE_MIN;
    let mut created = false;
    loop {
        // A call has limits of its own, which may be longer than the operator wants to wait.
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(ATTEMPT_MIN);
        let asked = tokio::time::timeout(left, kms.new_data_key(None, NO_CONTEXT)).await;
        let error = match asked {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => bail!(
                "the key management system does not answer; gave up after {} seconds \
                 (STRONGROOM_KMS_START_TIMEOUT)",
                timeout.as_secs()
            ),
        };
        match error {
            KmsError::KeyNotFound { key } if store == Store::Used => bail!(
                "the default key {key:?} does not exist (any more), and this directory was used before: \
                 bring the key back from a backup of the key server, or, if it is meant to be a new one, \
                 create it (`strongroom kes key create {key}`)"
            ),
            KmsError::KeyNotFound { key } if !created => {
                created = true;
                create(kms, &key).await?;
            }
            // A policy may grant nothing beyond objects' contexts: uploads will tell.
            KmsError::Denied { key } => {
                tracing::warn!(
                    key,
                    "the key management system denies a data key without context: uploads may be denied as well"
                );
                return Ok(());
            }
            error if !error.is_transient() => bail!("the default key cannot be used: {error}"),
            error if Instant::now() + pause >= deadline => bail!(
                "{error}; gave up after {} seconds (STRONGROOM_KMS_START_TIMEOUT)",
                timeout.as_secs()
            ),
            error => {
                tracing::warn!(%error, "waiting for the key management system");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn create(kms: &dyn Kms, key: &str) -> Result<()> {
    match kms.create_key(key).await {
        Ok(()) => tracing::info!(key, "the default key did not exist and was created"),
        // Another server of the same start made it.
        Err(KmsError::KeyExists { .. }) => {}
        Err(KmsError::Denied { .. }) => bail!(
            "the default key {key:?} does not exist, and the key management system does not let us create it: \
             create it as its administrator (`strongroom kes key create {key}`)"
        ),
        Err(error) => {
            bail!("the default key {key:?} does not exist and cannot be created: {error}")
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;
    use strongroom_envelope::DataKey;
    use strongroom_kms::{EndpointStatus, KeyInfo, NewDataKey};

    use super::*;

    /// Answers in the order given: a data key or an error, and one outcome of creating.
    struct Script {
        data_keys: Mutex<VecDeque<Option<KmsError>>>,
        create: Mutex<Option<KmsError>>,
    }

    fn script(answers: Vec<Option<KmsError>>, create: Option<KmsError>) -> Script {
        Script {
            data_keys: Mutex::new(answers.into()),
            create: Mutex::new(create),
        }
    }

    #[async_trait]
    impl Kms for Script {
        async fn new_data_key(
            &self,
            key: Option<&str>,
            context: &[u8],
        ) -> Result<NewDataKey, KmsError> {
            assert_eq!((key, context), (None, b"{}".as_slice()));
            let mut answers = self
                .data_keys
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match answers.pop_front().expect("an answer for each call") {
                Some(error) => Err(error),
                None => Ok(NewDataKey {
                    key_name: "k".into(),
                    key_version: None,
                    plaintext: DataKey::from_bytes([1; 32]),
                    sealed: vec![1],
                    fingerprint: None,
                }),
            }
        }
        async fn open_data_key(
            &self,
            _: &str,
            _: Option<&str>,
            _: &[u8],
            _: &[u8],
        ) -> Result<DataKey, KmsError> {
            Err(KmsError::NotSupported { what: "opening" })
        }
        async fn create_key(&self, _: &str) -> Result<(), KmsError> {
            let mut create = self.create.lock().unwrap_or_else(PoisonError::into_inner);
            create.take().map_or(Ok(()), Err)
        }
        async fn describe(&self, _: &str) -> Result<KeyInfo, KmsError> {
            Err(KmsError::NotSupported { what: "describing" })
        }
        async fn status(&self) -> Vec<EndpointStatus> {
            Vec::new()
        }
        fn default_key(&self) -> &str {
            "k"
        }
    }

    fn not_found() -> Option<KmsError> {
        Some(KmsError::KeyNotFound { key: "k".into() })
    }
    fn denied() -> Option<KmsError> {
        Some(KmsError::Denied { key: "k".into() })
    }
    fn down() -> Option<KmsError> {
        let message = "connection refused".into();
        Some(KmsError::Unavailable {
            key: None,
            message,
            source: None,
        })
    }

    async fn start(script: Script) -> Result<(), String> {
        ready(&script, Duration::from_secs(60), Store::New)
            .await
            .map_err(|error| format!("{error:#}"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_there_made_or_made_by_another_will_do() {
        start(script(vec![None], None)).await.unwrap();
        start(script(vec![not_found(), None], None)).await.unwrap();
        let exists = Some(KmsError::KeyExists { key: "k".into() });
        start(script(vec![not_found(), None], exists))
            .await
            .unwrap();
        start(script(vec![denied()], None)).await.unwrap();
        start(script(vec![down(), down(), None], None))
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_neither_found_nor_made_stops_the_start_in_words() {
        let sentence = start(script(vec![not_found()], denied()))
            .await
            .unwrap_err();
        assert!(
            sentence.contains("\"k\"") && sentence.contains("kes key create k"),
            "{sentence}"
        );
        let sentence = start(script(vec![not_found(), not_found()], None))
            .await
            .unwrap_err();
        assert!(sentence.contains("does not exist"), "{sentence}");
        let broken = Some(KmsError::InvalidKeyName {
            key: "k".into(),
            reason: "odd".into(),
        });
        let sentence = start(script(vec![broken], None)).await.unwrap_err();
        assert!(sentence.contains("odd"), "{sentence}");
    }

    #[tokio::test]
    async fn a_key_that_went_missing_is_not_made_anew() {
        let kms = script(vec![not_found()], None);
        let sentence = ready(&kms, Duration::from_secs(60), Store::Used)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            sentence.contains("\"k\"") && sentence.contains("backup"),
            "{sentence}"
        );
    }

    #[tokio::test]
    async fn a_kms_that_never_answers_is_given_up() {
        let kms = script((0..100).map(|_| down()).collect(), None);
        let timeout = Duration::from_millis(100);
        let sentence = ready(&kms, timeout, Store::New)
            .await
            .unwrap_err()
            .to_string();
        assert!(sentence.contains("connection refused"), "{sentence}");
        assert!(
            sentence.contains("STRONGROOM_KMS_START_TIMEOUT"),
            "{sentence}"
        );
    }
}
