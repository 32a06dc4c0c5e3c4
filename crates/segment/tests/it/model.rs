//! The plain list that a segment is compared with.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use annals_model::{Content, Filter, Order};
use annals_segment::{Bytes, Cause, FileWriter, Key, Logs, Row, Segment};

pub(crate) const KEY: u64 = 0x5eed;

/// Events in the order of their commits.
#[derive(Clone, Debug)]
pub(crate) struct List(pub(crate) Vec<(Row, Content)>);

impl List {
    pub(crate) fn build(&self) -> Segment {
        build(&self.0)
    }

    /// Built in pieces, cut before these events; some of the first are merged first, and lie in a file
    /// then.
    pub(crate) fn merged(&self, cuts: &[usize], first: usize) -> Segment {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (self.0.len() + 1)).collect();
        cuts.extend([0, self.0.len()]);
        cuts.sort_unstable();
        let mut pieces: Vec<Segment> = cuts.windows(2).map(|cut| build(&self.0[cut[0]..cut[1]])).collect();
        let rest = pieces.split_off(first.min(pieces.len()));
        let early =
            if first.is_multiple_of(2) { Segment::merge(&pieces).expect("neighbours") } else { in_file(&pieces) };
        Segment::merge(&[vec![early], rest].concat()).expect("neighbours")
    }

    /// The same in memory, merged, and in a file.
    pub(crate) fn segments(&self, cuts: &[usize], first: usize) -> [Segment; 3] {
        let merged = self.merged(cuts, first);
        [self.build(), in_file(std::slice::from_ref(&merged)), merged]
    }

    /// The keys of what is wanted, in order.
    pub(crate) fn page(&self, logs: Logs, positions: &Range<u64>, filter: &Filter, order: &Order) -> Vec<Key> {
        let mut keys: Vec<Key> = self
            .0
            .iter()
            .filter(|(row, content)| {
                logs.contains(row.log)
                    && positions.contains(&row.position)
                    && filter.matches(content, row.time_recorded)
            })
            .map(key)
            .collect();
        keys.sort_by(|a, b| a.compare(b, order));
        keys
    }
}

pub(crate) fn key((row, content): &(Row, Content)) -> Key {
    Key {
        time: content.time_shown(row.time_recorded),
        status: content.request.status.unwrap_or(0),
        position: row.position,
    }
}

fn build(events: &[(Row, Content)]) -> Segment {
    Segment::build(events.iter().map(|(row, content)| (row.clone(), content)), KEY, organization).expect("in order")
}

pub(crate) fn organization(log: u32) -> Arc<str> {
    format!("organization-{log}").into()
}

/// Segments merged into a file.
pub(crate) fn in_file(segments: &[Segment]) -> Segment {
    let file = write(segments);
    let length = file.0.lock().expect("no panic").len() as u64;
    Segment::open(file, length).expect("whole")
}

pub(crate) fn write(segments: &[Segment]) -> File {
    let mut bytes = Vec::new();
    let mut add = |piece: &[u8]| -> Result<(), Cause> {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    let written = Segment::write(segments, FileWriter::new(&mut add, 7).expect("memory")).expect("room");
    assert_eq!(written.bytes, bytes.len() as u64);
    File(Arc::new(Mutex::new(bytes)))
}

/// A file in memory.
#[derive(Clone)]
pub(crate) struct File(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Bytes for File {
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, Cause> {
        let bytes = self.0.lock().expect("no panic");
        let range = usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small");
        bytes.get(range).map(<[u8]>::to_vec).ok_or_else(|| Arc::new(std::io::Error::other("no such range")) as Cause)
    }
}
