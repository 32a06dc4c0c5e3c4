//! Where a server kills itself, for tests of crashes: `ANNALS_STOP_AT` names one of [`POINTS`], or
//! `point:n` for the n-th time.
//!
//! **Invariant:** the process ends as by `kill -9`: nothing is finished, flushed or told.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_ledger::{POINTS, Reach};
use serde::Deserialize;

/// A point, and the time it is reached that is the last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StopAt {
    point: String,
    time: u64,
}

impl StopAt {
    /// What the ledger calls at its points.
    pub(crate) fn reach(self) -> Reach {
        let reached = AtomicU64::new(0);
        Arc::new(move |point| {
            if point == self.point && reached.fetch_add(1, Ordering::Relaxed) + 1 == self.time {
                std::process::abort();
            }
        })
    }
}

impl FromStr for StopAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<StopAt, &'static str> {
        let (point, time) = text.split_once(':').unwrap_or((text, "1"));
        let time = time.parse().ok().filter(|time| *time > 0);
        let time = time.filter(|_| POINTS.contains(&point));
        let time = time.ok_or("must be a point of the ledger, or point:n, n from 1")?;
        Ok(StopAt { point: point.to_owned(), time })
    }
}

impl TryFrom<String> for StopAt {
    type Error = &'static str;

    fn try_from(text: String) -> Result<StopAt, &'static str> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_alone_or_with_a_number() {
        let check = |text: &str, expect: Option<(&str, u64)>| {
            let read = text.parse::<StopAt>().ok();
            assert_eq!(read.as_ref().map(|read| (&*read.point, read.time)), expect, "{text}");
        };
        check("seal.written", Some(("seal.written", 1)));
        check("commit.done:12", Some(("commit.done", 12)));
        check("commit.done:0", None);
        check("commit.done:x", None);
        check("commit:2", None);
        check(":2", None);
        check("", None);
    }
}
