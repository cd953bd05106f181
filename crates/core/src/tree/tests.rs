//! The tree against a plain map, and against itself built in one go.

mod model;
