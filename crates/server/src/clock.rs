//! The machine's clocks.
//!
//! **Invariant:** no other file reads the time of day.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use annals_ledger::Clock;
use annals_model::Time;

/// The machine's wall clock and its monotonic one.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The clocks, with time passed counted from now.
    #[must_use]
    pub fn start() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes from")]
    fn now(&self) -> Time {
        // A clock before 1970 shows the epoch: nothing was recorded then.
        let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_us(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
