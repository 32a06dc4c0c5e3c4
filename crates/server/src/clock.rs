//! The machine's clocks.
//!
//! **Invariant:** no other file reads the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use annals_ledger::Clock;
use annals_model::Time;
use rustix::time::{ClockId, clock_gettime};

/// The machine's wall clock, and the one that counts from its boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes from")]
    fn now(&self) -> Time {
        // A clock before 1970 shows the epoch: nothing was recorded then.
        let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_us(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
    }

    /// Since boot, the time asleep included: a laptop that wakes up has not set its clock ahead.
    fn elapsed_us(&self) -> u64 {
        let passed = clock_gettime(ClockId::Boottime);
        let us = passed.tv_sec.saturating_mul(1_000_000).saturating_add(passed.tv_nsec / 1_000);
        u64::try_from(us).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_forward() {
        let (now, elapsed) = (SystemClock.now(), SystemClock.elapsed_us());
        assert!(now > Time::from_s(1_700_000_000) && elapsed > 0);
        while SystemClock.elapsed_us() == elapsed || SystemClock.now() == now {
            std::thread::yield_now();
        }
        assert!(SystemClock.elapsed_us() > elapsed);
    }
}
