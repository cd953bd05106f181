//! The servers: what a node offers its clients over the network.

pub mod access;
pub mod http;
pub mod pg;
