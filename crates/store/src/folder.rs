//! Folders, and making the names in them durable.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes the names in a folder durable, and the absence of those that are gone.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes a folder if it is not there, in one that is, durably.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    folder.canonicalize()?.parent().map_or(Ok(()), sync)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
