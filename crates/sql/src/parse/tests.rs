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
fn a_list_may_begin_with_a_sub_select_in_parentheses() {
    use sqlparser::ast::{Expr, SetExpr, Statement};

    let condition = |text: &str| {
        let statement = parse_single(&format!("SELECT 1 WHERE {text}")).unwrap();
        let Statement::Query(query) = statement.statement().clone() else {
            panic!("{text}");
        };
        let SetExpr::Select(select) = *query.body else {
            panic!("{text}");
        };
        select.selection.unwrap()
    };
    for (text, size) in [
        ("1 IN ((SELECT 2)::bigint, 3)", 2),
        ("1 IN (((SELECT 2))::bigint)", 1),
        ("1 NOT IN ((SELECT 2) + 1, (SELECT 3))", 2),
        ("1 IN ((2), 3)", 2),
    ] {
        let Expr::InList { list, negated, .. } = condition(text) else {
            panic!("{text}");
        };
        assert_eq!(
            (list.len(), negated),
            (size, text.contains("NOT")),
            "{text}"
        );
    }
    for text in [
        "1 IN ((SELECT 2))",
        "1 NOT IN ((SELECT 2) UNION (SELECT 3))",
    ] {
        assert!(matches!(condition(text), Expr::InSubquery { .. }), "{text}");
    }
    // However deep, each is read a bounded number of times.
    let deep = format!(
        "SELECT 1 WHERE {}2{}",
        "1 IN ((SELECT 1 WHERE ".repeat(200),
        ")::int, 3)".repeat(200)
    );
    let begin = std::time::Instant::now();
    assert_eq!(parse(&deep).unwrap_err().code.as_str(), "54001");
    let shallow = format!(
        "SELECT 1 WHERE {}2{}",
        "1 IN ((SELECT 1 WHERE ".repeat(10),
        ")::int, 3)".repeat(10)
    );
    let _ = parse(&shallow);
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
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
