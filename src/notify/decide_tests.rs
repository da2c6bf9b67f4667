//! Tests of who gets which mail.

use super::*;

const NOW: Timestamp = Timestamp(1_795_460_342_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
const RULES: Rules = Rules {
    can_send: true,
    has_admins: true,
    remind_after: Duration::from_secs(3 * 24 * 3600),
    repeat_after: DAY,
};

fn seen(number: u64, state: MailboxState) -> Seen {
    Seen {
        id: MailboxId::new(format!("m{number}")).unwrap(),
        incarnation: Incarnation(number),
        state,
        code: Some(String::from("client_secret_expired")),
        send_state: SendState::Ready,
        send_code: None,
        app: Some(String::from("o365")),
        can_sign_in: true,
        has_grant: true,
        is_moving: false,
    }
}

fn invitation(number: u64, mails: u32, last: Timestamp, overdue: bool) -> Notice {
    Notice::Invitation {
        mailbox: MailboxId::new(format!("m{number}")).unwrap(),
        incarnation: Incarnation(number),
        sign_in: SignInId::generate(),
        mails,
        last,
        overdue,
    }
}

fn cause(code: &str) -> Cause {
    Cause { code: code.into(), app: "o365".into() }
}

fn app() -> SeenApp {
    SeenApp { id: String::from("o365"), ends: None, rolled_back: None }
}

#[test]
fn a_lost_sign_in_is_asked_for_once_and_only_where_it_can_be_given() {
    let mut all = vec![seen(1, MailboxState::NeedsSignIn), seen(2, MailboxState::Live)];
    assert_eq!(decide(&all, &[], &[], &RULES, NOW), [Action::Invite(Incarnation(1))]);
    assert_eq!(decide(&all, &[], &[invitation(1, 1, NOW, false)], &RULES, NOW), []);
    assert_eq!(decide(&all, &[], &[], &Rules { can_send: false, ..RULES }, NOW), []);
    all[0].can_sign_in = false;
    assert_eq!(decide(&all, &[], &[], &RULES, NOW), []);
    // one that never signed in is invited by its administrator, not by itself
    let fresh = Seen { has_grant: false, ..seen(3, MailboxState::AwaitingSignIn) };
    assert_eq!(decide(std::slice::from_ref(&fresh), &[], &[], &RULES, NOW), []);
    let asked = [invitation(3, 0, NOW, false)];
    assert_eq!(
        decide(std::slice::from_ref(&fresh), &[], &asked, &RULES, NOW),
        [Action::Invite(Incarnation(3))]
    );
    let incomplete = Seen { can_sign_in: false, ..fresh };
    assert_eq!(decide(&[incomplete], &[], &asked, &RULES, NOW), [], "later, when its app is complete");
}

#[test]
fn a_mailbox_on_its_way_to_another_app_is_reminded_and_not_asked_by_itself() {
    let moving = [Seen { is_moving: true, ..seen(1, MailboxState::Live) }];
    assert_eq!(decide(&moving, &[], &[], &RULES, NOW), [], "whoever moves it asks, or has a mail sent");
    let then = Timestamp(NOW.0 - 3 * 24 * 3600 * 1000);
    let asked = [invitation(1, 1, then, false)];
    assert_eq!(decide(&moving, &[], &asked, &RULES, NOW), [Action::Remind(Incarnation(1))]);
    let moved = [seen(1, MailboxState::Live)];
    assert_eq!(decide(&moved, &[], &asked, &RULES, NOW), [Action::Close(asked[0].clone())]);
}

#[test]
fn there_are_four_reminders_then_it_is_told_once() {
    let waiting = [seen(1, MailboxState::NeedsSignIn)];
    let then = Timestamp(NOW.0 - 3 * 24 * 3600 * 1000);
    for mails in 1..=4 {
        let sent = [invitation(1, mails, then, false)];
        assert_eq!(decide(&waiting, &[], &sent, &RULES, NOW), [Action::Remind(Incarnation(1))], "{mails}");
        assert_eq!(decide(&waiting, &[], &sent, &RULES, Timestamp(NOW.0 - 1)), [], "not before its time");
    }
    let sent = invitation(1, 5, then, false);
    let Notice::Invitation { sign_in, .. } = &sent else { panic!("no invitation") };
    let actions = decide(&waiting, &[], std::slice::from_ref(&sent), &RULES, NOW);
    assert_eq!(actions, [Action::Overdue(Incarnation(1), *sign_in)]);
    let overdue = invitation(1, 5, NOW, true);
    let actions = decide(&waiting, &[], std::slice::from_ref(&overdue), &RULES, NOW);
    assert_eq!(actions, [Action::Alert(cause(OVERDUE), vec![waiting[0].id.clone()])]);
}

#[test]
fn an_invitation_ends_when_somebody_signed_in_or_the_mailbox_is_gone() {
    let sent = invitation(1, 1, NOW, false);
    for all in [vec![seen(1, MailboxState::Live)], vec![]] {
        let actions = decide(&all, &[], std::slice::from_ref(&sent), &RULES, NOW);
        assert_eq!(actions, [Action::Close(sent.clone())]);
    }
    let fresh = Seen { has_grant: false, ..seen(1, MailboxState::Connecting) };
    assert_eq!(decide(&[fresh], &[], &[sent], &RULES, NOW), [], "nobody signed in yet");
}

#[test]
fn administrators_get_one_mail_per_cause_and_another_a_day_later() {
    let all: Vec<Seen> = (1..=2000).map(|number| seen(number, MailboxState::AppBroken)).collect();
    let actions = decide(&all, &[], &[], &RULES, NOW);
    let [Action::Alert(found, concerned)] = actions.as_slice() else { panic!("{} actions", actions.len()) };
    assert_eq!((found, concerned.len()), (&cause("client_secret_expired"), 2000));
    let reported = Notice::Alert { cause: cause("client_secret_expired"), last: NOW };
    assert_eq!(decide(&all, &[], std::slice::from_ref(&reported), &RULES, NOW.plus(DAY / 2)), []);
    let again = decide(&all, &[], std::slice::from_ref(&reported), &RULES, NOW.plus(DAY));
    assert!(matches!(again.as_slice(), [Action::Alert(..)]), "{}", again.len());
    let mended = [seen(1, MailboxState::Live)];
    assert_eq!(
        decide(&mended, &[], std::slice::from_ref(&reported), &RULES, NOW),
        [Action::Close(reported.clone())]
    );
    assert_eq!(decide(&all, &[], &[], &Rules { has_admins: false, ..RULES }, NOW), []);
}

#[test]
fn sending_has_causes_of_its_own_and_the_same_one_is_told_once() {
    let mut mailbox = seen(1, MailboxState::NeedsAdmin);
    mailbox.send_state = SendState::NeedsAdmin;
    mailbox.send_code = Some(String::from("smtp_auth_disabled_tenant"));
    let actions = decide(std::slice::from_ref(&mailbox), &[], &[], &RULES, NOW);
    assert_eq!(actions.len(), 2);
    mailbox.send_code.clone_from(&mailbox.code);
    assert_eq!(decide(&[mailbox], &[], &[], &RULES, NOW).len(), 1);
}

#[test]
fn the_end_of_a_secret_is_told_at_its_marks_once_each() {
    let all = [seen(1, MailboxState::Live)];
    let reported = |days: u64| {
        let ends = Some(NOW.plus(DAY * u32::try_from(days).unwrap()));
        decide(&all, &[SeenApp { ends, ..app() }], &[], &RULES, NOW)
    };
    assert_eq!(reported(61), []);
    for (days, mark) in [(60, 60), (31, 60), (30, 30), (10, 14), (7, 7), (2, 7), (1, 1), (0, 1)] {
        let wanted = Action::Alert(cause(&format!("{SECRET}{mark}")), vec![all[0].id.clone()]);
        assert_eq!(reported(days), [wanted], "{days}");
    }
    let apps = [SeenApp { ends: Some(NOW.plus(DAY * 10)), ..app() }];
    let notice = Notice::Alert { cause: cause("secret_expiring_14"), last: NOW };
    assert_eq!(decide(&all, &apps, &[notice], &RULES, NOW.plus(DAY)), []);
}

#[test]
fn each_refused_credential_is_told_once_and_no_more_when_another_is_in_place() {
    let all = [seen(1, MailboxState::Live), Seen { app: None, ..seen(2, MailboxState::Live) }];
    let apps = [SeenApp { rolled_back: Some(NOW), ..app() }];
    let code = format!("{ROLLED_BACK}{}", NOW.0);
    let wanted = Action::Alert(cause(&code), vec![all[0].id.clone()]);
    assert_eq!(decide(&all, &apps, &[], &RULES, NOW), [wanted]);
    let reported = Notice::Alert { cause: cause(&code), last: NOW };
    assert_eq!(decide(&all, &apps, std::slice::from_ref(&reported), &RULES, NOW.plus(DAY * 9)), []);
    // another attempt is refused, too
    let later = [SeenApp { rolled_back: Some(NOW.plus(DAY)), ..app() }];
    let actions = decide(&all, &later, std::slice::from_ref(&reported), &RULES, NOW.plus(DAY));
    assert!(matches!(actions.as_slice(), [Action::Close(_), Action::Alert(..)]), "{actions:?}");
    assert_eq!(
        decide(&all, &[app()], std::slice::from_ref(&reported), &RULES, NOW),
        [Action::Close(reported.clone())]
    );
}
