#![forbid(unsafe_code)]
//! Keys in AWS Secrets Manager: one secret a key, its name the key's name and its text the stored value.
//!
//! Four rights are needed: `secretsmanager:CreateSecret`, `GetSecretValue`, `DeleteSecret` and `ListSecrets`; with a KMS
//! key of one's own also `kms:GenerateDataKey` and `kms:Decrypt` on it. Only creation demands that a name is free, and
//! that is atomic. All else is eventually consistent: "`ListSecrets` might not reflect changes from the last five minutes"
//! (API reference, `ListSecrets`).

mod credentials;
mod endpoint;
mod examine;
mod failure;
mod line;
mod store;

pub use store::AwsStore;
