//! To come: note.
