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
