use super::*;

const LEN_MAX: usize = 1_000;

fn framed(kind: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::from(&[kind][..]);
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn take(kind: u8, body: &[u8]) -> Result<Option<Message>, MessageError> {
    Message::take(&mut framed(kind, body), LEN_MAX)
}

const BIND: &[u8] = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0";

#[test]
fn messages_are_read() {
    assert_eq!(
        take(b'Q', b"SELECT 1\0"),
        Ok(Some(Message::Query("SELECT 1".into())))
    );
    assert_eq!(
        take(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"),
        Ok(Some(Message::Parse {
            name: "s".into(),
            sql: "SELECT $1".into(),
            types: vec![23]
        }))
    );
    assert_eq!(
        take(b'B', BIND),
        Ok(Some(Message::Bind(Bind {
            portal: "p".into(),
            statement: "s".into(),
            parameter_formats: vec![1],
            parameters: vec![Some(Bytes::from_static(b"ab")), None],
            result_formats: vec![],
        })))
    );
    assert_eq!(
        take(b'E', b"\0\0\0\0\x05"),
        Ok(Some(Message::Execute {
            portal: String::new(),
            rows_max: 5
        }))
    );
    assert_eq!(
        take(b'E', b"\0\xff\xff\xff\xff"),
        Ok(Some(Message::Execute {
            portal: String::new(),
            rows_max: 0
        }))
    );
    assert_eq!(take(b'S', b""), Ok(Some(Message::Sync)));
    assert_eq!(
        take(b'd', b"anything"),
        Ok(Some(Message::CopyData(b"anything"[..].into())))
    );
}

#[test]
fn part_of_a_message_waits_for_the_rest() {
    let whole = framed(b'B', BIND);
    for len in 0..whole.len() {
        let mut part = BytesMut::from(&whole[..len]);
        assert_eq!(Message::take(&mut part, LEN_MAX), Ok(None));
        assert_eq!(part.len(), len);
    }
}

#[test]
fn a_body_cut_short_is_skipped_not_read_past() {
    for len in 0..BIND.len() {
        let mut bytes = framed(b'B', &BIND[..len]);
        bytes.extend_from_slice(&framed(b'S', b""));
        assert!(
            matches!(
                Message::take(&mut bytes, LEN_MAX),
                Err(MessageError::Skipped(_))
            ),
            "{len}"
        );
        assert_eq!(Message::take(&mut bytes, LEN_MAX), Ok(Some(Message::Sync)));
    }
}

#[test]
fn inner_counts_that_lie_are_refused() {
    for body in [
        &b"\0\0\xff\xff"[..],
        b"\0\0\0\0\xff\xff\0\0\0\0",
        b"\0\0\0\0\0\x01\x7f\xff\xff\xffab\0\0",
        b"\0\0\0\0\0\x01\x80\0\0\0ab\0\0",
    ] {
        assert!(matches!(take(b'B', body), Err(MessageError::Skipped(_))));
    }
    assert!(matches!(
        take(b'P', b"\0\0\xff\xff"),
        Err(MessageError::Skipped(_))
    ));
    assert!(matches!(take(b'D', b"Z\0"), Err(MessageError::Skipped(_))));
    assert!(matches!(take(b'S', b"x"), Err(MessageError::Skipped(_))));
}

#[test]
fn impossible_lengths_end_the_connection() {
    for len in [0u32, 3, LEN_MAX as u32 + 1, u32::MAX] {
        let mut bytes = BytesMut::from(&b"Q"[..]);
        bytes.extend_from_slice(&len.to_be_bytes());
        assert!(matches!(
            Message::take(&mut bytes, LEN_MAX),
            Err(MessageError::Fatal(_))
        ));
    }
    assert!(matches!(take(b'!', b""), Err(MessageError::Fatal(_))));
    assert!(matches!(take(b'Q', b"no end"), Err(MessageError::Fatal(_))));
    assert!(matches!(take(b'Q', b"\xff\0"), Err(MessageError::Fatal(_))));
}

#[test]
fn openings_are_read() {
    let open = |body: &[u8]| {
        let mut bytes = BytesMut::from(&(body.len() as u32 + 4).to_be_bytes()[..]);
        bytes.extend_from_slice(body);
        Opening::take(&mut bytes)
    };
    assert_eq!(open(&SSL_CODE.to_be_bytes()), Ok(Some(Opening::Ssl)));
    assert_eq!(open(&GSS_CODE.to_be_bytes()), Ok(Some(Opening::Gss)));
    assert_eq!(
        open(b"\0\x03\0\x02user\0a\0\0"),
        Ok(Some(Opening::Startup {
            minor: 2,
            parameters: vec![("user".into(), "a".into())]
        }))
    );
    assert_eq!(open(b"\0\x02\0\0\0").unwrap_err().code.as_str(), "0A000");
    assert_eq!(
        open(b"\0\x03\0\0user\0a").unwrap_err().code.as_str(),
        "08P01"
    );
    let mut http = BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..]);
    assert_eq!(Opening::take(&mut http).unwrap_err().code.as_str(), "08P01");
}
