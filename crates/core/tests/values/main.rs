//! Values, keys and rows: what one machine encodes every other must read as the same value, and
//! nothing else may read as a value at all. Random values for the laws, fixtures for the layouts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

mod fixtures;
mod laws;
mod strategies;
