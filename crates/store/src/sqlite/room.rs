//! Whether there is room on the disk: found out by writing a file of that size beside the journal's.
//!
//! **Invariant:** nothing is left of the file, whether or not it could be written; what a crash leaves is
//! removed by the next opening, before that needs any room.
//!
//! What file systems say is free is not asked for: it leaves out quotas, and what is set aside.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::folder;
use crate::journal::JournalError;

const FILE_NAME: &str = "journal.sqlite.room";
/// What is written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Refuses where so many bytes can't be written and synced in a folder.
pub(super) fn require(folder: &Path, bytes: u64) -> Result<(), JournalError> {
    let written = write(&folder.join(FILE_NAME), bytes).map_err(JournalError::storage);
    written.and(clear(folder))
}

/// Removes the file, if it is there.
pub(super) fn clear(folder: &Path) -> Result<(), JournalError> {
    folder::remove(&folder.join(FILE_NAME)).map_err(JournalError::storage)
}

fn write(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut noise = Noise(1);
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = bytes;
    while left > 0 {
        noise.fill(&mut piece);
        let part = piece.get(..usize::try_from(left).unwrap_or(PIECE_BYTES)).unwrap_or(&piece);
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    file.sync_all()
}

/// Bytes that no file system can write more shortly, as some do with zeros: an xorshift generator.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.as_chunks_mut().0 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *word = self.0.to_le_bytes();
        }
    }
}
