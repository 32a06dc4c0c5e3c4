//! What a server takes of memory and disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;

use super::super::output::{Output, thousands};
use super::measure::{float, round};
use super::usage;

/// What a server takes that has appended events and come to rest.
#[derive(Debug, Serialize)]
pub(crate) struct Footprint {
    /// In memory at rest.
    resident_bytes_idle: Option<u64>,
    /// In memory while appending, at most.
    resident_bytes_max_appending: Option<u64>,
    /// In memory while reading, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resident_bytes_max_reading: Option<u64>,
    /// On disk: journal, segments and whatever else is in the data folder.
    disk_bytes: u64,
    journal_bytes: u64,
    segment_bytes: u64,
    disk_bytes_per_event: f64,
}

/// Watches the memory of a process.
pub(crate) struct MemoryWatch {
    process: u32,
    /// The greatest before it was watched.
    bytes_max_before: u64,
    /// The greatest of the samples.
    sampled: Arc<AtomicU64>,
    sampling: JoinHandle<()>,
}

impl Footprint {
    /// What a process takes, with its data folder, after so many events.
    pub(crate) fn of(process: u32, data: &Path, events: u64) -> Footprint {
        let resident = usage::resident(process);
        let disk_bytes = folder_bytes(data, |_| true);
        Footprint {
            resident_bytes_idle: resident.map(|resident| resident.bytes),
            resident_bytes_max_appending: resident.map(|resident| resident.bytes_max),
            resident_bytes_max_reading: None,
            disk_bytes,
            journal_bytes: folder_bytes(data, |name| name.starts_with("journal.sqlite")),
            segment_bytes: folder_bytes(&data.join("segments"), |_| true),
            disk_bytes_per_event: round(float(disk_bytes) / float(events.max(1))),
        }
    }

    /// As lines for people.
    pub(crate) fn print(&self, out: &mut Output) -> anyhow::Result<()> {
        let mebibytes = |bytes: u64| format!("{} MiB", thousands(bytes / 1_048_576));
        let known = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), mebibytes);
        let reading =
            self.resident_bytes_max_reading.map(|bytes| format!(", {} at most while reading", mebibytes(bytes)));
        out.line(&format!(
            "memory: {} resident at rest, {} at most while appending{}",
            known(self.resident_bytes_idle),
            known(self.resident_bytes_max_appending),
            reading.unwrap_or_default(),
        ))?;
        out.line(&format!(
            "disk at rest: {}, {:.1} bytes an event; the journal {}, segments {}",
            mebibytes(self.disk_bytes),
            self.disk_bytes_per_event,
            mebibytes(self.journal_bytes),
            mebibytes(self.segment_bytes),
        ))
    }
}

impl MemoryWatch {
    /// Begins.
    pub(crate) fn begin(process: u32) -> MemoryWatch {
        const STEP: Duration = Duration::from_millis(100);
        let sampled = Arc::new(AtomicU64::new(0));
        let samples = Arc::clone(&sampled);
        let sampling = tokio::spawn(async move {
            while let Some(resident) = usage::resident(process) {
                samples.fetch_max(resident.bytes, Ordering::Relaxed);
                tokio::time::sleep(STEP).await;
            }
        });
        let bytes_max_before = usage::resident(process).map_or(0, |resident| resident.bytes_max);
        MemoryWatch { process, bytes_max_before, sampled, sampling }
    }

    /// The greatest since it began: what the system says where that is more than before, else the
    /// greatest of the samples.
    pub(crate) fn end(self) -> Option<u64> {
        let now = usage::resident(self.process)?;
        let sampled = self.sampled.load(Ordering::Relaxed).max(now.bytes);
        Some(if now.bytes_max > self.bytes_max_before { now.bytes_max } else { sampled })
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.sampling.abort();
    }
}

/// What the files and folders in a folder whose names are chosen take on disk, in whole blocks.
fn folder_bytes(folder: &Path, is_chosen: fn(&str) -> bool) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // Of 512 bytes, whatever the file system's are.
    const BLOCK_BYTES: u64 = 512;
    // What is gone since it was listed takes nothing.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let chosen = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_chosen));
    let bytes = chosen.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path(), |_| true),
        Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
        Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_and_segments_are_told_apart_and_both_are_in_the_whole() {
        let data = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(data.path().join("segments")).expect("a folder");
        for (name, bytes) in
            [("journal.sqlite", 40_000), ("journal.sqlite-wal", 9_000), ("segments/a", 90_000), ("other", 5_000)]
        {
            std::fs::write(data.path().join(name), vec![b'x'; bytes]).expect("written");
        }
        let footprint = Footprint::of(std::process::id(), data.path(), 1_000);
        assert!((49_000..90_000).contains(&footprint.journal_bytes), "{footprint:?}");
        assert!((90_000..130_000).contains(&footprint.segment_bytes), "{footprint:?}");
        let apart = footprint.journal_bytes + footprint.segment_bytes;
        assert!((apart + 5_000..apart + 40_000).contains(&footprint.disk_bytes), "{footprint:?}");
        assert!((footprint.disk_bytes_per_event - float(footprint.disk_bytes) / 1_000.0).abs() < 0.01, "{footprint:?}");
    }

    #[tokio::test]
    async fn the_greatest_memory_is_seen() {
        let process = std::process::id();
        let watch = MemoryWatch::begin(process);
        let before = usage::resident(process).map(|resident| resident.bytes);
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let greatest = watch.end();
        assert!(greatest.zip(before).is_none_or(|(greatest, before)| greatest >= before + (60 << 20)), "{greatest:?}");
        drop(held);
    }
}
