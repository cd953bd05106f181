use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    config.read_file("stele.toml", text)?;
    Ok(config)
}

fn environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    config.read_environment(
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    )?;
    Ok(config)
}

#[test]
fn the_template_is_the_example_file_and_sets_nothing() {
    let example = include_str!("../../../../stele.example.toml");
    assert!(
        template() == example,
        "stele.example.toml is not what `stele start --print-config` prints: write it anew"
    );
    assert_eq!(read(example).unwrap(), Config::default());
}

#[test]
fn every_setting_is_documented_and_named_once() {
    for (place, setting) in SETTINGS.iter().enumerate() {
        assert!(!setting.doc.is_empty());
        assert!(setting.doc.lines().all(|line| line.len() <= 100));
        let again = SETTINGS[place + 1..]
            .iter()
            .any(|other| (other.section, other.key) == (setting.section, setting.key));
        assert!(!again, "{}.{}", setting.section, setting.key);
    }
}

#[test]
fn a_value_is_taken() {
    let config = read(
        "[node]\ndirectory = \"/srv/ledger\"\n[http]\nhosts = [\"a.example\", \"b.example\"]\n\
         [block]\ninterval_ms = 0x10\n",
    )
    .unwrap();
    assert_eq!(config.directory, Path::new("/srv/ledger"));
    assert_eq!(config.http_hosts, ["a.example", "b.example"]);
    assert_eq!(config.node_config().unwrap().block.interval_us, 16_000);
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest() {
    let error = read("[node]\norigin = \"a/b\"\ndirectry = \"x\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "stele.toml, line 3: [node] has no setting \"directry\"; did you mean \"directory\"?"
    );
    let error = read("[posgres]\nlisten = \"127.0.0.1:1\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "stele.toml, line 1: there is no section [posgres]; did you mean \"postgres\"?"
    );
    let error = read("[node]\nlisten = \"127.0.0.1:1\"\n").unwrap_err();
    assert!(error.to_string().ends_with("it belongs below [postgres]"));
    let error = read("origin = \"a\"\n").unwrap_err();
    assert!(error.to_string().ends_with("write it below [node]"));
    let error = read("[log]\nzzz = 1\n").unwrap_err();
    assert!(error.to_string().ends_with("known are level"));
}

#[test]
fn a_wrong_value_names_setting_and_expectation() {
    for (text, expected) in [
        (
            "[state]\nreaders = \"four\"\n",
            "stele.toml, line 2: state.readers is \"four\", but must be a whole number from 1 to 256",
        ),
        (
            "[state]\nreaders = 0\n",
            "stele.toml, line 2: state.readers is 0, but must be a whole number from 1 to 256",
        ),
        (
            "[log]\nlevel = \"loud\"\n",
            "stele.toml, line 2: log.level is \"loud\", but must be one of off, error, warn, info, debug, trace",
        ),
        (
            "[http]\nhosts = \"a\"\n",
            "stele.toml, line 2: http.hosts is \"a\", but must be a list of texts, such as [\"a\", \"b\"]",
        ),
        (
            "[http]\nlisten = \"localhost\"\n",
            "stele.toml, line 2: http.listen is \"localhost\", but must be an address and port in double quotes, such as \"127.0.0.1:5433\"",
        ),
        (
            "[state]\nreaders = -1\n",
            "stele.toml, line 2: state.readers is -1, but must be a whole number from 1 to 256",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), expected);
    }
    let error = read("[node\n").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("stele.toml, line 1: not TOML")
    );
}

#[test]
fn the_environment_goes_before_the_file() {
    let mut config = read("[state]\nreaders = 2\n[store]\nsegment_mib = 8\n").unwrap();
    config
        .read_environment([("STELE_STATE_READERS".into(), "7".into())].into_iter())
        .unwrap();
    assert_eq!((config.readers, config.segment_mib), (7, 8));
    let config = environment(&[
        ("STELE_HTTP_HOSTS", "a.example, b.example"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(config.unwrap().http_hosts, ["a.example", "b.example"]);
    environment(&[("STELE_SEEDS", "7"), ("STELE_FUZZ_SECONDS", "1")]).unwrap();
    let misspelt = environment(&[("STELE_POSGRES_LISTEN", "127.0.0.1:1")]).unwrap_err();
    assert!(misspelt.to_string().contains("STELE_POSTGRES_LISTEN"));
    assert_eq!(
        environment(&[("STELE_STATE_READER", "7")])
            .unwrap_err()
            .to_string(),
        "environment variable STELE_STATE_READER sets nothing; did you mean \"STELE_STATE_READERS\"?"
    );
    assert_eq!(
        environment(&[("STELE_STATE_READERS", "many")])
            .unwrap_err()
            .to_string(),
        "environment: STELE_STATE_READERS is \"many\", but must be a whole number from 1 to 256"
    );
}

#[test]
fn a_listener_open_to_others_needs_tls() {
    let mut config = Config::default();
    config.check_listeners().unwrap();
    config.http_listen = "0.0.0.0:8080".parse().unwrap();
    let error = config.check_listeners().unwrap_err().to_string();
    assert!(error.contains("http.listen = \"0.0.0.0:8080\""), "{error}");
    assert!(error.contains("http.tls_certificate"), "{error}");
    config.http_access.tls_certificate = Some("http.pem".into());
    let error = config.check_listeners().unwrap_err().to_string();
    assert!(error.contains("http.tls_key is missing"), "{error}");
    config.http_access.tls_key = Some("http.key".into());
    config.check_listeners().unwrap();
    config.postgres_access.tls_client_ca = Some("ca.pem".into());
    let error = config.check_listeners().unwrap_err().to_string();
    assert!(
        error.contains("postgres.tls_certificate is missing"),
        "{error}"
    );
}

#[test]
fn files_are_taken_and_may_be_none() {
    let config =
        read("[http]\ntls_key = \"a.key\"\ntls_certificate = \"\"\nloopback = \"authenticate\"\n");
    let access = config.unwrap().http_access;
    assert_eq!(access.tls_key.as_deref(), Some(Path::new("a.key")));
    assert_eq!(access.tls_certificate, None);
    assert!(!access.load().unwrap().trust_loopback);
    assert!(read("[http]\nloopback = \"nobody\"\n").is_err());
}
