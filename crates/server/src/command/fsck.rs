//! `annals fsck`: reads a whole data folder again and checks it.
//!
//! **Invariant:** not a byte of what is checked is changed.
//! **Invariant:** the exit status is 0 only if all was read and nothing is wrong, whatever becomes of the
//! output.

use std::path::{Path, PathBuf};

use annals_ledger::{Finding, Progress, Summary, fsck};
use annals_store::{DataLock, JournalError, LockError, ReadOnlyJournal, Reason, copy_journal, copy_journal_files};
use anyhow::{Context, anyhow, bail};
use serde_json::json;
use tempfile::TempDir;

use super::output::{Output, counted, plain, progress};
use crate::config::Config;
use crate::data;

/// Read a whole data folder again, and check it
///
/// Checks the journal, every page of every segment, the indexes, the trees of the logs and that they
/// agree. What is wrong is told one a line, with the place; then comes a summary. It changes nothing, and
/// the folder may be mounted read-only. No server may be using it: of one that runs, check a backup
/// (annals backup).
#[derive(clap::Args)]
#[command(after_help = "Exit status:
  0  nothing is wrong
  1  something is wrong with what is stored: keep a copy of it as it is, and restore a backup
  2  it could not be checked, or not all of it: there is no data folder, a server is using it, or it can't
     be read

Example:
  annals fsck --data ./annals-data
  annals backup /mnt/backup/annals && annals fsck --data /mnt/backup/annals")]
pub(crate) struct Fsck {
    /// The folder to check [default: the server's, ./annals-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Findings and summary as JSON, one a line; what kept it from checking as {"error": …}
    #[arg(long)]
    json: bool,
}

/// The data folder, or a part of it, could not be checked.
#[derive(Debug, thiserror::Error)]
#[error("not checked")]
pub(crate) struct Unchecked;

impl Fsck {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let (data, summary) = self.check(out).map_err(|error| self.failed(error, out))?;
        let told = self.sum_up(&summary, out).and_then(|()| out.flush());
        verdict(&data, &summary).and(told.context(Unchecked))
    }

    fn check(&self, out: &mut Output) -> anyhow::Result<(PathBuf, Summary)> {
        let data = Config::data_folder(self.data.clone())?;
        let _lock = take(&data)?;
        let blobs = data::read_segments(&data).with_context(|| format!("can't read {}", data.display()))?;
        let (journal, _copy) = journal(&data).map_err(|error| match error.downcast_ref() {
            // What nobody ever wrote to has no segments.
            Some(JournalError::NotFound { .. }) if blobs.list().is_ok_and(|list| !list.is_empty()) => {
                JournalError::corrupt(format!("it is empty or gone, and {} has segments", data.display())).into()
            }
            _ => error,
        })?;
        let bar = progress("{wide_bar} {human_pos}/{human_len} events {eta}");
        // What can't be told now stays in the buffer, and is the summary's failure.
        let mut report = |finding: Finding| drop(bar.suspend(|| self.tell(&finding, out)));
        let mut show = |at: Progress| {
            bar.set_length(at.of);
            bar.set_position(at.events);
        };
        let checked = fsck(&journal, &blobs, &mut report, &mut show);
        bar.finish_and_clear();
        let summary = checked.with_context(|| format!("can't check {}", data.display()))?;
        Ok((data, summary))
    }

    fn tell(&self, finding: &Finding, out: &mut Output) -> anyhow::Result<()> {
        let name = if finding.unread { "error" } else { "finding" };
        if self.json { out.json(&json!({ name: finding.what })) } else { out.line(&plain(&finding.what)) }?;
        out.flush()
    }

    fn sum_up(&self, summary: &Summary, out: &mut Output) -> anyhow::Result<()> {
        let Summary { segments, rows, events, findings, unread } = *summary;
        if self.json {
            return out.json(&json!({
                "segments": segments, "rows": rows, "events": events, "findings": findings, "errors": unread
            }));
        }
        let [segments, rows, events] =
            [(segments, "segment"), (rows, "journal row"), (events, "event")].map(|(count, noun)| counted(count, noun));
        let verdict = match (findings, unread) {
            (0, 0) => "nothing is wrong".to_owned(),
            (_, 0) => counted(findings, "finding"),
            (_, _) => format!("{}, and {} that can't be read", counted(findings, "finding"), counted(unread, "part")),
        };
        out.line(&format!("{events} in {segments} and {rows}: {verdict}"))
    }

    /// What ended the check before there was a summary.
    fn failed(&self, error: anyhow::Error, out: &mut Output) -> anyhow::Error {
        if self.json {
            // The error goes to standard error too, whatever becomes of this.
            let _ = out.json(&json!({ "error": format!("{error:#}") })).and_then(|()| out.flush());
        }
        let is_damage = |cause: &(dyn std::error::Error + 'static)| {
            matches!(cause.downcast_ref(), Some(JournalError::Corrupt { .. }))
        };
        if error.chain().any(is_damage) { error } else { error.context(Unchecked) }
    }
}

fn verdict(data: &Path, summary: &Summary) -> anyhow::Result<()> {
    if summary.findings > 0 {
        let count = counted(summary.findings, "finding");
        bail!("{count}: keep a copy of {} as it is, and restore a backup", data.display());
    }
    if summary.unread > 0 {
        let count = counted(summary.unread, "part");
        return Err(anyhow!("{count} of {} can't be read: correct that, and check again", data.display()))
            .context(Unchecked);
    }
    Ok(())
}

fn take(data: &Path) -> anyhow::Result<DataLock> {
    data::take_to_read(data).map_err(|error| match error.downcast_ref() {
        Some(LockError::Held { .. }) => {
            error.context("what a server is using can't be checked: make a backup (annals backup) and check that")
        }
        _ => error,
    })
}

/// The journal; where a crash left commits beside it, a copy, which has taken them in: to take them in
/// something must be written.
fn journal(data: &Path) -> anyhow::Result<(ReadOnlyJournal, Option<TempDir>)> {
    let unread = || format!("can't read the journal in {}", data.display());
    match ReadOnlyJournal::open(data) {
        Err(JournalError::Unavailable { reason: Reason::Unclean, .. }) => {
            let copy = tempfile::Builder::new().prefix("annals-fsck-").tempdir();
            let copy = copy.context("can't make a folder for a copy of the journal: TMPDIR says where")?;
            let uncopied = || format!("can't copy the journal in {} to {}", data.display(), copy.path().display());
            copy_journal_files(data, copy.path()).with_context(uncopied)?;
            let whole = copy.path().join("whole");
            copy_journal(copy.path(), &whole).with_context(unread)?;
            Ok((ReadOnlyJournal::open(&whole).with_context(unread)?, Some(copy)))
        }
        journal => Ok((journal.with_context(unread)?, None)),
    }
}
