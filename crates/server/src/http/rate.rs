//! How many requests a second each key may make.
//!
//! **Invariant:** a key without a rate of its own is never refused here, and costs nothing.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annals_ledger::Clock;
use annals_model::{ApiKey, Fault, FaultKind};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

/// The rates of all keys that have one.
pub(crate) struct Rates {
    ticks: Ticks,
    limiters: Mutex<HashMap<String, (NonZeroU32, Arc<Limiter>)>>,
}

/// The monotonic clock as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.elapsed_us())
    }
}

impl Rates {
    /// None used up yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Rates {
        Rates { ticks: Ticks(clock), limiters: Mutex::default() }
    }

    /// Counts a request of a key. A second's worth may come at once.
    ///
    /// # Errors
    ///
    /// A rate-limited fault that says when to try again.
    pub(crate) fn count(&self, key: &ApiKey) -> Result<(), Fault> {
        let Some(rate) = key.rate_per_s.and_then(NonZeroU32::new) else {
            return Ok(());
        };
        let limiter = self.limiter(&key.id, rate);
        limiter.check().map_err(|until| {
            let wait = until.wait_time_from(self.ticks.now());
            let whole = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
            let retry_after_s = whole.saturating_add(u32::from(wait.subsec_nanos() > 0)).max(1);
            let what = format!("the key's rate of {rate} requests per second is used up: try again later");
            Fault::new(FaultKind::RateLimited { retry_after_s }, what)
        })
    }

    fn limiter(&self, id: &str, rate: NonZeroU32) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((have, limiter)) = limiters.get(id)
            && *have == rate
        {
            return Arc::clone(limiter);
        }
        let limiter = Arc::new(RateLimiter::direct_with_clock(Quota::per_second(rate), self.ticks.clone()));
        limiters.insert(id.to_owned(), (rate, Arc::clone(&limiter)));
        limiter
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use annals_model::Time;

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Time {
            Time::default()
        }
        fn elapsed_us(&self) -> u64 {
            self.0.load(Relaxed)
        }
    }

    fn key(id: &str, rate_per_s: Option<u32>) -> ApiKey {
        let (organization, email, expires) = (None, None, None);
        let (name, hash, scopes) = (String::new(), String::new(), Vec::new());
        let time_created = Time::default();
        ApiKey { id: id.into(), organization, name, scopes, email, expires, rate_per_s, hash, time_created }
    }

    #[test]
    fn a_key_that_used_up_its_rate_waits_and_others_do_not() {
        let hand = Arc::new(Hand::default());
        let rates = Rates::new(hand.clone());
        let (slow, free) = (key("slow", Some(2)), key("free", None));
        assert_eq!([(); 2].map(|()| rates.count(&slow).is_ok()), [true, true]);
        let refused = rates.count(&slow).map_err(|fault| fault.kind);
        assert_eq!(refused, Err(FaultKind::RateLimited { retry_after_s: 1 }));
        assert!(rates.count(&key("other", Some(2))).is_ok());
        assert!((0..100).all(|_| rates.count(&free).is_ok()));
        hand.0.fetch_add(500_000, Relaxed);
        assert!(rates.count(&slow).is_ok());
        assert!(rates.count(&slow).is_err());
    }
}
