//! Binding, lowering and running, on a database in memory.

mod golden;
mod harness;
mod limits;
mod reach;
mod statements;
