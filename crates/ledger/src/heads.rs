//! What is kept of the trees and the clock where the journal was trimmed.
//!
//! # Format
//!
//! ```text
//! head  = version (1 byte, 01), log's number (4), size (8), node (32)…    little-endian
//! floor = {"position": …, "time_recorded_us": …}                        JSON
//! ```

use annals_merkle::{Frontier, Hash};
use annals_model::Time;
use serde::{Deserialize, Serialize};

use crate::seal::Mark;

/// The setting that tells where the journal was trimmed.
pub(crate) const FLOOR: &str = "floor";
const VERSION: u8 = 1;

/// Where the journal was trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floor {
    /// The position of the first event whose row is still in the journal.
    pub(crate) position: u64,
    /// The time of the last commit before.
    pub(crate) time_recorded_us: i64,
}

impl Floor {
    pub(crate) fn of(mark: &Mark) -> Floor {
        Floor { position: mark.position, time_recorded_us: mark.time.us() }
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        // Two numbers always have a form in JSON.
        serde_json::to_vec(&self).unwrap_or_default()
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Floor> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn time(self) -> Time {
        Time::from_us(self.time_recorded_us)
    }
}

/// A log's number and head, as they are kept.
pub(crate) fn to_bytes(log: u32, head: &Frontier) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&log.to_le_bytes());
    bytes.extend_from_slice(&head.size().to_le_bytes());
    head.nodes().iter().for_each(|node| bytes.extend_from_slice(node));
    bytes
}

/// The same read back; `None` if it has another form.
pub(crate) fn of_bytes(bytes: &[u8]) -> Option<(u32, Frontier)> {
    let ([VERSION], rest) = bytes.split_first_chunk()? else { return None };
    let (log, rest) = rest.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (nodes, rest) = rest.as_chunks::<{ size_of::<Hash>() }>();
    let head = Frontier::from_parts(u64::from_le_bytes(*size), nodes.to_vec()).ok()?;
    rest.is_empty().then_some((u32::from_le_bytes(*log), head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was_kept() {
        let mut head = Frontier::new();
        for leaf in 0..100_u8 {
            let kept = to_bytes(7, &head);
            assert_eq!(of_bytes(&kept), Some((7, head.clone())));
            assert_eq!(of_bytes(&[kept.as_slice(), &[0]].concat()), None);
            assert_eq!(of_bytes(kept.get(1..).unwrap_or_default()), None);
            head.push([leaf; 32]);
        }
    }
}
