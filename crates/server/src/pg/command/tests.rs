use super::*;

fn read(sql: &str) -> Command {
    parse(sql).unwrap().unwrap()
}

fn set(name: &str, value: Option<&str>) -> Command {
    Command::Set {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        local: false,
    }
}

#[test]
fn transaction_control() {
    assert_eq!(read("begin"), Command::Begin(Modes::default(), "BEGIN"));
    assert_eq!(
        read("START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
        Command::Begin(
            Modes {
                read_only: Some(true),
                isolation: Some("repeatable read".to_owned())
            },
            "START TRANSACTION"
        )
    );
    assert_eq!(read("END WORK"), Command::Commit);
    assert_eq!(read("COMMIT AND NO CHAIN"), Command::Commit);
    assert_eq!(read("ABORT"), Command::Rollback);
    assert_eq!(
        read("ROLLBACK TO SAVEPOINT \"A b\""),
        Command::RollbackTo("A b".to_owned())
    );
    assert_eq!(read("RELEASE s"), Command::Release("s".to_owned()));
    assert_eq!(
        parse("COMMIT PREPARED 'x'").unwrap_err().code.as_str(),
        "0A000"
    );
    assert_eq!(parse("COMMIT x").unwrap_err().code.as_str(), "42601");
    assert_eq!(parse("SAVEPOINT").unwrap_err().code.as_str(), "42601");
}

#[test]
fn settings() {
    assert_eq!(
        read("SET DateStyle TO ISO, 'MDY'"),
        set("datestyle", Some("ISO, MDY"))
    );
    assert_eq!(read("set time zone 'UTC'"), set("timezone", Some("UTC")));
    assert_eq!(
        read("SET extra_float_digits = 3"),
        set("extra_float_digits", Some("3"))
    );
    assert_eq!(read("SET SESSION a.b = -1"), set("a.b", Some("-1")));
    assert_eq!(read("RESET timezone"), set("timezone", None));
    assert_eq!(
        read("SET NAMES 'UTF8'"),
        set("client_encoding", Some("UTF8"))
    );
    assert_eq!(
        read("SHOW TRANSACTION ISOLATION LEVEL"),
        Command::Show("transaction_isolation".to_owned())
    );
    assert_eq!(
        read("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"),
        Command::SetCharacteristics(Modes {
            read_only: Some(false),
            isolation: None
        })
    );
}

#[test]
fn clean_up() {
    assert_eq!(read("DISCARD ALL"), Command::Discard("DISCARD ALL"));
    assert_eq!(
        read("DEALLOCATE PREPARE x"),
        Command::Deallocate(Some("x".to_owned()))
    );
    assert_eq!(read("deallocate all"), Command::Deallocate(None));
    assert_eq!(read("CLOSE ALL"), Command::Close(None));
    assert_eq!(read("UNLISTEN *"), Command::Nothing("UNLISTEN"));
}

#[test]
fn other_statements_are_the_ledgers() {
    for sql in [
        "SELECT 1",
        "INSERT INTO t VALUES (1)",
        "(SELECT 1)",
        "",
        "starting",
    ] {
        assert_eq!(parse(sql).unwrap(), None, "{sql}");
    }
}

#[test]
fn cursors() {
    assert_eq!(
        read("DECLARE \"c\" NO SCROLL CURSOR WITH HOLD FOR  SELECT $1 -- x"),
        Command::Declare(Declaration {
            name: "c".to_owned(),
            hold: true,
            query: "SELECT $1 -- x".to_owned()
        })
    );
    let fetch = |rows_max, give| {
        Command::Fetch(Fetch {
            name: "c".to_owned(),
            rows_max,
            give,
        })
    };
    assert_eq!(read("FETCH FORWARD 100 FROM \"c\""), fetch(Some(100), true));
    assert_eq!(read("FETCH c"), fetch(Some(1), true));
    assert_eq!(read("FETCH ALL IN c"), fetch(None, true));
    assert_eq!(read("MOVE FORWARD ALL FROM c"), fetch(None, false));
    for sql in ["FETCH PRIOR FROM c", "FETCH -1 FROM c", "MOVE BACKWARD c"] {
        assert_eq!(parse(sql).unwrap_err().code.as_str(), "55000");
    }
    for sql in [
        "FETCH",
        "DECLARE c CURSOR FOR",
        "DECLARE c",
        "FETCH 1 FROM c d",
    ] {
        assert_eq!(parse(sql).unwrap_err().code.as_str(), "42601", "{sql}");
    }
}
