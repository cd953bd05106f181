//! To come: proof.
