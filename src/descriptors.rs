//! Open files and sockets: the system allows a process only so many, and whoever takes the last one keeps all others from
//! theirs. What may be held for long is counted beforehand, so that the store is never left without one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files and sockets the process may have open.
#[must_use]
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(MOST)
}

/// Raises the soft limit (often 1,024) to the hard one.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(before) = current.filter(|before| maximum.is_none_or(|maximum| *before < maximum)) else {
        return;
    };
    // Linux has no "unlimited" here (getrlimit(2)): fs.nr_open bounds it
    let wanted = maximum.unwrap_or(MOST);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => tracing::info!(before, now = wanted, "limit of open files raised"),
        Err(error) => tracing::warn!(before, %error, "the limit of open files cannot be raised"),
    }
}

/// fs.nr_open, where nobody changed it.
const MOST: u64 = 1 << 20;
/// What the process needs beside everything that is counted: packs, the store's other files, event loops, name resolution,
/// token requests, examinations, addresses that are tried side by side, the log.
const BESIDE: u64 = 256;

/// How the descriptors of a process are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// All of them.
    pub limit: u64,
    /// Connections of each HTTP listener.
    pub http: usize,
    /// Connections that send at the same time.
    pub sending: usize,
    /// Mailboxes that are connected to receive.
    pub receiving: usize,
}

impl Shares {
    /// Shares out so many: each listener has a fifth, sending a twelfth, up to what is ever useful; receiving the rest.
    #[must_use]
    pub fn of(limit: u64) -> Self {
        let rest = limit.saturating_sub(BESIDE);
        let (http, sending) = ((rest / 5).clamp(1, 1024), (rest / 12).clamp(1, 512));
        // there may be two listeners
        let receiving = rest.saturating_sub(2 * http + sending).max(1);
        let number = |share: u64| usize::try_from(share).unwrap_or(usize::MAX);
        Self { limit, http: number(http), sending: number(sending), receiving: number(receiving) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_never_exceed_the_whole_and_receiving_has_the_most() {
        for limit in [512_u64, 1024, 4096, 20_000, 1 << 20] {
            let Shares { http, sending, receiving, .. } = Shares::of(limit);
            let sum = 2 * http + sending + receiving + 256;
            assert!(sum as u64 <= limit, "{limit}: {sum}");
            assert!(receiving >= 2 * http && receiving >= 6 * sending, "{limit}");
        }
        assert!(Shares::of(20_000).receiving > 17_000);
        assert_eq!(Shares::of(0).receiving, 1, "never none");
    }
}
