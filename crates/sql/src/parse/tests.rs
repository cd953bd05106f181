use super::*;

#[test]
fn each_statement_keeps_its_own_text() {
    let statements = parse("SELECT 'a;ü' ; -- c;\n INSERT INTO t VALUES (1);;\n").unwrap();
    let texts: Vec<&str> = statements.iter().map(ParsedStatement::text).collect();
    assert_eq!(texts, ["SELECT 'a;ü'", "INSERT INTO t VALUES (1)"]);
    assert_eq!(statements[1].kind(), StatementKind::Write);
    assert!(parse(" -- nothing\n;").unwrap().is_empty());
}

#[test]
fn a_syntax_error_has_its_place() {
    let error = parse("SELECT 1;\nSELEC 2").unwrap_err();
    assert_eq!(error.code.as_str(), "42601");
    assert_eq!(error.position, Some(11));
    assert_eq!(error.message, "syntax error at or near \"SELEC\"");
    assert_eq!(
        parse("SELECT (1").unwrap_err().message,
        "syntax error at end of input"
    );
}

#[test]
fn depth_is_bounded() {
    let nested = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(parse(&nested).unwrap_err().code.as_str(), "54001");
    let chain = format!("SELECT 1{}", "+1".repeat(200_000));
    assert_eq!(parse(&chain).unwrap_err().code.as_str(), "54001");
    let rows = format!("INSERT INTO t VALUES (1,2){}", ",(3,4)".repeat(20_000));
    assert_eq!(parse(&rows).unwrap().len(), 1);
}

#[test]
fn session_statements_are_told_apart() {
    for (text, kind) in [
        ("BEGIN", StatementKind::Begin),
        ("START TRANSACTION READ ONLY", StatementKind::Begin),
        ("COMMIT", StatementKind::Commit),
        ("END", StatementKind::Commit),
        ("ROLLBACK", StatementKind::Rollback),
        (
            "ROLLBACK TO SAVEPOINT a",
            StatementKind::RollbackToSavepoint,
        ),
        ("SET search_path TO public", StatementKind::Set),
        ("SHOW server_version", StatementKind::Show),
        ("DISCARD ALL", StatementKind::Discard),
        ("DEALLOCATE ALL", StatementKind::Deallocate),
        ("DROP TABLE t", StatementKind::Schema),
    ] {
        assert_eq!(parse_single(text).unwrap().kind(), kind, "{text}");
    }
}
