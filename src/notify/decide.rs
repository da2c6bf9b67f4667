//! Who gets which mail now. Pure: it looks at states as they are and at what was sent, so that a lost wake-up costs
//! time and a repeated one sends nothing twice.

use crate::domain::{Incarnation, MailboxId, MailboxState, SendState, SignInId, Timestamp};
use crate::store::{Cause, Notice};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Reminders after the invitation.
const REMINDERS: u32 = 4;
/// Days before the end of a client secret at which administrators are written to.
const SECRET_DAYS: [u64; 5] = [60, 30, 14, 7, 1];
/// A cause of this daemon: a user who was reminded as often as one may.
pub(super) const OVERDUE: &str = "sign_in_overdue";
/// A cause of this daemon, followed by the days that are left.
pub(super) const SECRET: &str = "secret_expiring_";
/// A cause of this daemon, followed by when it was: each is reported.
pub(super) const ROLLED_BACK: &str = "secret_rolled_back_";

/// A mailbox as it is now.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) id: MailboxId,
    pub(super) incarnation: Incarnation,
    pub(super) state: MailboxState,
    /// The code of its diagnosis.
    pub(super) code: Option<String>,
    pub(super) send_state: SendState,
    pub(super) send_code: Option<String>,
    pub(super) app: Option<String>,
    /// It signs in by OAuth, its app is complete, it is active.
    pub(super) can_sign_in: bool,
    pub(super) has_grant: bool,
    /// It moves to another app, by which its user has to sign in.
    pub(super) is_moving: bool,
}

impl Seen {
    /// Whether a user who was invited has still to sign in.
    fn waits_for_sign_in(&self) -> bool {
        self.is_moving || self.needs_sign_in()
    }

    fn needs_sign_in(&self) -> bool {
        !self.has_grant
            || self.state == MailboxState::NeedsSignIn
            || self.send_state == SendState::NeedsSignIn
    }
}

/// An app as it is now.
#[derive(Clone, Debug)]
pub(super) struct SeenApp {
    pub(super) id: String,
    /// When its client secret ends.
    pub(super) ends: Option<Timestamp>,
    /// When its last new credential was refused, if that was the last that became of it.
    pub(super) rolled_back: Option<Timestamp>,
}

/// How things are to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// There is a mailbox that sends.
    pub(super) can_send: bool,
    /// There are administrators.
    pub(super) has_admins: bool,
    pub(super) remind_after: Duration,
    pub(super) repeat_after: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The mailbox lost its sign-in, or got another app: invite its user.
    Invite(Incarnation),
    /// The user was invited and did not sign in: remind.
    Remind(Incarnation),
    /// The user was invited often enough.
    Overdue(Incarnation, SignInId),
    /// What was sent has done its work.
    Close(Notice),
    /// Write to administrators about a cause, these mailboxes being concerned.
    Alert(Cause, Vec<MailboxId>),
}

/// Decides for all mailboxes and apps.
pub(super) fn decide(
    seen: &[Seen],
    apps: &[SeenApp],
    notices: &[Notice],
    rules: &Rules,
    now: Timestamp,
) -> Vec<Action> {
    let mut actions = invitations(seen, notices, rules, now);
    actions.extend(alerts(&causes(seen, apps, notices, now), notices, rules, now));
    actions
}

fn invitations(seen: &[Seen], notices: &[Notice], rules: &Rules, now: Timestamp) -> Vec<Action> {
    let mailboxes: BTreeMap<Incarnation, &Seen> = seen.iter().map(|seen| (seen.incarnation, seen)).collect();
    let mut actions = Vec::new();
    let mut invited = BTreeSet::new();
    for notice in notices {
        let Notice::Invitation { incarnation, sign_in, mails, last, overdue, .. } = notice else { continue };
        let waits = mailboxes.get(incarnation).filter(|seen| seen.waits_for_sign_in());
        let Some(seen) = waits else {
            actions.push(Action::Close(notice.clone()));
            continue;
        };
        invited.insert(*incarnation);
        if *mails == 0 {
            if rules.can_send && seen.can_sign_in {
                actions.push(Action::Invite(*incarnation));
            }
            continue;
        }
        if *overdue || last.plus(rules.remind_after) > now {
            continue;
        }
        if *mails > REMINDERS {
            actions.push(Action::Overdue(*incarnation, *sign_in));
        } else if rules.can_send && seen.can_sign_in {
            actions.push(Action::Remind(*incarnation));
        }
    }
    let is_new = |seen: &&Seen| {
        seen.has_grant && seen.can_sign_in && seen.needs_sign_in() && !invited.contains(&seen.incarnation)
    };
    let lost = seen.iter().filter(|_| rules.can_send).filter(is_new);
    actions.extend(lost.map(|seen| Action::Invite(seen.incarnation)));
    actions
}

