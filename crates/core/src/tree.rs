//! To come: tree.
