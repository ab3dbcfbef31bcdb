//! Everything between here and the keys, one step after the other.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use strongroom_keystore::{Finding, KeyStore as _};

use crate::AzureStore;

/// Entra ID and TLS forgive five minutes.
const CLOCK_OFF_MAX_SECONDS: u64 = 300;
/// A secret that nobody has.
const NO_SUCH_KEY: &str = "strongroom-doctor-no-such-key";

/// Stops at the first failure that all later steps would repeat.
pub(crate) async fn examine(store: &AzureStore) -> Vec<Finding> {
    let vault = &store.vault;
    let reached = store.within(vault.reach()).await;
    let mut findings = vec![Finding::of("reach Azure Key Vault", &reached, "it answers")];
    let Ok(date) = reached else {
        return findings;
    };
    findings.push(clock(date.as_deref(), (store.clock)()));
    let token = store.within(vault.log_in()).await;
    let seen = format!("given by {}", vault.login().trim_end_matches(','));
    findings.push(Finding::of("obtain a token", &token, &seen));
    if token.is_err() {
        return findings;
    }
    let listed = store.connect().await;
    findings.push(Finding::of("list secrets", &listed, "allowed"));
    let read = store.within(vault.try_to_read(NO_SUCH_KEY)).await;
    findings.push(Finding::of("read secrets", &read, "allowed"));
    findings
}

fn clock(date: Option<&str>, now: SystemTime) -> Finding {
    const STEP: &str = "compare clocks";
    let theirs = date.and_then(|d| rfc2822::parse(d).ok());
    let (Some(theirs), Ok(ours)) = (theirs, Timestamp::try_from(now)) else {
        return Finding::good(STEP, "the answer carries no date to compare with");
    };
    let off = (ours.as_second() - theirs.timestamp().as_second()).unsigned_abs();
    if off > CLOCK_OFF_MAX_SECONDS {
        Finding::bad(
            STEP,
            format!(
                "this machine's clock differs from Azure's by {off} s: tokens and dates of secrets would be misjudged; \
                 set it by NTP"
            ),
        )
    } else {
        Finding::good(STEP, format!("they agree within {off} s"))
    }
}
