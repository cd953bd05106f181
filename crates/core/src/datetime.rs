//! To come: datetime.
