//! To come: parse.
