//! Points in time as they are stored and shown: UTC, in milliseconds.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant as RFC 3339 in UTC; with milliseconds only where there are any.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(at) if self.0 % 1000 == 0 => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            Some(at) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
            None => String::from("1970-01-01T00:00:00Z"),
        }
    }

    /// Reads RFC 3339 with any offset; `None` if it is not that.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_millis()))
    }

    /// The instant `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_rfc3339())
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::from_rfc3339(&text)
                .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_whole_seconds_without_a_fraction() {
        assert_eq!(Timestamp(1_795_460_342_000).to_rfc3339(), "2026-11-23T18:59:02Z");
        assert_eq!(Timestamp(1_795_460_342_007).to_rfc3339(), "2026-11-23T18:59:02.007Z");
    }

    #[test]
    fn reads_any_offset_as_utc() {
        let read = Timestamp::from_rfc3339("2026-11-23T19:59:02+01:00");
        assert_eq!(read, Some(Timestamp(1_795_460_342_000)));
        assert_eq!(Timestamp::from_rfc3339("yesterday"), None);
    }
}
