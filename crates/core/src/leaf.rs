//! To come: leaf.
