//! Failures of Vault in the words of the trait.

use strongroom_kes_api::KeyName;
use strongroom_keystore::StoreError;
use strongroom_vault::VaultError;

/// `action` did not work, and reads after "cannot".
pub(crate) fn failed(action: &str, error: VaultError) -> StoreError {
    match error {
        VaultError::Unreachable(_) | VaultError::Sealed { .. } => StoreError::Unreachable {
            reason: error.to_string(),
            source: None,
        },
        error => StoreError::other(format!("cannot {action}: {error}")),
    }
}

/// Something is wrong with what lies under a name.
pub(crate) fn broken(name: &KeyName, what: &str) -> StoreError {
    StoreError::other(format!("key '{name}' {what}"))
}
