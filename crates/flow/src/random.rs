//! Randomness, as the machine gives it. Nothing that nodes must agree on may draw from it.

/// Where random bytes come from.
pub trait Random: Send + Sync {
    /// Fills `buffer` with random bytes, fit for keys and nonces in the real implementation.
    fn fill(&self, buffer: &mut [u8]);

    /// A random number, all values equally likely.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}
