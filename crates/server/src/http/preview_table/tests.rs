use std::time::Duration;

use super::checked;

#[test]
fn names_are_plain() {
    for name in ["a", "A.b_c-9", &"x".repeat(64)] {
        assert!(checked(name.to_owned()).is_ok(), "{name}");
    }
    for name in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
        assert_eq!(checked(name.to_owned()).unwrap_err().code(), "invalid");
    }
}

#[test]
fn c7_a_name_that_is_used_again_has_no_end() {
    let mut table = super::Table::default();
    for _ in 0..3 {
        table.open.insert("a".to_owned(), super::Slot::default());
        table.forget_end("a");
        assert!(!table.ended.contains_key("a"));
        table.expire(Duration::ZERO);
        assert!(table.open.is_empty() && table.ended.contains_key("a"));
    }
    assert_eq!(table.ended_order.len(), 1);
}
