//! The plain list that a segment is compared with.

use std::sync::Arc;

use annals_model::{Content, Filter, Order};
use annals_segment::{Key, Logs, Row, Segment};

pub(crate) const KEY: u64 = 0x5eed;

/// Events in the order of their commits.
#[derive(Clone, Debug)]
pub(crate) struct List(pub(crate) Vec<(Row, Content)>);

impl List {
    pub(crate) fn build(&self) -> Segment {
        build(&self.0)
    }

    /// Built in pieces, cut before these events; some of the first are merged first.
    pub(crate) fn merged(&self, cuts: &[usize], first: usize) -> Segment {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (self.0.len() + 1)).collect();
        cuts.extend([0, self.0.len()]);
        cuts.sort_unstable();
        let mut pieces: Vec<Arc<Segment>> =
            cuts.windows(2).map(|cut| Arc::new(build(&self.0[cut[0]..cut[1]]))).collect();
        let rest = pieces.split_off(first.min(pieces.len()));
        let early = Arc::new(Segment::merge(&pieces).expect("neighbours"));
        Segment::merge(&[vec![early], rest].concat()).expect("neighbours")
    }

    /// The keys of what is wanted, in order.
    pub(crate) fn page(
        &self,
        logs: Logs,
        positions: &std::ops::Range<u64>,
        filter: &Filter,
        order: &Order,
    ) -> Vec<Key> {
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
    Segment::build(events.iter().map(|(row, content)| (row.clone(), content)), KEY).expect("in order")
}
