mod blocks;
mod replay;
mod support;
