#![forbid(unsafe_code)]
//! Keys in appliances with a REST interface: Thales CipherTrust, Entrust KeyControl, Fortanix SDKMS.
