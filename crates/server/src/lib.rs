//! The servers: what a node offers its clients over the network.

pub mod http;
pub mod pg;
