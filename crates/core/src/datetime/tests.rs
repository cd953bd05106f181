use super::*;

#[test]
fn every_day_is_one_later_than_the_last() {
    let mut last = civil_of_date(DATE_MIN);
    assert_eq!((last.year, last.month, last.day), (1, 1, 1));
    for days in DATE_MIN..=DATE_MAX {
        let civil = civil_of_date(days);
        assert_eq!(date_of(civil.year, civil.month, civil.day), Ok(days));
        assert!(days == DATE_MIN || last < civil);
        last = civil;
    }
    assert_eq!((last.year, last.month, last.day), (9999, 12, 31));
}

#[test]
fn moments_outside_the_years_are_refused() {
    assert!(date_of(0, 12, 31).is_err() && date_of(10_000, 1, 1).is_err());
    assert!(date_of(2023, 2, 29).is_err() && date_of(2024, 2, 29).is_ok());
    assert_eq!(add_days(DATE_MAX, 1), Err(DateTimeError::DateOutOfRange));
    assert!(add_days(0, i64::MAX).is_err() && add_days(0, i64::MIN).is_err());
    assert!(add_micros(TIMESTAMP_MAX, 1).is_err() && add_micros(0, i64::MIN).is_err());
    assert!(add_months_to_date(0, i64::MAX).is_err());
    assert!(timestamp_to_date(i64::MIN).is_err());
    assert!(extract_from_timestamp(i64::MAX, Field::Year).is_err());
    // Monday of the week of 0001-01-01 is that day itself.
    assert_eq!(
        truncate_timestamp(TIMESTAMP_MIN, Unit::Week),
        Ok(TIMESTAMP_MIN)
    );
    // What may not be stored is still shown without a panic.
    assert_eq!(format_timestamp(i64::MAX), "9999-12-31 23:59:59.999999");
    assert_eq!(format_date(i32::MIN), "0001-01-01");
}

#[test]
fn months_end_where_they_end() {
    let day = |text| parse_date(text).unwrap();
    assert_eq!(
        add_months_to_date(day("2024-01-31"), 1),
        Ok(day("2024-02-29"))
    );
    assert_eq!(
        add_months_to_date(day("2024-03-31"), -13),
        Ok(day("2023-02-28"))
    );
    let at = |text| parse_timestamp(text).unwrap();
    assert_eq!(
        add_months_to_timestamp(at("2026-12-31 01:02:03.000004"), 2),
        Ok(at("2027-02-28 01:02:03.000004"))
    );
}

#[test]
fn fields_and_units_are_postgresql_s() {
    let at = parse_timestamp("2026-11-21 10:20:30.405060").unwrap();
    for (name, value) in [
        ("year", "2026"),
        ("quarter", "4"),
        ("month", "11"),
        ("week", "47"),
        ("isoyear", "2026"),
        ("day", "21"),
        ("doy", "325"),
        ("dow", "6"),
        ("isodow", "6"),
        ("hour", "10"),
        ("minute", "20"),
        ("second", "30.405060"),
        ("milliseconds", "30405.060"),
        ("microseconds", "30405060"),
        ("epoch", "1795256430.405060"),
    ] {
        let field = Field::named(name).unwrap();
        assert_eq!(
            extract_from_timestamp(at, field).unwrap().to_string(),
            value,
            "{name}"
        );
    }
    for (name, value) in [
        ("microseconds", "2026-11-21 10:20:30.40506"),
        ("milliseconds", "2026-11-21 10:20:30.405"),
        ("second", "2026-11-21 10:20:30"),
        ("minute", "2026-11-21 10:20:00"),
        ("hour", "2026-11-21 10:00:00"),
        ("day", "2026-11-21 00:00:00"),
        ("week", "2026-11-16 00:00:00"),
        ("month", "2026-11-01 00:00:00"),
        ("quarter", "2026-10-01 00:00:00"),
        ("year", "2026-01-01 00:00:00"),
    ] {
        let unit = Unit::named(name).unwrap();
        assert_eq!(
            format_timestamp(truncate_timestamp(at, unit).unwrap()),
            value,
            "{name}"
        );
    }
    assert_eq!(
        (Field::named("eon"), Unit::named("fortnight")),
        (None, None)
    );
}

#[test]
fn long_units_begin_in_the_year_that_ends_in_1() {
    for (at, fields, units) in [
        ("1999-12-31", ["2", "20", "199"], ["1001", "1901", "1990"]),
        ("2000-12-31", ["2", "20", "200"], ["1001", "1901", "2000"]),
        ("2001-01-01", ["3", "21", "200"], ["2001", "2001", "2000"]),
        ("0010-02-03", ["1", "1", "1"], ["0001", "0001", "0010"]),
    ] {
        let time = parse_timestamp(at).unwrap();
        let names = ["millennium", "century", "decade"];
        for ((name, field), unit) in names.into_iter().zip(fields).zip(units) {
            let named = Field::named(name).unwrap();
            let found = extract_from_timestamp(time, named).unwrap().to_string();
            assert_eq!(found, field, "{name} of {at}");
            let found = truncate_timestamp(time, Unit::named(name).unwrap()).unwrap();
            let begins = format!("{unit}-01-01 00:00:00");
            assert_eq!(format_timestamp(found), begins, "{name} of {at}");
        }
    }
    let early = parse_timestamp("0009-12-31").unwrap();
    assert!(truncate_timestamp(early, Unit::Decade).is_err());
}