/// Everything that administrators ought to know, and whom it concerns.
fn causes(
    seen: &[Seen],
    apps: &[SeenApp],
    notices: &[Notice],
    now: Timestamp,
) -> BTreeMap<Cause, Vec<MailboxId>> {
    let mut found: BTreeMap<Cause, Vec<MailboxId>> = BTreeMap::new();
    for mailbox in seen {
        let cause =
            |code: &String| Cause { code: code.clone(), app: mailbox.app.clone().unwrap_or_default() };
        let receiving = matches!(mailbox.state, MailboxState::NeedsAdmin | MailboxState::AppBroken);
        let sending = matches!(mailbox.send_state, SendState::NeedsAdmin | SendState::AppBroken);
        let codes = [(receiving, &mailbox.code), (sending, &mailbox.send_code)];
        let mut named: Vec<Cause> = codes
            .into_iter()
            .filter(|(is_due, _)| *is_due)
            .filter_map(|(_, code)| code.as_ref().map(cause))
            .collect();
        named.dedup();
        for cause in named {
            found.entry(cause).or_default().push(mailbox.id.clone());
        }
    }
    for notice in notices {
        if let Notice::Invitation { mailbox, incarnation, overdue: true, .. } = notice
            && let Some(mailbox_seen) = seen.iter().find(|seen| seen.incarnation == *incarnation)
            && mailbox_seen.waits_for_sign_in()
        {
            let app = mailbox_seen.app.clone().unwrap_or_default();
            found.entry(Cause { code: String::from(OVERDUE), app }).or_default().push(mailbox.clone());
        }
    }
    for app in apps {
        let codes = [
            app.ends.and_then(|ends| days_mark(ends, now)).map(|mark| format!("{SECRET}{mark}")),
            app.rolled_back.map(|at| format!("{ROLLED_BACK}{}", at.0)),
        ];
        for code in codes.into_iter().flatten() {
            let concerned = seen.iter().filter(|seen| seen.app.as_ref() == Some(&app.id));
            let concerned = concerned.map(|seen| seen.id.clone()).collect();
            found.insert(Cause { code, app: app.id.clone() }, concerned);
        }
    }
    found
}

/// The mark of an end that is near.
fn days_mark(ends: Timestamp, now: Timestamp) -> Option<u64> {
    let days = ends.since(now).as_secs().div_ceil(24 * 3600);
    SECRET_DAYS.iter().rev().find(|mark| days <= **mark).copied()
}

fn alerts(
    causes: &BTreeMap<Cause, Vec<MailboxId>>,
    notices: &[Notice],
    rules: &Rules,
    now: Timestamp,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut reported: BTreeMap<&Cause, Timestamp> = BTreeMap::new();
    for notice in notices {
        let Notice::Alert { cause, last } = notice else { continue };
        if causes.contains_key(cause) {
            reported.insert(cause, *last);
        } else {
            actions.push(Action::Close(notice.clone()));
        }
    }
    if !rules.can_send || !rules.has_admins {
        return actions;
    }
    for (cause, concerned) in causes {
        let is_due = match reported.get(cause) {
            None => true,
            // each mark, and each refusal, is reported once
            Some(_) if [SECRET, ROLLED_BACK].iter().any(|once| cause.code.starts_with(once)) => false,
            Some(last) => last.plus(rules.repeat_after) <= now,
        };
        if is_due {
            actions.push(Action::Alert(cause.clone(), concerned.clone()));
        }
    }
    actions
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
