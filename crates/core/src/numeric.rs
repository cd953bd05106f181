//! Exact decimals.

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// An exact decimal: `coefficient / 10^scale`. At most 38 digits, scale at most 30.
#[derive(Clone, Copy, Debug)]
pub struct Numeric {
    /// The digits as an integer.
    pub coefficient: i128,
    /// Digits after the point.
    pub scale: u8,
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        self.coefficient == other.coefficient && self.scale == other.scale
    }
}

impl Encode for Numeric {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.scale);
        out.extend_from_slice(&self.coefficient.to_be_bytes());
    }
}

impl Decode for Numeric {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scale: reader.u8()?,
            coefficient: i128::from_be_bytes(reader.array()?),
        })
    }
}
