//! What `kes doctor` is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom_kes_api::KeyName;
use strongroom_keystore::Finding;

use crate::credentials;
use crate::failure::Failure;
use crate::line::CALL_MAX;
use crate::store::AwsStore;

/// AWS refuses signatures that are older, or younger ("Troubleshoot Signature Version 4", request timestamps).
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(5 * 60);
/// A name that nobody gives a key.
const PROBE: &str = "strongroom-doctor-looks-for-nothing";

impl AwsStore {
    /// Stops at the first step that the ones behind it need.
    pub(crate) async fn look_around(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let reach = format!("reach {}", self.url());
        match self.line.greet().await {
            Ok(greeting) => {
                findings.push(Finding::good(
                    reach,
                    format!("it answers (HTTP {})", greeting.status),
                ));
                findings.extend(
                    greeting
                        .sent_at
                        .map(|there| clock(there, SystemTime::now())),
                );
            }
            Err(error) => {
                findings.push(Finding::bad(reach, error.in_full()));
                return findings;
            }
        }
        let found = tokio::time::timeout(CALL_MAX, credentials::kind(&self.credentials)).await;
        let found = match found {
            Ok(found) => found.map_err(|e| Failure::of_credentials(&e)),
            Err(_) => Err(Failure::too_slow()),
        };
        match found {
            Ok(kind) => findings.push(Finding::good("AWS credentials", format!("from {kind}"))),
            Err(failure) => {
                let error = failure.into_words(self.url());
                findings.push(Finding::bad("AWS credentials", error.in_full()));
                return findings;
            }
        }
        let listed = self.list_one().await;
        let is_known = matches!(listed, Ok(()) | Err(Failure::Denied { .. }));
        let listed = listed.map_err(|f| f.in_words(self.call("ListSecrets", None)));
        findings.push(Finding::of(
            "secretsmanager:ListSecrets",
            &listed,
            "allowed",
        ));
        if is_known {
            findings.extend(self.look_for_nothing().await);
        }
        findings
    }

    async fn look_for_nothing(&self) -> Option<Finding> {
        let step = "secretsmanager:GetSecretValue";
        let probe = KeyName::parse(PROBE).ok()?;
        Some(match self.read(&probe).await {
            Ok(_) => Finding::good(step, "allowed"),
            Err(Failure::Missing { .. }) => {
                Finding::good(step, "allowed; a key that does not exist is told as such")
            }
            Err(denied @ Failure::Denied { .. }) => {
                let error = denied.in_words(self.call("GetSecretValue", Some(&probe)));
                Finding::bad(
                    step,
                    format!(
                        "{error}; a policy that allows some names only does this too, and then keys of those names work"
                    ),
                )
            }
            Err(failure) => {
                let error = failure.in_words(self.call("GetSecretValue", Some(&probe)));
                Finding::bad(step, error.in_full())
            }
        })
    }
}

fn clock(there: i64, here: SystemTime) -> Finding {
    let here = here
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let difference = there.abs_diff(i64::try_from(here).unwrap_or(i64::MAX));
    let step = "clock";
    if Duration::from_secs(difference) > CLOCK_DIFFERENCE_MAX {
        Finding::bad(
            step,
            format!(
                "this machine's clock and that of AWS differ by {difference} s, and AWS refuses requests signed more than \
                 {} s off; set the clock (NTP)",
                CLOCK_DIFFERENCE_MAX.as_secs()
            ),
        )
    } else {
        Finding::good(step, format!("{difference} s off the clock of AWS"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_beyond_five_minutes_either_way() {
        let here = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (there, is_good) in [
            (999_700, true),
            (1_000_300, true),
            (999_699, false),
            (1_000_301, false),
        ] {
            assert_eq!(clock(there, here).outcome.is_ok(), is_good, "{there}");
        }
        let wrong = clock(1_000_900, here).outcome.unwrap_err();
        assert!(
            wrong.contains("900 s") && wrong.contains("set the clock"),
            "{wrong}"
        );
    }
}
