//! The parts of simulations that need no cluster: chances, and what clients saw.

pub mod history;
pub mod random;
