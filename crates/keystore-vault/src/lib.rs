#![forbid(unsafe_code)]
//! Keys in the K/V engine of HashiCorp Vault or OpenBao.
