//! What every [`Kms`](crate::Kms) promises, as a suite that each implementation runs.
