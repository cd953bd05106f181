use super::*;

fn code(result: Result<Option<Report>, SqlError>) -> String {
    result.unwrap_err().code.as_str().to_owned()
}

#[test]
fn names_are_sorted_and_lower_case() {
    assert!(KNOWN.is_sorted_by(|a, b| a.name < b.name));
    assert!(
        KNOWN
            .iter()
            .all(|known| known.name == known.spelling.to_ascii_lowercase())
    );
}

#[test]
fn a_change_is_reported_once() {
    let mut settings = Settings::default();
    let report = settings
        .set("application_name", Some("psql"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (report.name, report.value.as_str()),
        ("application_name", "psql")
    );
    assert_eq!(
        settings.set("application_name", Some("psql")).unwrap(),
        None
    );
    assert_eq!(settings.set("statement_timeout", Some("5s")).unwrap(), None);
    assert_eq!(settings.reset().len(), 1);
    assert_eq!(settings.show("statement_timeout").unwrap().1, "0");
}

#[test]
fn times_have_units() {
    let mut settings = Settings::default();
    assert_eq!(settings.statement_timeout(), None);
    for (given, milliseconds) in [
        ("1500", 1_500),
        ("5s", 5_000),
        ("2 min", 120_000),
        ("1h", 3_600_000),
    ] {
        settings.set("statement_timeout", Some(given)).unwrap();
        let expected = Some(std::time::Duration::from_millis(milliseconds));
        assert_eq!(settings.statement_timeout(), expected, "{given}");
    }
    settings.set("statement_timeout", Some("0")).unwrap();
    assert_eq!(settings.statement_timeout(), None);
    for wrong in [
        "",
        "s",
        "-1",
        "5 weeks",
        "1.5s",
        "25d",
        "99999999999999999999",
    ] {
        assert_eq!(
            code(settings.set("statement_timeout", Some(wrong))),
            "22023",
            "{wrong}"
        );
    }
}

#[test]
fn the_client_chooses_defaults() {
    let mut settings = Settings::default();
    settings.choose("application_name", "app").unwrap();
    settings.set("application_name", Some("other")).unwrap();
    settings.set("application_name", None).unwrap();
    assert_eq!(settings.show("application_name").unwrap().1, "app");
}

#[test]
fn forms_that_stele_does_not_write_are_refused() {
    let mut settings = Settings::default();
    assert_eq!(
        code(settings.set("timezone", Some("Asia/Shanghai"))),
        "22023"
    );
    assert_eq!(code(settings.set("client_encoding", Some("GBK"))), "22023");
    assert_eq!(code(settings.set("server_version", Some("9"))), "55P02");
    assert_eq!(code(settings.set("no_such", Some("9"))), "42704");
    assert_eq!(code(settings.set("no_such", None)), "42704");
    assert_eq!(code(settings.set("jit", Some("maybe"))), "22023");
    settings.set("client_encoding", Some("'utf-8'")).unwrap();
    settings.set("timezone", Some("Etc/UTC")).unwrap();
    assert_eq!(
        settings.show("timezone").unwrap(),
        ("TimeZone", "UTC".to_owned())
    );
}

#[test]
fn own_settings_are_bounded() {
    let mut settings = Settings::default();
    settings.set("app.user", Some("x")).unwrap();
    assert_eq!(settings.show("app.user").unwrap().1, "x");
    for i in 0..10_000 {
        let _ = settings.set(&format!("a.b{i}"), Some("x"));
    }
    assert!(settings.changed.len() <= KNOWN.len() + CUSTOM_MAX);
    assert_eq!(code(settings.set("a.c", Some(&"x".repeat(2_000)))), "54000");
}
