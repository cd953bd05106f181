use super::*;

#[test]
fn literals_read_back() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    for value in [
        SqliteValue::Null,
        SqliteValue::Integer(i64::MIN),
        SqliteValue::Integer(-1),
        SqliteValue::Integer(i64::MAX),
        SqliteValue::Text("it's".to_owned()),
        SqliteValue::Blob(vec![0, 255, 39]),
    ] {
        let sql = format!("SELECT {}", literal(&value));
        let read: SqliteValue = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(read, value);
    }
}
