//! The local store, tested from outside.

mod contract;
mod wire;
