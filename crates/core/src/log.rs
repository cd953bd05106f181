//! To come: log.
