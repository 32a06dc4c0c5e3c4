//! `annals backup`: copies a data folder that a server may be using.
//!
//! ```text
//! t0  DIR/partial is made       from here on until t5 no command takes DIR for a data folder
//! t1  the journal is copied     of one moment; it names the segments of that moment
//! t2  those segments are copied they never change; one that is gone was merged into another, which a
//!                               later journal names: back to t1, keeping what is copied
//! t3  all of it is synced
//! t4  it is moved into DIR, and that is synced
//! t5  DIR/partial is removed
//! ```
//!
//! **Invariant:** nothing is asked of the server, and nothing in its folder changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use annals_store::{BlobError, Blobs, Journal, ObjectBlobs, ReadOnlyJournal, StateKind, copy_journal};
use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::json;

use super::output::{Output, counted, progress, size};
use crate::config::Config;
use crate::data::{self, PARTIAL};

/// Copy a data folder, also while a server is using it
///
/// The copy is of one moment: every event that was acknowledged before the command began is in it. It
/// is a data folder like any other, on disk when the command ends: check it by annals fsck --data DIR;
/// to restore it, serve it, or copy it into an empty folder: never over one that was in use, since what a
/// crash left there would be taken for newer. A server on a copy goes on by
/// itself: don't let two go on under the same name. It holds the hashes of keys and all events, so keep
/// it as safe as the original.
///
/// What a backup that was cut short leaves in DIR no command takes for a data folder: delete it.
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals backup /mnt/backup/annals-2026-11-20 --data ./annals-data
  annals fsck --data /mnt/backup/annals-2026-11-20")]
pub(crate) struct Backup {
    /// Where the copy comes, outside the data folder; made if it is not there, for its owner alone, else it
    /// must be empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// The folder to copy [default: the server's, ./annals-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
}

/// How often a later journal is copied because segments were merged.
const ROUNDS_MAX: usize = 10;
/// What is read at once of a segment.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// The folder of the journal's copy, below [`PARTIAL`].
const JOURNAL: &str = "journal";

/// What was copied.
struct Copied {
    segments: u64,
    /// In segments and journal.
    events: u64,
}

/// A copy on its way.
struct Copying<'b> {
    data: &'b Path,
    partial: PathBuf,
    bar: ProgressBar,
}

/// What is not there any more.
struct Vanished(String);

impl Backup {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let data = Config::data_folder(self.data)?;
        data::check_whole(&data)?;
        let to = &self.to;
        require_apart(to, &data)?;
        require_empty(to)?;
        let is_new = !to.exists();
        let partial = to.join(PARTIAL);
        // Not if another backup has just made it.
        let make_partial = || fs::create_dir(&partial).and_then(|()| data::sync(to));
        let begun = data::make_folder(to).and_then(|()| make_partial());
        begun.with_context(|| format!("can't make {}", to.display()))?;
        let bar = progress("{wide_bar} {binary_bytes}/{binary_total_bytes} {eta}");
        let copying = Copying { data: &data, partial, bar };
        let copied = copying.copy();
        copying.bar.finish_and_clear();
        if copied.is_err() {
            // What can't be removed is no data folder all the same.
            let _ = fs::remove_dir_all(&copying.partial);
            if is_new {
                let _ = fs::remove_dir(to);
            }
        }
        let Copied { segments, events } = copied?;
        copying.finish(to).with_context(|| format!("can't finish {}", to.display()))?;
        let bytes = folder_bytes(to).with_context(|| format!("can't read {}", to.display()))?;
        if self.json {
            return out.json(
                &json!({ "folder": to.display().to_string(), "events": events, "segments": segments, "bytes": bytes }),
            );
        }
        let [events, segments] = [(events, "event"), (segments, "segment")].map(|(count, noun)| counted(count, noun));
        out.line(&format!("{}: {events} in {segments} and the journal, {}", to.display(), size(bytes)))?;
        out.line(&format!("check it: annals fsck --data {}", to.display()))
    }
}

/// Neither may hold the other: a copy would be stored as a part of what is copied.
fn require_apart(to: &Path, data: &Path) -> anyhow::Result<()> {
    let place = |folder: &Path| data::canonical(folder).with_context(|| format!("can't read {}", folder.display()));
    let (there, here) = (place(to)?, place(data)?);
    let how = match (there.starts_with(&here), here.starts_with(&there)) {
        (true, true) => "is",
        (true, false) => "is inside",
        (false, true) => "contains",
        (false, false) => return Ok(()),
    };
    bail!("{} {how} the data folder {}: name a folder elsewhere", to.display(), data.display())
}

