use super::*;

fn parsed(text: &str) -> Result<Target, TargetError> {
    text.parse()
}

#[test]
fn targets_are_written_as_they_are_read() {
    for text in [
        "sqlite:/srv/copy.db",
        "plugin:python3 sink.py out.db",
        "postgres://app@db.example.org:5432/trade",
        "postgres://app@localhost:6543/trade?socket=/run/postgresql",
        "mysql://app@[::1]:3306/trade?socket=/run/m.sock&ca=/etc/ca.pem",
    ] {
        assert_eq!(parsed(text).unwrap().to_string(), text);
    }
    assert_eq!(
        parsed("mariadb://me@localhost/t").unwrap().to_string(),
        "mysql://me@localhost:3306/t"
    );
}

#[test]
fn passwords_and_what_names_no_database_are_refused() {
    assert_eq!(
        parsed("postgres://a:secret@h/d"),
        Err(TargetError::Password)
    );
    for text in ["", "sqlite:", "oracle://a@h/d", "postgres", "trade.db"] {
        assert!(matches!(parsed(text), Err(TargetError::Form(_))), "{text}");
    }
    for text in ["postgres://h/d", "mysql://a@h", "mysql://a@h/d?tls=no"] {
        assert!(
            matches!(parsed(text), Err(TargetError::Part { .. })),
            "{text}"
        );
    }
}

#[test]
fn only_this_machine_is_local() {
    let local = |text: &str| match parsed(text).unwrap() {
        Target::Postgres(server) | Target::MySql(server) => server.is_local(),
        Target::Sqlite(_) | Target::Plugin(_) => true,
    };
    assert!(local("mysql://a@127.0.0.1/d") && local("mysql://a@[::1]/d"));
    assert!(!local("mysql://a@db/d") && !local("postgres://a@10.0.0.1/d"));
}

#[test]
fn a_password_is_never_shown() {
    let password = Password::new("secret".to_owned());
    assert!(!format!("{password:?}").contains("secret"));
}
