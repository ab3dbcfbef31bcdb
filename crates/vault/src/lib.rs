#![forbid(unsafe_code)]
//! The HTTP API of HashiCorp Vault and OpenBao, as far as Strongroom needs it: login, token renewal, K/V, transit.
