//! Byte strings in a key: 00 is written 00 FF, and 00 00 ends the string, so a string sorts before
//! its own continuations.

use crate::codec::{DecodeError, Reader};

const ESCAPED: u8 = 0xff;
const END: u8 = 0x00;

pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(ESCAPED);
        }
    }
    out.extend_from_slice(&[0, END]);
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::new();
    loop {
        match reader.u8()? {
            0 => match reader.u8()? {
                ESCAPED => bytes.push(0),
                END => return Ok(bytes),
                _ => {
                    return Err(DecodeError::Invalid(
                        "a zero byte in a key is neither escaped nor an end",
                    ));
                }
            },
            byte => bytes.push(byte),
        }
    }
}
