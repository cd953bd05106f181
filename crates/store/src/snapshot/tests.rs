use super::*;

#[test]
fn names_tell_heights_and_sort_by_them() {
    let name = |height| snapshot_name(height).display().to_string();
    assert_eq!(height_of_name(&name(71)), Some(71));
    assert!(name(9) < name(10));
    for other in ["x.snapshot", ".snapshot", "12.part", "+7.snapshot"] {
        assert_eq!(height_of_name(other), None, "{other}");
    }
}
