//! Bounds on guessing passwords.
//!
//! Tries are counted before they are looked at, so that many at once gain nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failed tries of one address for one user within [`WINDOW`]; more are refused unlooked.
const FAILURES_MAX: u32 = 20;
/// Time over which tries are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Pairs of address and user that are remembered at the same time.
const REMEMBERED_MAX: usize = 10_000;
/// Bytes of a user's name that tell it apart here.
const NAME_LEN_MAX: usize = 64;

/// The failed tries of late.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    counts: Mutex<BTreeMap<(IpAddr, String), Count>>,
}

#[derive(Debug)]
struct Count {
    tries: u32,
    since: Instant,
}

impl Attempts {
    /// Counts a try; whether it may go on.
    pub(crate) fn begin(&self, address: IpAddr, user: &str) -> bool {
        self.begin_at(address, user, Instant::now())
    }

    fn begin_at(&self, address: IpAddr, user: &str, now: Instant) -> bool {
        let mut counts = self.counts.lock();
        if counts.len() >= REMEMBERED_MAX {
            counts.retain(|_, count| now.duration_since(count.since) < WINDOW);
            if counts.len() >= REMEMBERED_MAX {
                counts.pop_first();
            }
        }
        let count = counts.entry(key(address, user)).or_insert(Count {
            tries: 0,
            since: now,
        });
        if now.duration_since(count.since) >= WINDOW {
            *count = Count {
                tries: 0,
                since: now,
            };
        }
        count.tries = count.tries.saturating_add(1);
        count.tries <= FAILURES_MAX
    }

    /// A try has succeeded: those before are forgotten.
    pub(crate) fn forget(&self, address: IpAddr, user: &str) {
        self.counts.lock().remove(&key(address, user));
    }
}

/// Whoever has one IPv6 address has its whole /64.
fn key(address: IpAddr, user: &str) -> (IpAddr, String) {
    let address = match address {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    };
    let name = user.chars().take(NAME_LEN_MAX).collect();
    (address, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_bounded_until_the_window_is_over() {
        let attempts = Attempts::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(attempts.begin_at(address, "alice", start));
        }
        assert!(!attempts.begin_at(address, "alice", start));
        assert!(attempts.begin_at(address, "bob", start));
        assert!(attempts.begin_at("192.0.2.2".parse().unwrap(), "alice", start));
        assert!(attempts.begin_at(address, "alice", start + WINDOW));
        attempts.forget(address, "alice");
        assert!(attempts.begin_at(address, "alice", start));
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_memory_is_bounded() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for last in 0..=FAILURES_MAX {
            let address = format!("2001:db8::{last:x}").parse().unwrap();
            assert_eq!(attempts.begin_at(address, "a", now), last < FAILURES_MAX);
        }
        for number in 0..REMEMBERED_MAX + 10 {
            let address = "192.0.2.1".parse().unwrap();
            attempts.begin_at(address, &number.to_string(), now);
        }
        assert!(attempts.counts.lock().len() <= REMEMBERED_MAX);
    }
}
