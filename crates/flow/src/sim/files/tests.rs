use super::*;

fn write_file(files: &MemoryFiles, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = files.open(Path::new(path), OpenMode::Create).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

#[test]
fn synced_bytes_under_a_synced_name_survive() {
    for seed in 0..50 {
        let files = MemoryFiles::new(seed);
        files.create_dir(Path::new("/d")).unwrap();
        files.sync_dir(Path::new("/")).unwrap();
        let file = write_file(&files, "/d/a", b"kept");
        file.sync().unwrap();
        files.sync_dir(Path::new("/d")).unwrap();
        file.write_at(4, &[7; 2000]).unwrap();
        files.crash();
        assert!(file.len().is_err(), "handles die with the machine");
        let bytes = files.read(Path::new("/d/a")).unwrap();
        assert_eq!(&bytes[..4], b"kept");
        assert!(bytes[4..].iter().all(|byte| [0, 7].contains(byte)));
    }
}

#[test]
fn unsynced_bytes_and_names_are_sometimes_lost() {
    let (mut names, mut torn) = (0, 0);
    for seed in 0..100 {
        let files = MemoryFiles::new(seed);
        write_file(&files, "a", &[7; 4096]).sync().unwrap();
        let old = write_file(&files, "b", b"");
        files.sync_dir(Path::new("")).unwrap();
        files.remove(Path::new("a")).unwrap();
        old.write_at(0, &[7; 4096]).unwrap();
        files.crash();
        names += i32::from(files.exists(Path::new("a")).unwrap());
        let found = files.read(Path::new("b")).unwrap();
        torn += i32::from(!found.is_empty() && found != [7; 4096]);
    }
    assert!((10..90).contains(&names), "{names}");
    assert!((10..60).contains(&torn), "{torn}");
}

#[test]
fn after_a_failed_sync_a_good_one_does_not_help() {
    let mut lost = 0;
    for seed in 0..50 {
        let files = MemoryFiles::new(seed);
        let file = write_file(&files, "a", b"");
        files.sync_dir(Path::new("")).unwrap();
        file.write_at(0, b"bytes").unwrap();
        files.fail(Fault {
            operation: Operation::Sync,
            nth: 1,
            kind: FaultKind::Error(io::ErrorKind::Other),
        });
        file.sync().unwrap_err();
        assert_eq!(
            files.read(Path::new("a")).unwrap(),
            b"bytes",
            "still cached"
        );
        file.sync().unwrap();
        files.crash();
        lost += i32::from(files.read(Path::new("a")).unwrap() != b"bytes");
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn a_full_disk_takes_what_fits_until_it_is_given_room() {
    let files = MemoryFiles::new(1);
    files.set_capacity(Some(6));
    let file = write_file(&files, "a", b"four");
    let error = file.write_at(4, b"more").unwrap_err();
    assert!(error.is_no_space());
    assert_eq!(files.read(Path::new("a")).unwrap(), b"fourmo");
    files.set_capacity(None);
    file.write_at(4, b"more").unwrap();
}

#[test]
fn power_goes_at_the_planned_operation() {
    let files = MemoryFiles::new(1);
    let file = write_file(&files, "a", b"x");
    files.sync_dir(Path::new("")).unwrap();
    files.power_off_in(2);
    file.write_at(0, b"y").unwrap();
    assert!(file.sync().is_err());
    assert!(!files.is_powered());
    assert!(files.read(Path::new("a")).is_err());
    files.crash();
    assert!(files.read(Path::new("a")).is_ok());
}

#[test]
fn locks_exclude_and_die_with_the_machine() {
    let files = MemoryFiles::new(1);
    let first = files.lock(Path::new("lock"), "one").unwrap();
    let error = files.lock(Path::new("lock"), "two").err().unwrap();
    assert!(error.is_locked() && error.to_string().contains("one"));
    files.crash();
    let second = files.lock(Path::new("lock"), "two").unwrap();
    drop(first);
    assert!(files.lock(Path::new("lock"), "three").is_err());
    drop(second);
    assert!(files.lock(Path::new("lock"), "three").is_ok());
}
