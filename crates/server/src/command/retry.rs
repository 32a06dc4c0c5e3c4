//! When to try a request again.

use std::time::{Duration, Instant};

/// The pauses between the tries of one request: doubled each time, or what the server asks for.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    taken: u32,
}

impl Pauses {
    /// How often one request is tried again.
    const TRIES_MAX: u32 = 6;
    /// The first pause.
    const FIRST: Duration = Duration::from_millis(250);
    /// The longest pause that a server may ask for.
    const LONGEST: Duration = Duration::from_secs(60);

    /// The next pause; none when it is time to give up.
    pub(crate) fn next(&mut self, asked_for: Option<Duration>) -> Option<Duration> {
        if self.taken == Self::TRIES_MAX {
            return None;
        }
        let doubled = Self::FIRST.saturating_mul(1 << self.taken);
        self.taken += 1;
        Some(doubled.max(asked_for.unwrap_or_default()).min(Self::LONGEST))
    }
}

/// Waits for nothing but time to pass.
pub(crate) fn pause(duration: Duration) {
    let begun = Instant::now();
    // Parking may end early, for no reason.
    while let Some(left) = duration.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let mut pauses = Pauses::default();
        let all: Vec<u128> = std::iter::from_fn(|| pauses.next(None)).map(|pause| pause.as_millis()).collect();
        assert_eq!(all, [250, 500, 1_000, 2_000, 4_000, 8_000]);
    }

    #[test]
    fn a_pause_is_not_cut_short() {
        let begun = Instant::now();
        // A wake-up that was sent before does not end it.
        std::thread::current().unpark();
        pause(Duration::from_millis(20));
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn the_server_may_ask_for_longer_but_not_for_ever() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.next(Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(pauses.next(Some(Duration::from_secs(86_400))), Some(Duration::from_secs(60)));
        assert_eq!(pauses.next(Some(Duration::ZERO)), Some(Duration::from_secs(1)));
    }
}
