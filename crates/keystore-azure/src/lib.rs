#![forbid(unsafe_code)]
//! Keys as secrets in Azure Key Vault.
