//! To come: outcome.
