//! To come: bind.
