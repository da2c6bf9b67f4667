//! The watchdog: sends every arbiter a question, and logs one that is long in answering. On an arbiter live the actors
//! of many mailboxes: what keeps it keeps all of their commands, timers and sign-ins.

use crate::clock;
use actix::Arbiter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often every arbiter is probed: of standstills of a tenth of a second none is missed, and in tests none of a moment.
pub(super) const ROUND: Duration = Duration::from_millis(if cfg!(feature = "faults") { 20 } else { 100 });
/// Longer waits are logged: work on an arbiter takes a millisecond at most, so that there is a fault, or the machine is
/// far too slow for what runs on it.
const LATE: Duration = Duration::from_millis(500);

/// Watches over arbiters.
#[derive(Default)]
pub(super) struct Watchdog {
    pulses: Vec<Arc<Mutex<Pulse>>>,
}

/// What is known of one arbiter.
#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    /// When it was probed, if it has not answered yet.
    probed_at: Option<Instant>,
    /// How long a wait is the next to be logged.
    report_at: Duration,
    /// The longest wait so far.
    longest: Duration,
}

/// What is to be done about an arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Probe,
    Wait,
    /// It has not answered for so long.
    Report(Duration),
}

impl Pulse {
    fn judge(&mut self, now: Instant) -> Verdict {
        let Some(probed_at) = self.probed_at else {
            (self.probed_at, self.report_at) = (Some(now), LATE);
            return Verdict::Probe;
        };
        let waited = now.saturating_duration_since(probed_at);
        if waited < self.report_at {
            return Verdict::Wait;
        }
        // a minute's standstill is not logged sixty times
        self.report_at = waited.saturating_mul(2);
        Verdict::Report(waited)
    }

    /// It answered: how long that took, if it is worth logging.
    fn answer(&mut self, now: Instant) -> Option<Duration> {
        let waited = now.saturating_duration_since(self.probed_at.take()?);
        self.longest = self.longest.max(waited);
        Some(waited).filter(|waited| *waited >= LATE)
    }
}

impl Watchdog {
    pub(super) fn new(arbiters: usize) -> Self {
        Self { pulses: (0..arbiters).map(|_| Arc::default()).collect() }
    }

    /// Probes those that have answered, and logs those that have not.
    pub(super) fn look(&self, arbiters: &[Arbiter], now: Instant) {
        for (number, (arbiter, pulse)) in arbiters.iter().zip(&self.pulses).enumerate() {
            let verdict = lock(pulse).judge(now);
            match verdict {
                Verdict::Probe => {
                    let pulse = Arc::clone(pulse);
                    // one that has ended never answers: that is logged like a standstill
                    arbiter.spawn_fn(move || answered(number, &pulse));
                }
                Verdict::Wait => {}
                Verdict::Report(waited) => {
                    tracing::error!(
                        arbiter = number,
                        ?waited,
                        "an arbiter does not answer: its mailboxes stand still"
                    );
                }
            }
        }
    }
}

impl Watchdog {
    /// How long each arbiter has kept a question waiting at most, one that is open included.
    pub(super) fn longest_lags(&self, now: Instant) -> Vec<Duration> {
        let longest = |pulse: &Arc<Mutex<Pulse>>| {
            let pulse = lock(pulse);
            let open =
                pulse.probed_at.map_or(Duration::ZERO, |probed_at| now.saturating_duration_since(probed_at));
            pulse.longest.max(open)
        };
        self.pulses.iter().map(longest).collect()
    }
}

fn answered(number: usize, pulse: &Mutex<Pulse>) {
    let waited = lock(pulse).answer(clock::monotonic());
    if let Some(waited) = waited {
        tracing::warn!(
            arbiter = number,
            ?waited,
            "an arbiter was kept from answering: its mailboxes stood still"
        );
    }
}

fn lock(pulse: &Mutex<Pulse>) -> std::sync::MutexGuard<'_, Pulse> {
    pulse.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_told_once_it_is_long_and_then_ever_less_often() {
        let begin = clock::monotonic();
        let mut pulse = Pulse::default();
        let told: Vec<u64> = (0..=60)
            .filter(|second| {
                let now = begin + Duration::from_secs(*second);
                matches!(pulse.judge(now), Verdict::Report(waited) if waited == now - begin)
            })
            .collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32]);
        let end = begin + Duration::from_secs(61);
        assert_eq!(pulse.answer(end), Some(Duration::from_secs(61)));
        assert_eq!(pulse.answer(end), None);
        assert_eq!(pulse.judge(end), Verdict::Probe);
        assert_eq!(pulse.answer(end + LATE / 2), None, "that is no standstill");
        assert_eq!(pulse.longest, Duration::from_secs(61));
    }

    #[test]
    fn an_arbiter_that_is_held_up_is_noticed_and_the_other_one_is_not_blamed() {
        actix::System::new().block_on(async {
            let arbiters = [Arbiter::new(), Arbiter::new()];
            let watchdog = Watchdog::new(2);
            let (release, held) = std::sync::mpsc::channel::<()>();
            arbiters[0].spawn_fn(move || held.recv().unwrap());
            let begin = clock::monotonic();
            watchdog.look(&arbiters, begin);
            let (tell, told) = tokio::sync::oneshot::channel();
            arbiters[1].spawn_fn(move || tell.send(()).unwrap());
            told.await.unwrap();
            let verdicts = watchdog.pulses.iter().map(|pulse| lock(pulse).judge(begin + LATE));
            assert_eq!(verdicts.collect::<Vec<_>>(), [Verdict::Report(LATE), Verdict::Probe]);
            assert_eq!(watchdog.longest_lags(begin + LATE)[0], LATE);
            release.send(()).unwrap();
            let (tell, told) = tokio::sync::oneshot::channel();
            arbiters[0].spawn_fn(move || tell.send(()).unwrap());
            told.await.unwrap();
            assert!(lock(&watchdog.pulses[0]).probed_at.is_none(), "it answered when it could");
            assert!(arbiters.iter().all(Arbiter::stop));
        });
    }
}
