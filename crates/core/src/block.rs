//! To come: block.
