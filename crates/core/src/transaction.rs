//! To come: transaction.
