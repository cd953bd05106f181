use super::*;

fn texts(message: &str) -> Vec<&str> {
    split(message)
        .unwrap()
        .into_iter()
        .map(|piece| piece.sql)
        .collect()
}

#[test]
fn semicolons_in_quotes_and_comments_do_not_end_a_statement() {
    assert_eq!(
        texts("SELECT ';', \";\" ; /* ; /* ; */ ; */ SELECT 2 -- ;\n;;\n"),
        ["SELECT ';', \";\"", "SELECT 2"]
    );
    assert_eq!(
        texts("SELECT $$;$$; SELECT $a$;$$;$a$"),
        ["SELECT $$;$$", "SELECT $a$;$$;$a$"]
    );
    assert_eq!(
        texts(r"SELECT E'\';' ; SELECT '\' ; x"),
        [r"SELECT E'\';'", r"SELECT '\'", "x"]
    );
    assert_eq!(texts("SELECT 'it''s;' ; y"), ["SELECT 'it''s;'", "y"]);
}

#[test]
fn nothing_gives_no_statement() {
    assert!(texts("").is_empty());
    assert!(texts(" ; -- x\n /* y */ ;").is_empty());
}

#[test]
fn unclosed_quotes_run_to_the_end() {
    for text in [
        "SELECT 'a;b",
        "SELECT \"a;b",
        "SELECT $$a;b",
        "SELECT E'\\",
        "/* ;",
    ] {
        assert!(texts(text).len() <= 1, "{text}");
    }
}

#[test]
fn places_count_characters() {
    let pieces = split("SELECT 'ü'; SELECT 2").unwrap();
    assert_eq!(pieces[1].characters_before, 12);
}

#[test]
fn content_takes_quotes_off() {
    let mut scanner = Scanner::new("Set \"A\"\"b\" 'it''s' $t$x$t$ 12.5 $1");
    let mut contents = Vec::new();
    while let Some((token, _, _)) = scanner.next_token() {
        contents.push(token.content());
    }
    assert_eq!(contents, ["set", "A\"b", "it's", "x", "12.5", "$1"]);
}

#[test]
fn too_many_statements_are_refused() {
    let error = split(&"x;".repeat(STATEMENTS_MAX + 1)).unwrap_err();
    assert_eq!(error.code.as_str(), "54000");
}
