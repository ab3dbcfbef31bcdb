#![forbid(unsafe_code)]
//! Keys in AWS Secrets Manager.
