//! SIGKILL around token refreshes, under each way of rotating refresh tokens. A grant is lost only where that cannot
//! be helped: strict rotation, and the answer was on its way or not yet durable.

use crate::support::daemon::{Site, world_with};
use crate::support::engine::oauth_parts;
use crate::support::rounds::{randomness, rounds};
use crate::world::entra::{Instead, LogEntry, state::sha256_hex};
use crate::world::{Rotation, World};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use stafette::domain::{Grant, GrantSecret, Incarnation, Secret, Timestamp};
use stafette::store::Commit;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
/// From a restart to `needs_sign_in`.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// Where a daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Refresh,
    /// The mark is in the journal, and not in sled.
    Journal,
    Marked,
    Answered,
    Stored,
    /// At any instant while refresh follows refresh.
    Random,
}

const PLACES: [Place; 10] = [
    Place::Refresh,
    Place::Random,
    Place::Journal,
    Place::Random,
    Place::Marked,
    Place::Random,
    Place::Answered,
    Place::Random,
    Place::Stored,
    Place::Random,
];

/// What a restart after a kill came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// No answer was outstanding, or it was durable.
    Alive,
    /// The answer was lost, and the old token was good for another.
    Recovered,
    NeedsSignIn,
}

/// How many requests a refresh takes. The first of two is refused before its token is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requests {
    One,
    /// The client secret is left out, and demanded.
    SecretTheOtherWay,
    /// A scope is asked for that nobody consented to.
    WithoutScope,
}

const RECEIVING: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";

struct Scene {
    requests: Requests,
    world: World,
    site: Site,
    anna: Incarnation,
    rng: StdRng,
}

impl Scene {
    fn new(rotation: Rotation) -> Self {
        Self::with(rotation, Requests::One)
    }

    fn with(rotation: Rotation, requests: Requests) -> Self {
        let rng = randomness(&format!("refresh, {rotation:?}, {requests:?}"));
        let world = world_with(&[ANNA]).without_postfix().start();
        world.entra().set_rotation(rotation);
        let site = Site::new(&world);
        // without a sending actor all states are told by the receiving one
        let sends = requests == Requests::WithoutScope;
        let anna = site.add_signed_in(&world, ANNA, |anna| anna.smtp = anna.smtp.take().filter(|_| sends));
        let scene = Self { requests, world, site, anna, rng };
        if sends {
            scene.sign_in_again();
        }
        scene
    }

    /// Sees to it that the next refresh takes as many requests as it should.
    fn prepare(&self) {
        if self.requests == Requests::SecretTheOtherWay {
            self.change_grant(|grant| grant.send_client_secret = false);
        }
    }

    fn change_grant(&self, change: impl FnOnce(&mut Grant)) {
        self.site.store(async |store| {
            let mut row = store.grant(self.anna).unwrap().unwrap();
            change(&mut row.value);
            let mut commit = Commit::of_mailbox(self.anna);
            store.put_grant(&mut commit, self.anna, row.generation, &row.value).unwrap();
            store.commit(commit).await.unwrap();
        });
    }

    fn kill_at(&mut self, place: Place) {
        let point = match place {
            Place::Refresh => "token.refresh:anna",
            Place::Journal => "commit.journal_written",
            Place::Marked => "token.marked:anna",
            Place::Answered => "token.answered:anna",
            Place::Stored => "token.stored:anna",
            Place::Random => return self.kill_at_any_instant(),
        };
        self.site.start_with(&format!("{point}=kill")).killed();
    }

    fn kill_at_any_instant(&mut self) {
        let mut daemon = self.site.start();
        let (instant, kill) = (Duration::from_micros(self.rng.random_range(0..200_000)), daemon.killer());
        let killer = std::thread::spawn(move || {
            std::thread::sleep(instant);
            kill();
        });
        while daemon.try_post("/v1/mailboxes/anna/refresh-token", &[], &Value::Null).is_ok() {}
        killer.join().unwrap();
        daemon.killed();
    }

    /// The refresh token in the store, as the stand-in logs it.
    fn persisted(&self) -> String {
        let grant = self.site.store(async |store| store.grant(self.anna).unwrap().unwrap().value);
        match grant.secret {
            GrantSecret::Refresh { refresh_token } => sha256_hex(refresh_token.expose().as_bytes()),
            GrantSecret::Password { .. } => panic!("a password"),
        }
    }

    fn sign_in_again(&self) {
        let (_, _, mut new) = oauth_parts(&self.world, ANNA, self.world.imaps_port());
        if self.requests == Requests::WithoutScope {
            let tokens = self.world.entra().sign_in_for(ANNA, &format!("{RECEIVING} offline_access openid"));
            new.secret = GrantSecret::Refresh { refresh_token: Secret::new(tokens.refresh_token.unwrap()) };
            new.scopes = vec![RECEIVING.into()];
        }
        self.change_grant(|grant| *grant = new);
    }

    fn refreshes(&self) -> Vec<LogEntry> {
        let log = self.world.entra().log();
        log.into_iter().filter(|entry| entry.grant_type.as_deref() == Some("refresh_token")).collect()
    }

