mod blocks;
mod bounds;
mod history;
mod reads;
mod replay;
mod statements;
mod support;
