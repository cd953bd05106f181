//! To come: function.
