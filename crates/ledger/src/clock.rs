//! Whose clock: the one that is handed in, and how far it is believed.
//!
//! **Invariant:** times given to events never decrease, and never follow a wall clock that has run
//! ahead of the monotonic one by more than [`limits::CLOCK_AHEAD_US_MAX`].

use annals_model::{Fault, FaultKind, Time, limits};

/// The time of day, and time passed.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Time;
    /// Microseconds since some instant, never set back or forward.
    fn elapsed_us(&self) -> u64;
}

const BUSY_RETRY_AFTER_S: u32 = 60;

/// Gives each commit its time.
pub(crate) struct Timekeeper {
    wall_base: Time,
    elapsed_base_us: u64,
    last: Time,
    /// Whether the wall clock was too far ahead when it was last looked at.
    ahead: bool,
}

impl Timekeeper {
    /// Begins with the clock as it is, after all that was recorded before.
    pub(crate) fn new(clock: &dyn Clock, last: Time) -> Timekeeper {
        Timekeeper { wall_base: clock.now(), elapsed_base_us: clock.elapsed_us(), last, ahead: false }
    }

    /// The time for the next commit.
    ///
    /// # Errors
    ///
    /// Busy while the wall clock is too far ahead.
    pub(crate) fn next(&mut self, clock: &dyn Clock) -> Result<Time, Fault> {
        let now = clock.now();
        let passed = i64::try_from(clock.elapsed_us().saturating_sub(self.elapsed_base_us)).unwrap_or(i64::MAX);
        let ahead = now.us().saturating_sub(self.wall_base.plus_us(passed).us());
        let was_ahead = std::mem::replace(&mut self.ahead, ahead > limits::CLOCK_AHEAD_US_MAX);
        if self.ahead {
            if !was_ahead {
                tracing::error!(
                    ahead_s = ahead / 1_000_000,
                    "the wall clock has jumped ahead: appends are refused until it is set right or the server is restarted"
                );
            }
            let kind = FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S };
            return Err(Fault::new(
                kind,
                "the server's clock has jumped ahead by more than an hour: it takes no events until that is set right",
            ));
        }
        Ok(now.max(self.last))
    }

    /// The time of the last commit.
    pub(crate) fn last(&self) -> Time {
        self.last
    }

    /// Remembers the time that a commit was given.
    pub(crate) fn committed(&mut self, time: Time) {
        self.last = self.last.max(time);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Hands(AtomicI64, AtomicU64);

    impl Clock for Hands {
        fn now(&self) -> Time {
            Time::from_us(self.0.load(Relaxed))
        }
        fn elapsed_us(&self) -> u64 {
            self.1.load(Relaxed)
        }
    }

    #[test]
    fn a_clock_set_back_is_waited_for() {
        let hands = Hands::default();
        let mut keeper = Timekeeper::new(&hands, Time::from_us(500));
        assert_eq!(keeper.next(&hands), Ok(Time::from_us(500)));
        hands.0.store(700, Relaxed);
        assert_eq!(keeper.next(&hands), Ok(Time::from_us(700)));
        keeper.committed(Time::from_us(700));
        hands.0.store(600, Relaxed);
        assert_eq!(keeper.next(&hands), Ok(Time::from_us(700)));
    }

    #[test]
    fn a_clock_that_jumps_ahead_by_over_an_hour_is_not_followed() {
        let hands = Hands::default();
        let mut keeper = Timekeeper::new(&hands, Time::default());
        hands.0.store(limits::CLOCK_AHEAD_US_MAX, Relaxed);
        assert!(keeper.next(&hands).is_ok());
        hands.0.store(limits::CLOCK_AHEAD_US_MAX + 1, Relaxed);
        assert!(matches!(keeper.next(&hands).map_err(|fault| fault.kind), Err(FaultKind::Busy { .. })));
        hands.1.store(1, Relaxed);
        assert!(keeper.next(&hands).is_ok());
    }
}