fn require_empty(to: &Path) -> anyhow::Result<()> {
    let is_empty = match fs::read_dir(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        entries => entries.with_context(|| format!("can't read {}", to.display()))?.next().is_none(),
    };
    if is_empty {
        return Ok(());
    }
    bail!("there is something in {}: name a folder that is empty or not there", to.display())
}

impl Copying<'_> {
    /// t1 to t3.
    fn copy(&self) -> anyhow::Result<Copied> {
        let target = ObjectBlobs::local(&data::segments(&self.partial)).context("can't write the segments")?;
        let mut before = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let (named, events) = self.copy_journal().context("can't copy the journal")?;
            for blob in target.list()?.iter().filter(|blob| !named.contains(&blob.name)) {
                target.delete(&blob.name)?;
            }
            match self.copy_segments(&named, &target)? {
                Ok(()) => return Ok(Copied { segments: u64::try_from(named.len())?, events }),
                Err(Vanished(name)) if before == named => {
                    bail!("the segment {name} of {} is missing: run annals fsck", self.data.display());
                }
                Err(_) => before = named,
            }
        }
        bail!("segments were merged faster than they could be copied, {ROUNDS_MAX} times: try again later")
    }

    /// t1: the names of the segments, and how many events they and the journal hold.
    fn copy_journal(&self) -> anyhow::Result<(BTreeSet<String>, u64)> {
        let folder = self.partial.join(JOURNAL);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        copy_journal(self.data, &folder)?;
        let journal = ReadOnlyJournal::open(&folder)?;
        let segments = journal.state(StateKind::Segment)?;
        // The last row is never trimmed, and positions are counted from the first event on.
        let last = journal.rows(journal.last()?.saturating_sub(1), 0)?;
        let events = last.first().map_or(0, |row| row.position + u64::from(row.event_count));
        Ok((segments.into_iter().map(|(name, _)| name).collect(), events))
    }

    /// t2 and t3 of what is not copied yet.
    fn copy_segments(&self, named: &BTreeSet<String>, target: &ObjectBlobs) -> anyhow::Result<Result<(), Vanished>> {
        let source = data::read_segments(self.data).context("can't read the segments")?;
        let found: BTreeMap<String, u64> = source.list()?.into_iter().map(|blob| (blob.name, blob.bytes)).collect();
        let copied: BTreeSet<String> = target.list()?.into_iter().map(|blob| blob.name).collect();
        let missing: Vec<&String> = named.iter().filter(|name| !copied.contains(*name)).collect();
        self.bar.set_position(0);
        self.bar.set_length(missing.iter().filter_map(|name| found.get(*name)).sum());
        for name in missing {
            let Some(bytes) = found.get(name) else { return Ok(Err(Vanished(name.clone()))) };
            match self.copy_segment(name, *bytes, &*source, target) {
                Err(BlobError::NotFound { name }) => return Ok(Err(Vanished(name))),
                copied => copied.with_context(|| format!("can't copy the segment {name}"))?,
            }
        }
        Ok(Ok(()))
    }

    fn copy_segment(&self, name: &str, bytes: u64, source: &dyn Blobs, target: &ObjectBlobs) -> Result<(), BlobError> {
        let mut writer = target.create(name)?;
        let mut at = 0;
        while at < bytes {
            let end = bytes.min(at + PIECE_BYTES);
            writer.write(&source.read(name, at..end)?)?;
            self.bar.inc(end - at);
            at = end;
        }
        writer.finish().map(drop)
    }

    /// t4 and t5.
    fn finish(&self, to: &Path) -> io::Result<()> {
        fs::rename(data::segments(&self.partial), data::segments(to))?;
        let journal = self.partial.join(JOURNAL);
        for entry in fs::read_dir(&journal)? {
            let entry = entry?;
            fs::rename(entry.path(), to.join(entry.file_name()))?;
        }
        fs::remove_dir(journal)?;
        data::sync(to)?;
        fs::remove_dir(&self.partial)?;
        data::sync(to)
    }
}

/// Bytes of all files.
fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
