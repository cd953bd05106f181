use super::*;

#[test]
fn bytes_come_back_and_the_length_follows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let file = RealFiles.open(&path, OpenMode::CreateNew).unwrap();
    file.write_at(0, b"hello").unwrap();
    file.write_at(3, b"LO!").unwrap();
    file.sync().unwrap();
    assert_eq!(RealFiles.read(&path).unwrap(), b"helLO!");
    file.truncate(2).unwrap();
    assert_eq!(file.len().unwrap(), 2);
    let mut buffer = [0; 4];
    assert_eq!(file.read_up_to(0, &mut buffer).unwrap(), 2);
    assert!(file.read_exact_at(0, &mut buffer).is_err());
    assert!(RealFiles.open(&path, OpenMode::CreateNew).is_err());
    assert_eq!(RealFiles.list(dir.path()).unwrap(), ["a"]);
}

#[test]
fn replace_leaves_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    RealFiles.replace(&path, b"one").unwrap();
    RealFiles.replace(&path, b"two").unwrap();
    assert_eq!(RealFiles.read(&path).unwrap(), b"two");
    assert_eq!(RealFiles.list(dir.path()).unwrap(), ["a"]);
}

#[test]
fn a_second_lock_names_the_holder_and_a_dropped_one_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let first = RealFiles.lock(&path, "node one").unwrap();
    let error = RealFiles.lock(&path, "node two").err().unwrap();
    assert!(error.is_locked());
    assert!(error.to_string().contains("node one"), "{error}");
    drop(first);
    RealFiles.lock(&path, "node two").unwrap();
}

#[test]
fn errors_name_path_operation_and_remedy() {
    let error = RealFiles
        .open(Path::new("/nonexistent/x"), OpenMode::Read)
        .err()
        .unwrap();
    assert!(error.is_not_found());
    assert!(error.to_string().starts_with("cannot open /nonexistent/x:"));
    let full = FileError::new(
        Path::new("/d/x"),
        Operation::Write,
        io::Error::from_raw_os_error(28),
    );
    assert!(full.is_no_space());
    assert!(full.to_string().contains("free room"));
}
