//! When the end of a client secret is announced: some days ahead, each once. Pure.

use crate::domain::Timestamp;

/// How many days ahead it is announced.
pub const DAYS_AHEAD: [u32; 5] = [60, 30, 14, 7, 1];

const DAY: i64 = 24 * 3600 * 1000;

/// Whole days that are left; 0 on the last one and after it.
#[must_use]
pub fn days_left(expires_at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(expires_at.0.saturating_sub(now.0).max(0) / DAY).unwrap_or(u32::MAX)
}

/// Which of [`DAYS_AHEAD`] is to be announced now; `announced` is the last one that was, of the same end. After a time
/// without a look only the nearest is announced.
#[must_use]
pub fn due(expires_at: Timestamp, now: Timestamp, announced: Option<u32>) -> Option<u32> {
    let left = expires_at.0.saturating_sub(now.0);
    let reached = |days: &&u32| left <= i64::from(**days).saturating_mul(DAY);
    let nearest = DAYS_AHEAD.iter().rev().find(reached).copied()?;
    announced.is_none_or(|announced| nearest < announced).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_over_the_life_of_a_secret() {
        let expires_at = Timestamp(1_000 * DAY);
        let mut told = None;
        let mut days = Vec::new();
        for hour in 0..(100 * 24) {
            let now = Timestamp(expires_at.0 - 90 * DAY + hour * 3_600_000);
            if let Some(stage) = due(expires_at, now, told) {
                assert!(days_left(expires_at, now) <= stage);
                days.push(stage);
                told = Some(stage);
            }
        }
        assert_eq!(days, DAYS_AHEAD);
    }

    #[test]
    fn who_was_away_is_told_the_nearest_only() {
        let expires_at = Timestamp(1_000 * DAY);
        let before = |days: i64| Timestamp(expires_at.0 - days * DAY);
        assert_eq!(due(expires_at, before(61), None), None);
        assert_eq!(due(expires_at, before(60), None), Some(60));
        assert_eq!(due(expires_at, before(10), Some(60)), Some(14));
        assert_eq!(due(expires_at, before(10), Some(14)), None);
        assert_eq!(due(expires_at, before(-5), None), Some(1), "it has ended: still told");
        assert_eq!(due(expires_at, before(-5), Some(1)), None);
        assert_eq!(days_left(expires_at, before(-5)), 0);
    }
}
