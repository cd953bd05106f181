use super::*;

#[test]
fn texts_read_and_write_as_in_postgresql() {
    for (given, written) in [
        ("1 day", "1 day"),
        ("2 hours 30 minutes", "02:30:00"),
        (
            "1 year 2 months 3 days 04:05:06.7",
            "1 year 2 mons 3 days 04:05:06.7",
        ),
        ("-1 day", "-1 days"),
        ("1 day -2 hours", "1 day -02:00:00"),
        ("-1 mon 2 days", "-1 mons +2 days"),
        ("3 weeks ago", "-21 days"),
        ("1.5 hours", "01:30:00"),
        ("1.5 days", "1 day 12:00:00"),
        ("1.5 months", "1 mon 15 days"),
        ("0", "00:00:00"),
        ("90", "00:01:30"),
        ("1 12:30", "1 day 12:30:00"),
        ("1day2h", "1 day 02:00:00"),
        ("100:00:00", "100:00:00"),
    ] {
        let interval = Interval::parse(given, None).unwrap();
        assert_eq!(interval.to_string(), written, "{given}");
        assert_eq!(
            Interval::from_bytes(&interval.to_bytes()).unwrap(),
            interval
        );
    }
    for given in ["", "day", "1 dag", "1 day ago 2", "1:99:00", "x", "1 2 3"] {
        assert!(Interval::parse(given, None).is_err(), "{given}");
    }
    assert_eq!(Interval::parse("3", Some("day")).unwrap().days, 3);
}