    /// Starts the daemon again and sees what became of the grant.
    fn restart(&self, persisted: &str, known: usize) -> Outcome {
        let daemon = self.site.start();
        let state = daemon.until("live or needs_sign_in", || {
            let states = daemon.states("anna").unwrap();
            states.last().filter(|state| matches!(state.as_str(), "live" | "needs_sign_in")).cloned()
        });
        let log = self.refreshes();
        let gave = |entry: &&LogEntry| {
            entry.refresh_token_sha256.as_deref() == Some(persisted)
                && entry.issued_refresh_token_sha256.is_some()
        };
        let ancestors = ancestors(&log, persisted);
        let sent = log[known..].iter().filter_map(|entry| entry.refresh_token_sha256.as_ref());
        assert!(sent.clone().count() > 0, "it asked for a token");
        assert!(
            sent.clone().all(|token| !ancestors.contains(token)),
            "a predecessor of a durable token was sent"
        );
        let given = log.iter().filter(gave).count();
        if state == "live" {
            return if given > 1 { Outcome::Recovered } else { Outcome::Alive };
        }
        let mailbox = daemon.get("/v1/mailboxes/anna");
        assert_eq!(mailbox["diagnosis"]["code"], "rotation_answer_lost", "{mailbox}");
        let told = daemon.events("mailbox.state_changed").pop().unwrap();
        let told: Timestamp = serde_json::from_value(told["at"].clone()).unwrap();
        assert!(told.since(daemon.started_at) < TOLD_WITHIN);
        assert_eq!(given, 1, "only a grant whose answer never became durable is lost");
        Outcome::NeedsSignIn
    }
}

/// The tokens from which this one descends.
fn ancestors(log: &[LogEntry], token: &str) -> BTreeSet<String> {
    let parents: BTreeMap<&str, &str> = log
        .iter()
        .filter_map(|entry| {
            Some((entry.issued_refresh_token_sha256.as_deref()?, entry.refresh_token_sha256.as_deref()?))
        })
        .collect();
    let mut found = BTreeSet::new();
    let mut token = token;
    while let Some(parent) = parents.get(token).copied().filter(|parent| found.insert((*parent).to_owned())) {
        token = parent;
    }
    found
}

fn campaign(rotation: Rotation) -> BTreeMap<(Place, Outcome), usize> {
    campaign_of(Scene::new(rotation), 40)
}

fn campaign_of(mut scene: Scene, usual: usize) -> BTreeMap<(Place, Outcome), usize> {
    let rounds = rounds(usual);
    let mut counts: BTreeMap<(Place, Outcome), usize> = BTreeMap::new();
    for round in 0..rounds {
        let place = PLACES[round % PLACES.len()];
        scene.prepare();
        scene.kill_at(place);
        let (persisted, known) = (scene.persisted(), scene.refreshes().len());
        let outcome = scene.restart(&persisted, known);
        *counts.entry((place, outcome)).or_default() += 1;
        if outcome == Outcome::NeedsSignIn {
            scene.sign_in_again();
            scene.site.start().until_live("anna");
        }
    }
    let refreshes = scene.refreshes();
    let refused = refreshes.iter().filter(|entry| entry.result.starts_with("AADSTS")).count();
    println!(
        "{:?}: {rounds} kills, {} refreshes, {refused} refused: {counts:?}",
        scene.requests,
        refreshes.len()
    );
    assert!(scene.requests == Requests::One || refused >= rounds, "each refresh took two requests");
    counts
}

/// The points at which it is known what was lost.
fn assert_points(counts: &BTreeMap<(Place, Outcome), usize>, lost: Outcome) {
    for (place, outcome) in counts.keys().filter(|(place, _)| *place != Place::Random) {
        let expected = if *place == Place::Answered { lost } else { Outcome::Alive };
        assert_eq!(*outcome, expected, "killed at {place:?}: {counts:?}");
    }
}

#[test]
fn kills_never_cost_a_grant_where_old_tokens_stay_valid() {
    assert_points(&campaign(Rotation::Keep), Outcome::Recovered);
}

#[test]
fn kills_never_cost_a_grant_where_a_token_is_valid_until_its_successor_was_used() {
    assert_points(&campaign(Rotation::Grace), Outcome::Recovered);
}

#[test]
fn kills_cost_a_grant_under_strict_rotation_only_while_the_answer_is_not_durable() {
    assert_points(&campaign(Rotation::Strict), Outcome::NeedsSignIn);
}

#[test]
fn kills_in_a_refresh_of_two_requests_cost_no_more_than_in_one() {
    for requests in [Requests::SecretTheOtherWay, Requests::WithoutScope] {
        assert_points(&campaign_of(Scene::with(Rotation::Strict, requests), 10), Outcome::NeedsSignIn);
    }
}

#[test]
fn a_token_refused_once_is_tried_once_more_after_a_kill_and_not_a_third_time() {
    for again in [false, true] {
        let scene = Scene::new(Rotation::Strict);
        scene.site.start().until_live("anna");
        let token = scene.persisted();
        scene.world.entra().next("token", Instead::aadsts(70_000));
        let mut daemon = scene.site.start();
        daemon.until("the refusal", || {
            let last = daemon.get("/v1/mailboxes/anna")["grant"]["last_refresh"]["result"].clone();
            (last == "refresh_refused_once").then_some(())
        });
        daemon.killer()();
        daemon.killed();
        assert_eq!(scene.persisted(), token);
        if again {
            scene.world.entra().next("token", Instead::aadsts(70_000));
        }
        let daemon = scene.site.start();
        if again {
            daemon.until("needs_sign_in", || {
                let shown = daemon.get("/v1/mailboxes/anna");
                (shown["state"] == "needs_sign_in").then_some(())
            });
            drop(daemon);
            assert_eq!(scene.persisted(), token);
        } else {
            daemon.until_live("anna");
        }
    }
}

#[test]
fn a_mailbox_that_waits_for_its_first_token_is_not_shown_as_live() {
    let scene = Scene::new(Rotation::Keep);
    scene.site.start().until_live("anna");
    let known = scene.refreshes().len();
    scene.world.entra().next("token", Instead::delay_ms(3_000));
    let daemon = scene.site.start();
    daemon.until("connecting", || (daemon.get("/v1/mailboxes/anna")["state"] == "connecting").then_some(()));
    assert_eq!(scene.refreshes().len(), known, "the token is still waited for");
    daemon.until_live("anna");
}
