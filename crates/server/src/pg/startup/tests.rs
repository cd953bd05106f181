use super::*;

fn read(parameters: &[(&str, &str)]) -> Result<Startup, SqlError> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Startup::read(parameters.iter().map(owned).collect())
}

#[test]
fn settings_come_from_parameters_and_options() {
    let startup = read(&[
        ("user", "ann"),
        ("database", "any"),
        ("application_name", "psql"),
        (
            "options",
            r"-c statement_timeout=5s --jit=on -cmy.name=a\ b",
        ),
        ("_pq_.new", "1"),
    ])
    .unwrap();
    assert_eq!(startup.user, "ann");
    let shown = |name: &str| startup.settings.show(name).unwrap().1;
    assert_eq!(shown("application_name"), "psql");
    assert_eq!(shown("statement_timeout"), "5s");
    assert_eq!(shown("jit"), "on");
    assert_eq!(shown("session_authorization"), "ann");
    assert_eq!(startup.unknown_options, ["_pq_.new"]);
}

#[test]
fn a_foreign_time_zone_only_warns() {
    let startup = read(&[("user", "ann"), ("TimeZone", "Asia/Shanghai")]).unwrap();
    assert_eq!(startup.warnings.len(), 1);
    assert_eq!(startup.settings.show("timezone").unwrap().1, "UTC");
}

#[test]
fn what_cannot_be_served_is_refused() {
    let code = |parameters: &[(&str, &str)]| read(parameters).unwrap_err().code.as_str().to_owned();
    assert_eq!(code(&[("database", "x")]), "28000");
    assert_eq!(code(&[("user", "x"), ("replication", "database")]), "0A000");
    assert_eq!(code(&[("user", "x"), ("client_encoding", "GBK")]), "22023");
    assert_eq!(code(&[("user", "x"), ("options", "-x")]), "42601");
    assert_eq!(code(&[("user", "x"), ("options", "-c jit")]), "42601");
}
