//! Which token requests of one app may leave now. Pure: `now` is an argument.
//!
//! Three rules. Few requests are on their way at a time, so that a fleet that starts or comes back is no stampede.
//! When the app's own credentials or existence are refused, nobody asks any more but one mailbox, now and then, on
//! probation (the breaker). What an administrator of the tenant has to mend is likewise asked by one of those who met
//! it, for each cause. A probe that succeeds frees all others.

use crate::backoff::probe_pause;
use crate::domain::{Diagnosis, Incarnation, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Requests of one app on their way at once: what a broken secret costs before the breaker trips.
pub const IN_FLIGHT: usize = 3;
/// How long others wait for a probe that is on its way.
const PROBING: Duration = Duration::from_secs(60);

/// What is to be done with a mailbox that wants to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, as soon as there is room.
    Queue,
    /// Not before then. The diagnosis is the app's, where the app is broken; else the mailbox has met it itself.
    Wait {
        /// When to come again.
        until: Timestamp,
        /// Why, if the app is broken.
        app_broken: Option<Box<Diagnosis>>,
    },
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a token.
    Good,
    /// The app's own credentials or existence were refused: nobody else needs to find that out.
    AppBroken(Box<Diagnosis>),
    /// An administrator or the app's owner has to act, by the diagnosis' code; others may fare better.
    NeedsFix(String),
    /// In some way that says nothing about others.
    Neutral,
}

/// A cause that somebody has to mend.
#[derive(Debug, Default)]
struct Trip {
    failures: u32,
    probe_at: Timestamp,
    prober: Option<Incarnation>,
    members: BTreeSet<Incarnation>,
}

impl Trip {
    /// Whether this mailbox is the one to probe; else when to come again.
    fn admit(&mut self, who: Incarnation, urgent: bool, now: Timestamp) -> Result<(), Timestamp> {
        self.members.insert(who);
        match self.prober {
            Some(prober) if prober != who => Err(now.plus(PROBING)),
            Some(_) => Ok(()),
            None if urgent || now >= self.probe_at => {
                self.prober = Some(who);
                Ok(())
            }
            None => Err(self.probe_at),
        }
    }

    fn failed(&mut self, who: Incarnation, now: Timestamp) {
        // several may have been on their way when it was met first: that is one failure
        if self.failures == 0 || self.prober == Some(who) {
            self.failures = self.failures.saturating_add(1);
            self.probe_at = now.plus(probe_pause(self.failures));
        }
        self.prober = self.prober.filter(|prober| *prober != who);
        self.members.insert(who);
    }
}

/// The gate of one app.
#[derive(Debug, Default)]
pub struct Gate {
    /// The app's credential is new and unproven: one request finds out for all.
    is_trial: bool,
    on_their_way: BTreeMap<Incarnation, usize>,
    broken: Option<(Trip, Box<Diagnosis>)>,
    /// By the code of the cause.
    causes: BTreeMap<String, Trip>,
}

impl Gate {
    /// A mailbox wants to ask; `urgent`: a person said "now".
    pub fn admit(&mut self, who: Incarnation, urgent: bool, now: Timestamp) -> Admission {
        if let Some((trip, diagnosis)) = &mut self.broken {
            return match trip.admit(who, urgent, now) {
                Ok(()) => Admission::Queue,
                Err(until) => Admission::Wait { until, app_broken: Some(diagnosis.clone()) },
            };
        }
        let met = self.causes.values_mut().find(|trip| trip.members.contains(&who));
        match met.map(|trip| trip.admit(who, urgent, now)) {
            None | Some(Ok(())) => Admission::Queue,
            Some(Err(until)) => Admission::Wait { until, app_broken: None },
        }
    }

    /// Whether one more may leave now; `true` counts it as on its way.
    pub fn take_room(&mut self, who: Incarnation) -> bool {
        let room = if self.is_trial { 1 } else { IN_FLIGHT };
        let has_room = self.on_their_way.values().sum::<usize>() < room;
        if has_room {
            *self.on_their_way.entry(who).or_default() += 1;
        }
        has_room
    }

    /// A request ended, or whoever made it did. Those who may ask again because of it are given back.
    pub fn ended(&mut self, who: Incarnation, outcome: Outcome, now: Timestamp) -> Vec<Incarnation> {
        if let Some(count) = self.on_their_way.get_mut(&who) {
            *count = count.saturating_sub(1);
        }
        self.on_their_way.retain(|_, count| *count > 0);
        match outcome {
            Outcome::Good => self.good(who),
            Outcome::AppBroken(diagnosis) => {
                let (mut trip, _) =
                    self.broken.take().unwrap_or_else(|| (Trip::default(), diagnosis.clone()));
                trip.failed(who, now);
                self.broken = Some((trip, diagnosis));
                Vec::new()
            }
            Outcome::NeedsFix(code) => {
                for (_, trip) in self.causes.iter_mut().filter(|(other, _)| **other != code) {
                    trip.members.remove(&who);
                    trip.prober = trip.prober.filter(|prober| *prober != who);
                }
                self.causes.retain(|_, trip| !trip.members.is_empty());
                self.causes.entry(code).or_default().failed(who, now);
                // the app itself was believed
                self.free_from_broken()
            }
            Outcome::Neutral => {
                let broken = self.broken.iter_mut().map(|(trip, _)| trip);
                for trip in broken.chain(self.causes.values_mut()).filter(|trip| trip.prober == Some(who)) {
                    trip.prober = None;
                    trip.probe_at = now.plus(PROBING);
                }
                Vec::new()
            }
        }
    }

    fn good(&mut self, who: Incarnation) -> Vec<Incarnation> {
        let mut freed = self.free_from_broken();
        let mut left = BTreeMap::new();
        for (code, mut trip) in std::mem::take(&mut self.causes) {
            trip.members.remove(&who);
            if trip.prober == Some(who) {
                freed.extend(trip.members.into_iter().chain([who]));
            } else if !trip.members.is_empty() {
                left.insert(code, trip);
            }
        }
        self.causes = left;
        freed
    }

    fn free_from_broken(&mut self) -> Vec<Incarnation> {
        self.broken.take().map(|(trip, _)| trip.members.into_iter().collect()).unwrap_or_default()
    }

    /// The app was changed: whatever was wrong is probed at once, by whoever asks first.
    pub fn app_changed(&mut self, now: Timestamp) {
        let broken = self.broken.iter_mut().map(|(trip, _)| trip);
        for trip in broken.chain(self.causes.values_mut()) {
            trip.probe_at = now;
            trip.failures = 0;
        }
    }

    /// Whether the app's credential is on trial: then one request at a time is on its way.
    pub fn set_trial(&mut self, is_trial: bool) {
        self.is_trial = is_trial;
    }

    /// Whether it is.
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// Why nobody may ask, if the app is broken.
    #[must_use]
    pub fn app_broken(&self) -> Option<&Diagnosis> {
        self.broken.as_ref().map(|(_, diagnosis)| diagnosis.as_ref())
    }
}

#[cfg(test)]
#[path = "circuit_breaker_tests.rs"]
mod tests;
