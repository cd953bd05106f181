//! To come: genesis.
