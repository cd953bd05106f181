use super::*;

fn rows(options: CopyOptions, pieces: &[&[u8]]) -> Vec<Vec<Option<String>>> {
    let mut reader = RowReader::new(options, vec!["a".to_owned(), "b".to_owned()]);
    let mut rows = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        while let Some(row) = reader.next_row(false).unwrap() {
            rows.push(row);
        }
    }
    while let Some(row) = reader.next_row(true).unwrap() {
        rows.push(row);
    }
    rows.into_iter()
        .map(|row| {
            row.into_iter()
                .map(|field| field.map(|bytes| String::from_utf8(bytes).unwrap()))
                .collect()
        })
        .collect()
}

fn csv() -> CopyOptions {
    CopyOptions {
        format: CopyFormat::Csv,
        ..CopyOptions::default()
    }
}

#[test]
fn text_comes_in_pieces_of_any_length() {
    let text = b"1\ta\\tb\n2\t\\N\r\n3\t\\\\N\n\\.\nignored\n";
    let wanted = vec![
        vec![Some("1".to_owned()), Some("a\tb".to_owned())],
        vec![Some("2".to_owned()), None],
        vec![Some("3".to_owned()), Some("\\N".to_owned())],
    ];
    for len in 1..text.len() {
        let pieces: Vec<&[u8]> = text.chunks(len).collect();
        assert_eq!(
            rows(CopyOptions::default(), &pieces),
            wanted,
            "pieces of {len}"
        );
    }
}

#[test]
fn csv_keeps_quotes_line_feeds_and_tells_null_from_empty() {
    let text = b"a,\"x,\"\"y\"\"\nz\",,\"\"\n";
    let wanted = vec![vec![
        Some("a".to_owned()),
        Some("x,\"y\"\nz".to_owned()),
        None,
        Some(String::new()),
    ]];
    for len in 1..text.len() {
        let pieces: Vec<&[u8]> = text.chunks(len).collect();
        assert_eq!(rows(csv(), &pieces), wanted, "pieces of {len}");
    }
    let header = CopyOptions {
        header: true,
        ..csv()
    };
    assert_eq!(rows(header, &[b"a,b\n1,2"]).len(), 1);
}

#[test]
fn what_is_written_is_read_back() {
    let columns: Vec<OutputColumn> = ["a", "b"]
        .map(|name| OutputColumn {
            name: name.to_owned(),
            ty: Type::Text,
            system: None,
        })
        .into();
    let fields = ["", "\\N", "a\tb\nc\\", "\"q\",", "\\."];
    for options in [CopyOptions::default(), csv()] {
        for field in fields {
            let mut out = BytesMut::new();
            let row = [Value::Text(field.to_owned()), Value::Null];
            options.put_row(&columns, &row, &mut out);
            assert_eq!(
                rows(options.clone(), &[&out]),
                vec![vec![Some(field.to_owned()), None]],
                "{field:?} as {:?}",
                options.format
            );
        }
    }
}
