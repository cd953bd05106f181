use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stele_core::Suite;
use stele_flow::Runtime;

use super::*;

struct Store {
    keys: KeyStore,
    _directory: tempfile::TempDir,
}

fn store() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::real();
    let path: &Path = directory.path();
    let keys = KeyStore::open(runtime.files.clone(), path, Suite::default()).unwrap();
    for name in [OPERATOR, "alice", "bob"] {
        keys.create(name, &runtime).unwrap();
    }
    let line = Verifier::of_password("pencil", &SystemRandom)
        .unwrap()
        .to_text();
    keys.set_password_verifier("alice", Some(&line)).unwrap();
    Store {
        keys,
        _directory: directory,
    }
}

fn peer(address: &str, tls: bool, names: &[&str]) -> Peer {
    Peer {
        tls,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Peer::at(address.parse().unwrap())
    }
}

/// `trusted`, `password`, `mock` or the refusal.
fn demanded(access: &Access, peer: &Peer, user: &str) -> String {
    match access.demand(peer, user) {
        Ok(Demand::Nothing(key)) => {
            assert_eq!(key.name, user);
            "trusted".to_owned()
        }
        Ok(Demand::Password(Some(_), _)) => "password".to_owned(),
        Ok(Demand::Password(None, _)) => "mock".to_owned(),
        Err(Refusal::TlsRequired) => "tls".to_owned(),
        Err(Refusal::Unknown(_)) => "unknown".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn who_must_do_what() {
    let store = store();
    let access = Access::new(store.keys.clone(), AccessConfig::default());
    let strict = AccessConfig {
        trust_loopback: false,
        ..AccessConfig::default()
    };
    let strict = Access::new(store.keys.clone(), strict);
    let (local, far) = ("127.0.0.1", "192.0.2.7");
    for (address, tls, names, user, expected, expected_strict) in [
        (local, false, &[][..], "bob", "trusted", "mock"),
        (local, false, &[], "alice", "password", "password"),
        (local, false, &[], "nobody", "unknown", "mock"),
        ("::1", true, &[], "bob", "trusted", "mock"),
        ("::ffff:127.0.0.1", false, &[], "bob", "trusted", "mock"),
        (local, true, &["alice"], "alice", "trusted", "trusted"),
        (far, false, &[], "alice", "tls", "tls"),
        (far, false, &[], "bob", "tls", "tls"),
        (far, true, &[], "alice", "password", "password"),
        (far, true, &[], "bob", "mock", "mock"),
        (far, true, &[], "nobody", "mock", "mock"),
        (far, true, &["../alice"], "../alice", "mock", "mock"),
        (far, true, &["x", "bob"], "bob", "trusted", "trusted"),
        (far, true, &["bob"], "alice", "password", "password"),
        (far, true, &["nobody"], "nobody", "mock", "mock"),
    ] {
        let peer = peer(address, tls, names);
        let case = format!("{address} tls={tls} {names:?} {user}");
        assert_eq!(demanded(&access, &peer, user), expected, "{case}");
        assert_eq!(demanded(&strict, &peer, user), expected_strict, "{case}");
    }
}

#[test]
fn a_user_without_a_password_looks_like_one_with_it() {
    let store = store();
    let access = Access::new(store.keys.clone(), AccessConfig::default());
    let far = peer("192.0.2.7", true, &[]);
    let challenge = |user: &str| {
        let Ok(Demand::Password(key, verifier)) = access.demand(&far, user) else {
            panic!("{user} must be asked for a password");
        };
        let exchange = Exchange::new(*verifier, key.is_some(), None);
        let (text, _) = exchange
            .challenge("SCRAM-SHA-256", b"n,,n=,r=abcdef")
            .unwrap();
        let rest = text.strip_prefix("r=abcdef").unwrap();
        let (nonce, salt) = rest.split_once(',').unwrap();
        (nonce.len(), salt.to_owned())
    };
    let real = challenge("alice");
    for user in ["bob", "nobody", ""] {
        let mock = challenge(user);
        assert_eq!((mock.0, mock.1.len()), (real.0, real.1.len()));
        assert_eq!(mock, challenge(user), "the salt must not change");
        assert_ne!(mock.1, real.1);
    }
}

#[test]
fn mechanism_and_binding_must_fit() {
    let verifier = || Verifier::of_password("pencil", &SystemRandom).unwrap();
    for (mechanism, message) in [
        ("SCRAM-SHA-256-PLUS", &b"n,,n=,r=abc"[..]),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"),
        ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abc"),
        ("SCRAM-SHA-1", b"n,,n=,r=abc"),
        ("SCRAM-SHA-256", b""),
        ("SCRAM-SHA-256", b"\xff\xff"),
        ("SCRAM-SHA-256", b"n,,m=x,n=,r=abc"),
    ] {
        let exchange = Exchange::new(verifier(), true, None);
        assert!(matches!(
            exchange.challenge(mechanism, message),
            Err(ExchangeError::Malformed(_))
        ));
    }
    let exchange = Exchange::new(verifier(), true, None);
    let (text, challenged) = exchange.challenge("SCRAM-SHA-256", b"n,,n=,r=abc").unwrap();
    let nonce = text.split(',').next().unwrap();
    let zeros = STANDARD.encode([0; 32]);
    let wrong = format!("c=biws,{nonce},p={zeros}");
    assert_eq!(
        challenged.prove(wrong.as_bytes()),
        Err(ExchangeError::Wrong)
    );
    for malformed in [
        String::new(),
        format!("c=biws,r=other,p={zeros}"),
        format!("c=eSws,{nonce},p={zeros}"),
        format!("c=biws,{nonce},p=AAAA"),
        format!("c=biws,{nonce}"),
    ] {
        assert!(matches!(
            challenged.prove(malformed.as_bytes()),
            Err(ExchangeError::Malformed(_))
        ));
    }
}

#[test]
fn a_password_can_be_changed_and_taken_away() {
    let store = store();
    assert!(store.keys.password_verifier("bob").unwrap().is_none());
    assert!(
        store
            .keys
            .set_password_verifier("nobody", Some("x"))
            .is_err()
    );
    store.keys.set_password_verifier("alice", None).unwrap();
    store.keys.set_password_verifier("alice", None).unwrap();
    assert!(store.keys.password_verifier("alice").unwrap().is_none());
    store
        .keys
        .set_password_verifier("alice", Some("junk"))
        .unwrap();
    let access = Access::new(store.keys.clone(), AccessConfig::default());
    let local = peer("127.0.0.1", false, &[]);
    assert!(matches!(
        access.demand(&local, "alice"),
        Err(Refusal::Store(_))
    ));
}

proptest::proptest! {
    #[test]
    fn any_exchange_ends(first: Vec<u8>, last: Vec<u8>) {
        let verifier = Verifier::unfitting(&[7; 32], &SystemRandom);
        let exchange = Exchange::new(verifier, true, None);
        let first = [b"n,,n=,r=".as_slice(), &first].concat();
        if let Ok((_, challenged)) = exchange.challenge("SCRAM-SHA-256", &first) {
            assert!(challenged.prove(&last).is_err());
        }
    }
}
