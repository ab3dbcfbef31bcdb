//! The store as a whole, on real directories.

mod concurrent;
mod crash;
mod damage;
mod faulty;
mod golden;
mod harness;
mod listing;
mod objects;
mod opening;
mod sweeping;
mod uploads;
