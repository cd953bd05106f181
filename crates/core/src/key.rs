//! To come: key.
