//! Failures to be injected.

use std::io;

use crate::files::Operation;

/// A failure planned for a moment to come.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which operation fails.
    pub operation: Operation,
    /// Which one of that kind, counted from the planning on; 1 is the next.
    pub nth: u64,
    /// How it fails.
    pub kind: FaultKind,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
pub enum FaultKind {
    /// With an error of this kind, without effect. A failed sync drops what it should have kept.
    Error(io::ErrorKind),
    /// A write that stores only its first bytes, then fails with an error of this kind.
    ShortWrite(usize, io::ErrorKind),
}
