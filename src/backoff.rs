//! How long to wait after failures. Pure: the number of failures and a random share come in.

use std::time::Duration;

/// Pauses that double with each failure in a row, up to a longest one, and are spread so that many who failed together
/// do not come back together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// None is longer, before it is spread.
    pub longest: Duration,
    /// The pause is multiplied by a share between these two.
    pub spread: (f64, f64),
}

impl Backoff {
    /// Pauses that are not spread.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, spread: (1.0, 1.0) }
    }

    /// The same, spread between these shares of a pause.
    #[must_use]
    pub const fn spread(self, least: f64, most: f64) -> Self {
        Self { spread: (least, most), ..self }
    }

    /// How long to wait after so many failures in a row, this one included; `jitter` is 0..1.
    #[must_use]
    pub fn pause(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let doubled = self.first.saturating_mul(1_u32 << doublings).min(self.longest);
        let (least, most) = self.spread;
        doubled.mul_f64(least + (most - least) * jitter.clamp(0.0, 1.0))
    }
}

/// When what needs a person is tried again by itself, then hourly: nothing waits for a click.
const PROBES: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)];
const LAST_PROBE: Duration = Duration::from_secs(3600);

/// When a cause that a person has to mend is probed again after it was met so many times in a row.
#[must_use]
pub fn probe_pause(failures: u32) -> Duration {
    let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    PROBES.get(at).copied().unwrap_or(LAST_PROBE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let pauses =
            |jitter| [0, 1, 2, 3, 4, u32::MAX].map(|failures| backoff.pause(failures, jitter).as_millis());
        assert_eq!(pauses(0.0), [1000, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pauses(0.0), pauses(1.0));
        let spread = backoff.spread(0.5, 1.5);
        assert_eq!(spread.pause(2, 0.0), Duration::from_secs(1));
        assert_eq!(spread.pause(2, 7.0), Duration::from_secs(3));
    }

    #[test]
    fn what_needs_a_person_is_probed_within_the_hour() {
        assert_eq!(
            [0, 1, 2, 3, 4, 100].map(|failures| probe_pause(failures).as_secs()),
            [60, 60, 300, 900, 3600, 3600]
        );
    }
}
