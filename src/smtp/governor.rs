//! How fast a mailbox may send: messages in any minute. Pure: `now` is an argument.

use crate::domain::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Exchange Online takes 30 messages a minute from each mailbox (Microsoft, SMTP submission improvements, 2024-01).
pub const EXCHANGE: u32 = 30;

/// When the next message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// At once; it is counted.
    Now,
    /// Not before this.
    At(Timestamp),
}

/// Counts what is sent.
#[derive(Clone, Debug)]
pub struct Governor {
    /// Messages in a minute; 0 is no limit.
    number: usize,
    /// When the last messages went, oldest first; at most a minute's number.
    sent: VecDeque<Timestamp>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Governor {
    /// So many messages in a minute, 0 for no limit; nothing sent yet.
    #[must_use]
    pub fn new(messages_per_minute: u32) -> Self {
        Self { number: usize::try_from(messages_per_minute).unwrap_or(usize::MAX), sent: VecDeque::new() }
    }

    /// Whether one message may go now; then it is counted. The last minute's messages are remembered one by one: a
    /// bucket that refills would let a full one and its refill go within a minute, twice the number.
    pub fn permit(&mut self, now: Timestamp) -> Permit {
        if self.number == 0 {
            return Permit::Now;
        }
        if self.sent.len() >= self.number {
            let free_at = self.sent.front().map_or(now, |oldest| oldest.plus(MINUTE));
            if free_at > now {
                // a clock set back must not stop the mailbox for longer than a minute
                return Permit::At(free_at.min(now.plus(MINUTE)));
            }
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        Permit::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_31st_message_of_a_minute_waits() {
        let mut governor = Governor::new(EXCHANGE);
        let mut now = Timestamp(1_000_000);
        let mut sent = Vec::new();
        for _ in 0..100 {
            while let Permit::At(later) = governor.permit(now) {
                assert!(later > now);
                now = later;
            }
            sent.push(now);
        }
        for window in sent.windows(31) {
            assert!(window[30].since(window[0]) >= Duration::from_secs(60), "{window:?}");
        }
        assert_eq!(sent[29], sent[0], "the first thirty go at once");
        assert_eq!(sent[99].since(sent[0]), Duration::from_secs(180), "the pace is the whole number");
    }

    proptest! {
        #[test]
        fn no_minute_ever_holds_more_than_the_number(rate in 1_u32..60, gaps in proptest::collection::vec(0_u64..9_000, 1..200)) {
            let mut governor = Governor::new(rate);
            let (mut now, mut sent) = (Timestamp(0), Vec::new());
            for gap in gaps {
                now = now.plus(Duration::from_millis(gap));
                if governor.permit(now) == Permit::Now {
                    sent.push(now);
                }
            }
            let rate = usize::try_from(rate).unwrap();
            for window in sent.windows(rate + 1) {
                prop_assert!(window[rate].since(window[0]) >= MINUTE);
            }
        }
    }
}
