//! To come: row.
