//! Whether the server lives, and whether it can do its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Response, StatusCode};
use s3s::Body;
use strongroom_kms::Kms;
use tokio::sync::Mutex;

/// How long an answer of the KMS is believed: probes come from everywhere and need no credentials.
const BELIEVED: Duration = Duration::from_secs(5);
/// Longest that a probe waits for the KMS.
const PROBE_TIME_MAX: Duration = Duration::from_secs(10);
/// The context of a data key that is made to see whether one is made.
const CONTEXT: &[u8] = br#"{"healthcheck":""}"#;

/// Answers health probes.
pub(crate) struct Health {
    kms: Option<Arc<dyn Kms>>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Health {
    /// Ready when this KMS makes data keys; without one, always.
    pub(crate) fn new(kms: Option<Arc<dyn Kms>>) -> Self {
        Self {
            kms,
            last: Mutex::new(None),
        }
    }

    /// The answer, if this is a probe.
    pub(super) async fn answer(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        let probe = path.strip_prefix("/minio/health/")?;
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let outcome = match probe {
            // A single node is its own quorum.
            "live" | "cluster" | "cluster/read" => Ok(()),
            "ready" => self.ready().await,
            _ => return None,
        };
        let (status, text) = match outcome {
            Ok(()) => (StatusCode::OK, String::new()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
        };
        let text = if *method == Method::HEAD {
            String::new()
        } else {
            text
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        Some(response)
    }

    /// One probe at a time asks; the others wait for its answer.
    async fn ready(&self) -> Result<(), String> {
        let Some(kms) = &self.kms else { return Ok(()) };
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < BELIEVED
        {
            return outcome.clone();
        }
        let asked = tokio::time::timeout(PROBE_TIME_MAX, kms.new_data_key(None, CONTEXT)).await;
        // The reason may name hosts: whoever may see it reads the log.
        let outcome = match asked {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready");
                Err("the key management system does not give data keys".to_owned())
            }
            Err(_) => Err("the key management system does not answer".to_owned()),
        };
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}
