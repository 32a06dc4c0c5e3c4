//! `annals fsck`: reads a whole data folder again and checks it.
//!
//! **Invariant:** not a byte of what is checked is changed.

use std::path::{Path, PathBuf};

use annals_ledger::{Finding, Progress, Summary, fsck};
use annals_store::{JournalError, LockError, ReadOnlyJournal, Reason, copy_journal};
use anyhow::{Context, bail};
use serde_json::json;
use tempfile::TempDir;

use super::output::{Output, counted, plain, progress};
use crate::data;

/// Read a whole data folder again, and check it
///
/// Checks the journal, every page of every segment, the indexes, the trees of the logs and that they
/// agree. What is wrong is told one a line, with the place; then comes a summary. The exit status is 0
/// if nothing is wrong. It changes nothing. No server may be using the folder: of one that runs, check
/// a backup (annals backup).
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals fsck --data ./annals-data
  annals backup /mnt/backup/annals && annals fsck --data /mnt/backup/annals")]
pub(crate) struct Fsck {
    /// The folder to check [default: the server's, ./annals-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Findings and summary as JSON, one a line
    #[arg(long)]
    json: bool,
}

impl Fsck {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let data = super::data_folder(self.data.clone())?;
        let _lock = take(&data)?;
        let (journal, _copy) = journal(&data)?;
        let blobs = data::read_segments(&data).with_context(|| format!("can't read {}", data.display()))?;
        let bar = progress("{wide_bar} {human_pos}/{human_len} events {eta}");
        let mut printed = Ok(());
        let mut report = |finding: Finding| {
            let told = bar.suspend(|| self.tell(&finding, out));
            if printed.is_ok() {
                printed = told;
            }
        };
        let mut show = |at: Progress| {
            bar.set_length(at.of);
            bar.set_position(at.events);
        };
        let checked = fsck(&journal, &blobs, &mut report, &mut show);
        bar.finish_and_clear();
        printed?;
        let summary = checked.with_context(|| format!("can't check {}", data.display()))?;
        self.sum_up(&summary, out)?;
        out.flush()?;
        if summary.findings > 0 {
            let count = counted(summary.findings, "finding");
            bail!("{count}: keep a copy of {} as it is, and restore a backup", data.display());
        }
        Ok(())
    }

    fn tell(&self, finding: &Finding, out: &mut Output) -> anyhow::Result<()> {
        if self.json { out.json(&json!({ "finding": finding.what })) } else { out.line(&plain(&finding.what)) }?;
        out.flush()
    }

    fn sum_up(&self, summary: &Summary, out: &mut Output) -> anyhow::Result<()> {
        let Summary { segments, rows, events, findings } = *summary;
        if self.json {
            return out.json(&json!({ "segments": segments, "rows": rows, "events": events, "findings": findings }));
        }
        let [segments, rows, events] =
            [(segments, "segment"), (rows, "journal row"), (events, "event")].map(|(count, noun)| counted(count, noun));
        let verdict = if findings == 0 { "nothing is wrong".to_owned() } else { counted(findings, "finding") };
        out.line(&format!("{events} in {segments} and {rows}: {verdict}"))
    }
}

fn take(data: &Path) -> anyhow::Result<annals_store::DataLock> {
    data::take(data).map_err(|error| match error.downcast_ref() {
        Some(LockError::Held { .. }) => {
            error.context("what a server is using can't be checked: make a backup (annals backup) and check that")
        }
        _ => error,
    })
}

/// The journal; where a crash left commits beside it, a copy, which has taken them in.
fn journal(data: &Path) -> anyhow::Result<(ReadOnlyJournal, Option<TempDir>)> {
    let unread = || format!("can't read the journal in {}", data.display());
    match ReadOnlyJournal::open(data) {
        Err(JournalError::Unavailable { reason: Reason::Unclean, .. }) => {
            let copy = tempfile::Builder::new().prefix("annals-fsck-").tempdir().context("can't make a folder")?;
            copy_journal(data, copy.path()).with_context(unread)?;
            Ok((ReadOnlyJournal::open(copy.path()).with_context(unread)?, Some(copy)))
        }
        journal => Ok((journal.with_context(unread)?, None)),
    }
}
