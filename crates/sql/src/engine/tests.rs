mod blocks;
mod support;
