//! Data folders: what lies where, whose they are, and which are whole.
//!
//! **Invariant:** what a backup writes lies under [`PARTIAL`] until all of it is there and synced, and no
//! command uses a folder that has that: so a backup that was cut short is never taken for a whole one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::park_timeout;
use std::time::Duration;

use annals_store::{BlobError, Blobs, DataLock, LockError, MemoryBlobs, ObjectBlobs, has_journal};
use anyhow::{Context, bail};

/// Where sealed segments lie.
const SEGMENTS: &str = "segments";
/// What is in the folder of a backup until it is whole.
pub(crate) const PARTIAL: &str = "partial";

/// How often a folder that somebody uses is asked for again, as a server that was killed gives it back only when
/// the system has taken it apart, …
const LOCK_ATTEMPTS: usize = 20;
/// … and how long after the time before.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Makes a data folder if it is not there, for its owner alone, and takes it.
///
/// # Errors
///
/// If it can't be made or synced, is another's, or is no whole one.
pub(crate) fn make(data: &Path) -> anyhow::Result<DataLock> {
    make_folder(data).with_context(|| format!("can't make the data folder {}", data.display()))?;
    check_whole(data)?;
    let mut lock = DataLock::acquire(data);
    for _ in 1..LOCK_ATTEMPTS {
        if !matches!(lock, Err(LockError::Held { .. })) {
            break;
        }
        // It may end early, for no reason.
        park_timeout(LOCK_PAUSE);
        lock = DataLock::acquire(data);
    }
    let lock = lock?;
    // A new journal would be none of theirs.
    if !has_journal(data) && has_segments(data)? {
        bail!(
            "the journal of {} is empty or gone, and its segments are there: stop, keep a copy of the folder as it is, \
             and restore a backup, or the files journal.sqlite and journal.sqlite-wal; nothing was written",
            data.display()
        );
    }
    Ok(lock)
}

/// Whether something was ever sealed in a folder.
fn has_segments(data: &Path) -> anyhow::Result<bool> {
    let listed = read_segments(data).and_then(|blobs| blobs.list());
    Ok(!listed.with_context(|| format!("can't read the segments in {}", data.display()))?.is_empty())
}

/// Keeps servers off a data folder that is there, to read it; it may be a read-only one.
///
/// # Errors
///
/// If it is not there, a server is using it, or it is no whole one.
pub(crate) fn take_to_read(data: &Path) -> anyhow::Result<DataLock> {
    check_whole(data)?;
    // To take it a file is made, and only in a data folder.
    if !has_journal(data) && !has_segments(data)? {
        bail!("{} is no data folder: there is no journal in it, and no segment", data.display());
    }
    Ok(DataLock::acquire_shared(data)?)
}

/// Refuses what is no folder, or a backup that was cut short.
pub(crate) fn check_whole(data: &Path) -> anyhow::Result<()> {
    let unread = || format!("can't read {}", data.display());
    match fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => bail!("{} is a file, and no data folder", data.display()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(unread),
        _ => bail!("there is no data folder {}", data.display()),
    }
    if data.join(PARTIAL).try_exists().with_context(unread)? {
        bail!("{} is a backup that was not finished: delete it, and make another", data.display());
    }
    Ok(())
}

/// The path of a folder without links, also of one that is not there yet.
///
/// # Errors
///
/// If what is there of it can't be looked at.
pub(crate) fn canonical(folder: &Path) -> io::Result<PathBuf> {
    match folder.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let Some(above) = folder.parent() else { return Path::new(".").canonicalize() };
    let mut path = canonical(above)?;
    match folder.file_name() {
        Some(name) => path.push(name),
        // It ends in `..`, and what will be made above it is no link.
        None => drop(path.pop()),
    }
    // Behind `..` there may be something again.
    Ok(path.canonicalize().unwrap_or(path))
}

/// Makes a folder, and what is missing above it, for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = folder.ancestors().filter(is_missing).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A new folder is there after power loss only if the one that names it was synced.
    missing.into_iter().try_for_each(sync_above)
}

/// Makes a name durable in the folder that it is in.
pub(crate) fn sync_above(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(above)
}

/// Makes the names in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Where a data folder's sealed segments lie.
pub(crate) fn segments(data: &Path) -> PathBuf {
    data.join(SEGMENTS)
}

/// The sealed segments of a data folder, of which not a byte is changed.
///
/// # Errors
///
/// If they can't be read.
pub(crate) fn read_segments(data: &Path) -> Result<Arc<dyn Blobs>, BlobError> {
    let folder = segments(data);
    if !folder.exists() {
        // No server has sealed anything yet; or it is lost, and then what is named is missed.
        return Ok(Arc::new(MemoryBlobs::new()));
    }
    Ok(Arc::new(ObjectBlobs::local_read_only(&folder)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_folder_to_be_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().canonicalize().expect("is there");
        fs::create_dir(there.join("data")).expect("is made");
        std::os::unix::fs::symlink(there.join("data"), there.join("link")).expect("is made");
        for (path, expect) in [
            ("", ""),
            ("data", "data"),
            ("new/newer", "new/newer"),
            ("link", "data"),
            ("link/new/", "data/new"),
            ("link/../new", "new"),
            ("new/../data/newer", "data/newer"),
            ("new/../link/newer", "data/newer"),
            ("new/..", ""),
        ] {
            assert_eq!(canonical(&folder.path().join(path)).expect("is known"), there.join(expect), "{path}");
        }
        let here = Path::new(".").canonicalize().expect("is there");
        assert_eq!(canonical(Path::new("no-such-folder")).expect("is known"), here.join("no-such-folder"));
    }

    #[test]
    fn an_unfinished_backup_is_taken_by_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        assert!(take_to_read(&data).is_err());
        drop(make(&data).expect("is made"));
        assert!(take_to_read(&data).is_err(), "nothing is in it");
        fs::write(data.join("journal.sqlite"), "a journal").expect("is written");
        drop(take_to_read(&data).expect("is there"));
        fs::create_dir(data.join(PARTIAL)).expect("is made");
        for refused in [make(&data), take_to_read(&data)] {
            let said = format!("{:#}", refused.expect_err("is refused"));
            assert!(said.contains("not finished"), "{said}");
        }
    }
}
