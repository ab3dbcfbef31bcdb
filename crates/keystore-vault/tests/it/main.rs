//! The Vault store against real OpenBao servers, and against answers that no good server gives.

mod bao;
mod certificates;
mod concurrency;
mod contract;
mod doctor;
mod faults;
mod layout;
mod login;
mod scripted;
mod transit;
