//! The operating system's randomness.

use crate::random::Random;

/// Randomness of the operating system, fit for keys.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // Going on without randomness would give guessable keys, so this one failure ends the program.
        getrandom::fill(buffer).expect("the operating system gives randomness");
    }
}
