mod blocks;
mod bounds;
mod history;
mod previews;
mod reads;
mod replay;
mod statements;
mod support;
