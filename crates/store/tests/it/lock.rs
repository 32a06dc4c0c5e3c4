//! The lock of a data folder.

use annals_store::{DataLock, LockError};

#[test]
fn a_second_server_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let held = DataLock::acquire(folder.path()).unwrap();
    let error = DataLock::acquire(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("another annals server already uses {}; stop it or choose another --data", folder.path().display())
    );
    drop(held);
    DataLock::acquire(folder.path()).unwrap();
}

#[test]
fn a_lock_file_that_was_left_behind_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lock"), "left behind").unwrap();
    DataLock::acquire(folder.path()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("lock")).unwrap(), b"left behind");
}

#[test]
fn two_folders_have_two_locks() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _one = DataLock::acquire(one.path()).unwrap();
    DataLock::acquire(other.path()).unwrap();
}

#[test]
fn a_folder_that_does_not_exist_is_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    match DataLock::acquire(&folder.path().join("absent")) {
        Err(LockError::Io { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
        }
        other => panic!("{other:?}"),
    }
}
