//! Everything between here and the keys, one step after the other.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use strongroom_keystore::{Finding, KeyStore as _};

use crate::client::Credential;
use crate::refusal::Refusal;
use crate::{CALL_MAX, GcpStore};

/// Google refuses tokens that were signed in the future; it forgives some minutes.
const CLOCK_OFF_MAX_SECONDS: u64 = 240;
/// A secret that nobody has: reading it tells "not found" from "not allowed".
const NO_SUCH_KEY: &str = "strongroom-doctor-no-such-key";

/// Stops at the first failure that all later steps would repeat.
pub(crate) async fn examine(store: &GcpStore) -> Vec<Finding> {
    let mut findings = Vec::new();
    let date = match tokio::time::timeout(CALL_MAX, store.client.reach()).await {
        Ok(Ok(date)) => {
            findings.push(Finding::good(
                "reach Google Secret Manager",
                format!("{} answers", store.endpoint),
            ));
            date
        }
        Ok(Err(error)) => {
            findings.push(Finding::bad("reach Google Secret Manager", error.in_full()));
            return findings;
        }
        Err(_) => {
            findings.push(Finding::bad(
                "reach Google Secret Manager",
                format!(
                    "{} does not answer: check the network and any proxy",
                    store.endpoint
                ),
            ));
            return findings;
        }
    };
    findings.push(clock(date.as_deref(), Timestamp::now()));
    if matches!(store.client.credential(), Credential::Anonymous) {
        findings.push(Finding::good(
            "obtain a token",
            "none is needed without TLS: an emulator",
        ));
    } else {
        let token = store.within(store.client.token()).await;
        let seen = format!("obtained ({})", store.client.credential().word());
        findings.push(Finding::of("obtain a token", &token, &seen));
        if token.is_err() {
            return findings;
        }
    }
    let listed = store.connect().await;
    findings.push(Finding::of("list secrets", &listed, "allowed"));
    let read = store
        .within(async {
            match store.access(NO_SUCH_KEY).await {
                Ok(_) | Err(Refusal::NotFound) => Ok(()),
                Err(refusal) => Err(refusal.on("reading secrets")),
            }
        })
        .await;
    findings.push(Finding::of("read secrets", &read, "allowed"));
    findings
}

fn clock(date: Option<&str>, now: Timestamp) -> Finding {
    const STEP: &str = "compare clocks";
    let Some(theirs) = date.and_then(|d| rfc2822::parse(d).ok()) else {
        return Finding::good(STEP, "the answer carries no date to compare with");
    };
    let off = (now.as_second() - theirs.timestamp().as_second()).unsigned_abs();
    if off > CLOCK_OFF_MAX_SECONDS {
        Finding::bad(
            STEP,
            format!(
                "this machine's clock differs from Google's by {off} s, and tokens would be refused: set it by NTP"
            ),
        )
    } else {
        Finding::good(STEP, format!("they agree within {off} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_with_the_difference() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let right = clock(Some("Thu, 01 Jan 2026 12:00:30 GMT"), now);
        assert!(right.outcome.is_ok(), "{right:?}");
        let wrong = clock(Some("Thu, 01 Jan 2026 12:10:00 GMT"), now);
        assert!(wrong.outcome.unwrap_err().contains("600 s"));
        assert!(clock(None, now).outcome.is_ok());
    }
}
