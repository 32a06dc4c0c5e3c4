//! The lock of a data folder.

use annals_store::{DataLock, LockError};

#[test]
fn a_second_server_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let held = DataLock::acquire(folder.path()).unwrap();
    let error = DataLock::acquire(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "another annals server, or annals fsck, uses {}; stop it or choose another --data",
            folder.path().display()
        )
    );
    drop(held);
    DataLock::acquire(folder.path()).unwrap();
}

#[test]
fn those_who_only_read_share_a_folder_and_keep_a_server_off_it() {
    let folder = tempfile::tempdir().unwrap();
    let one = DataLock::acquire_shared(folder.path()).unwrap();
    let other = DataLock::acquire_shared(folder.path()).unwrap();
    drop(one);
    assert!(matches!(DataLock::acquire(folder.path()), Err(LockError::Held { .. })));
    drop(other);
    let _server = DataLock::acquire(folder.path()).unwrap();
    assert!(matches!(DataLock::acquire_shared(folder.path()), Err(LockError::Held { .. })));
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
    for acquire in [DataLock::acquire, DataLock::acquire_shared] {
        match acquire(&folder.path().join("absent")) {
            Err(LockError::Io { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
            }
            other => panic!("{other:?}"),
        }
    }
}
