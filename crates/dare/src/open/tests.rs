//! Placeholder until the lenient vectors below.
