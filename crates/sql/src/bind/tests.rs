//! Binding, lowering and running, on a database in memory.

mod harness;
mod statements;
