//! The SQL parser: any text gives statements or an error, and each statement's own text parses alone.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(statements) = stele_sql::parse::parse(text) else {
        return;
    };
    for statement in statements {
        let again = stele_sql::parse::parse(statement.text()).expect("a statement parses alone");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].kind(), statement.kind());
    }
});
