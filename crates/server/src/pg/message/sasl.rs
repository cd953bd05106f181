//! Password messages, which carry a SASL exchange.

use bytes::{Bytes, BytesMut};
use stele_sql::SqlError;

use super::{Body, violation};

/// Longest password message, in bytes.
const LEN_MAX: usize = 8 * 1024;

/// Cuts the body of the next message off `input`; none while it is not whole.
///
/// # Errors
/// 08P01 when it is no password message, or longer than any.
pub(crate) fn take(input: &mut BytesMut) -> Result<Option<Bytes>, SqlError> {
    let Some([kind, len @ ..]) = input.first_chunk::<5>().copied() else {
        return Ok(None);
    };
    if kind != b'p' {
        return Err(violation(format!(
            "expected SASL response, got message type {kind}"
        )));
    }
    let len = u32::from_be_bytes(len) as usize;
    if !(4..=LEN_MAX).contains(&len) {
        return Err(violation("invalid length of a password message"));
    }
    if input.len() < len + 1 {
        return Ok(None);
    }
    Ok(Some(input.split_to(len + 1).freeze().slice(5..)))
}

/// The first message of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaslFirst {
    /// The mechanism the client has chosen.
    pub(crate) mechanism: String,
    /// What it says.
    pub(crate) data: Bytes,
}

impl SaslFirst {
    /// Reads the body of a message.
    ///
    /// # Errors
    /// 08P01 when it is no such message.
    pub(crate) fn read(body: Bytes) -> Result<Self, SqlError> {
        let mut body = Body(body);
        let mechanism = body.name()?;
        // -1 stands for none: then the server would speak first, which SCRAM does not know.
        let len = usize::try_from(body.u32()? as i32)
            .map_err(|_| violation("SASL message without a first response"))?;
        let data = body.take(len)?;
        if !body.0.is_empty() {
            return Err(violation("invalid message format"));
        }
        Ok(Self { mechanism, data })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;

    use super::*;

    fn message(body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u8(b'p');
        bytes.put_u32(body.len() as u32 + 4);
        bytes.put_slice(body);
        bytes
    }

    #[test]
    fn a_first_message_is_read_whole() {
        let mut whole = message(b"SCRAM-SHA-256\0\0\0\0\x03abc");
        whole.put_slice(b"rest");
        for len in 0..whole.len() - 4 {
            let mut part = BytesMut::from(&whole[..len]);
            assert_eq!(take(&mut part).unwrap(), None);
        }
        let first = SaslFirst::read(take(&mut whole).unwrap().unwrap()).unwrap();
        assert_eq!(first.mechanism, "SCRAM-SHA-256");
        assert_eq!(&*first.data, b"abc");
        assert_eq!(&*whole, b"rest");
    }

    #[test]
    fn what_is_none_is_refused() {
        for mut bytes in [
            BytesMut::from(&b"Q\0\0\0\x05\0"[..]),
            BytesMut::from(&b"p\0\0\0\x03"[..]),
            BytesMut::from(&b"p\xff\xff\xff\xff"[..]),
        ] {
            assert_eq!(take(&mut bytes).unwrap_err().code.as_str(), "08P01");
        }
        for body in [
            &b""[..],
            b"SCRAM-SHA-256",
            b"SCRAM-SHA-256\0\0\0\0\x04abc",
            b"SCRAM-SHA-256\0\0\0\0\x02abc",
            b"SCRAM-SHA-256\0\xff\xff\xff\xff",
            b"\xff\0\0\0\0\0",
        ] {
            assert!(SaslFirst::read(Bytes::from_static(body)).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = take(&mut BytesMut::from(&bytes[..]));
            let _ = SaslFirst::read(bytes.into());
        }
    }
}
