//! The verdict on what the steps found. Pure.

use super::report::{Step, StepResult};
use crate::domain::{Diagnosis, Mailbox, SignedInAs, Timestamp};
use crate::token::identity::{Claims, Identity};
use crate::token::scopes;
use std::time::Duration;

/// Providers allow their tokens' times to be off by so much.
const SKEW: Duration = Duration::from_secs(300);

/// The result of all steps, and the diagnosis of the first that failed.
pub(super) fn overall(steps: &[Step]) -> (StepResult, Option<Diagnosis>) {
    match steps.iter().find(|step| step.result == StepResult::Failed) {
        Some(failed) => (StepResult::Failed, failed.diagnosis.clone()),
        None => (StepResult::Ok, None),
    }
}

/// How our clock stands to another one, in words; `Err`: too far off.
pub(super) fn clocks(ours: Timestamp, theirs: Timestamp) -> Result<String, String> {
    let (apart, word) =
        if ours >= theirs { (ours.since(theirs), "ahead of") } else { (theirs.since(ours), "behind") };
    let text = format!("{} s {word}", apart.as_secs());
    if apart > SKEW { Err(text) } else { Ok(text) }
}

/// The instant an HTTP answer names in its Date field.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let read = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some(Timestamp(read.timestamp_millis()))
}

/// The scopes that a mailbox needs for what it does and was not granted.
pub(super) fn scopes_lacking(mailbox: &Mailbox, wanted: &[String], granted: &[String]) -> Vec<String> {
    scopes::missing(&scopes::for_mailbox(mailbox, wanted), granted)
}

/// How an account that signed in stands to its mailbox. What it was called at its sign-in is all that is known by now,
/// so that only a stranger is certain to be wrong.
pub(super) fn identity(mailbox: &Mailbox, who: &SignedInAs, tenant: Option<&str>) -> Identity {
    let claims = Claims {
        issuer: String::new(),
        audience: Vec::new(),
        authorized_party: None,
        expires_at: Timestamp(0),
        nonce: None,
        subject: who.oid.clone(),
        tenant: who.tid.clone(),
        names: vec![who.name.clone()],
    };
    claims.identify(mailbox, None, tenant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Facts, catalogue, describe};
    use serde_json::json;

    fn step(result: StepResult, code: Option<&'static crate::diagnosis::Entry>) -> Step {
        let diagnosis = code.map(|entry| describe(entry, &Facts::default(), None));
        Step { name: "tcp", result, milliseconds: 1, detail: String::new(), diagnosis }
    }

    fn mailbox(value: serde_json::Value) -> Mailbox {
        let mut all = json!({"id": "anna", "address": "anna@makler.example", "auth": {"kind": "oauth", "app": "o365"},
            "imap": {"host": "h", "port": 993, "security": "tls"},
            "smtp": {"host": "h", "port": 587, "security": "starttls"}, "display_name": null, "provider": null,
            "owner": null, "ref": null});
        for (name, value) in value.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn the_first_failed_step_gives_the_diagnosis_and_a_skipped_one_does_no_harm() {
        let good = [step(StepResult::Ok, None), step(StepResult::Skipped, None)];
        assert_eq!(overall(&good).0, StepResult::Ok);
        let bad = [
            step(StepResult::Ok, None),
            step(StepResult::Failed, Some(&catalogue::HOST_UNKNOWN)),
            step(StepResult::Failed, Some(&catalogue::SERVER_BUSY)),
        ];
        let (result, found) = overall(&bad);
        assert_eq!((result, found.unwrap().code.as_str()), (StepResult::Failed, "host_unknown"));
    }

    #[test]
    fn a_clock_may_be_off_by_five_minutes_either_way() {
        let noon = Timestamp(1_795_460_342_000);
        assert_eq!(clocks(noon, noon), Ok(String::from("0 s ahead of")));
        assert_eq!(clocks(noon, noon.plus(Duration::from_secs(300))), Ok(String::from("300 s behind")));
        assert_eq!(clocks(noon.plus(Duration::from_secs(301)), noon), Err(String::from("301 s ahead of")));
        assert_eq!(clocks(noon, noon.plus(Duration::from_secs(3600))), Err(String::from("3600 s behind")));
        assert_eq!(http_date("Mon, 23 Nov 2026 18:59:02 GMT"), Some(noon));
        assert_eq!(http_date("soon"), None);
    }

    #[test]
    fn only_scopes_that_are_used_are_missed() {
        let names = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect::<Vec<_>>();
        let wanted = names(&["https://o/IMAP.AccessAsUser.All", "https://o/SMTP.Send", "offline_access"]);
        let granted = names(&["https://o/imap.accessasuser.all"]);
        assert_eq!(scopes_lacking(&mailbox(json!({})), &wanted, &granted), ["https://o/SMTP.Send"]);
        let quiet = mailbox(json!({"smtp": null}));
        assert!(scopes_lacking(&quiet, &wanted, &granted).is_empty());
        let own = json!({"host": "h", "port": 587, "security": "starttls", "auth": {"user": "x"}});
        assert!(scopes_lacking(&mailbox(json!({"smtp": own})), &wanted, &granted).is_empty());
        let sends_only = mailbox(json!({"imap": null}));
        assert_eq!(scopes_lacking(&sends_only, &wanted, &names(&["x"])), ["https://o/SMTP.Send"]);
    }

    #[test]
    fn a_stranger_is_told_from_a_colleague() {
        let who = |name: &str| SignedInAs { name: name.into(), oid: Some("o".into()), tid: Some("t".into()) };
        let anna = mailbox(json!({}));
        assert_eq!(identity(&anna, &who("Anna@makler.example"), Some("t")), Identity::Match);
        assert_eq!(identity(&anna, &who("ben@makler.example"), Some("t")), Identity::SameTenantOther);
        let elsewhere = "11111111-2222-3333-4444-555555555555";
        assert_eq!(identity(&anna, &who("eve@other.example"), Some(elsewhere)), Identity::Stranger);
    }
}
