mod blocks;
mod bounds;
mod reads;
mod replay;
mod support;
