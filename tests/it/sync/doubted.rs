//! What a server shows once is doubted, and no doubt helps another one to be believed.

use crate::support::anna::{Anna, anna_with};
use crate::support::scripted::{Mail, Mailbox, Server};
use stafette::events::EventType;
use std::time::Duration;

fn mails(name: &str, count: u32) -> Vec<Mail> {
    (1..=count).map(|uid| Mail::new(uid, &format!("{name}{uid}"))).collect()
}

/// In step with everything, so many messages; a deletion is looked at again after this time.
fn settled(folders: Vec<Mailbox>, messages: usize, confirm: Duration) -> Anna {
    let server = Server::start(folders);
    let anna = anna_with(&server, |config| config.timing.mass_delete_confirm = confirm);
    anna.running.wait("everything", || (anna.stored().len() == messages).then_some(()));
    anna.until_live();
    anna
}

fn assert_all_there(anna: &Anna, messages: usize) {
    assert_eq!((anna.stored().len(), anna.events(EventType::MessageDeleted).len()), (messages, 0));
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_small_folder_that_is_gone_does_not_confirm_a_mass_deletion() {
    let folders = vec![Mailbox::new("INBOX", mails("in", 120)), Mailbox::new("Z", [])];
    let anna = settled(folders, 120, Duration::from_secs(20));
    anna.server.change(|state| {
        state.folders.truncate(1);
        state.folder("INBOX").mails.truncate(1);
    });
    anna.running.wait("the end of Z", || (anna.events(EventType::FolderDeleted).len() == 1).then_some(()));
    anna.rounds(3);
    assert_all_there(&anna, 120);
}

#[test]
fn connections_that_are_lost_do_not_confirm_a_mass_deletion() {
    let anna = settled(vec![Mailbox::new("INBOX", mails("in", 120))], 120, LONG);
    anna.server.change(|state| state.folder("INBOX").mails.truncate(1));
    for _ in 0..3 {
        anna.rounds(3);
        anna.server.hang_up();
    }
    anna.rounds(3);
    assert_all_there(&anna, 120);
}

#[test]
fn connections_that_are_lost_do_not_confirm_a_new_uidvalidity_without_mail() {
    let anna = settled(vec![Mailbox::new("INBOX", mails("in", 120))], 120, LONG);
    let mut away = Vec::new();
    anna.server.change(|state| {
        let inbox = state.folder("INBOX");
        inbox.uid_validity = 8;
        away = std::mem::take(&mut inbox.mails);
    });
    for _ in 0..3 {
        anna.server.hang_up();
        anna.rounds(2);
    }
    assert_eq!(anna.events(EventType::MessageDeleted).len(), 0);
    anna.server.change(|state| state.folder("INBOX").mails = away);
    anna.server.hang_up();
    anna.running.wait("the reset", || (anna.events(EventType::FolderReset).len() == 1).then_some(()));
    anna.rounds(3);
    assert_all_there(&anna, 120);
    assert_eq!(anna.events(EventType::MessageNew).len(), 120);
}

#[test]
fn a_doubt_that_was_cleared_does_not_confirm_the_next_one() {
    let folders = vec![Mailbox::new("INBOX", mails("in", 1)), Mailbox::new("A", mails("a", 60))];
    let anna = settled(folders, 61, Duration::from_secs(2));
    for _ in 0..2 {
        let mut away = Vec::new();
        anna.server.change(|state| away = state.folders.split_off(1));
        anna.rounds(2); // missing on this connection alone
        anna.server.change(|state| state.folders.append(&mut away));
        anna.rounds(10); // more than two seconds
        anna.server.hang_up();
        anna.rounds(2);
    }
    assert_eq!(anna.events(EventType::FolderDeleted).len(), 0);
    assert_all_there(&anna, 61);
}

#[test]
fn a_folder_that_was_once_not_listed_and_is_deleted_later_is_gone() {
    let folders = vec![Mailbox::new("INBOX", mails("in", 1)), Mailbox::new("A", mails("a", 1))];
    let anna = settled(folders, 2, Duration::from_millis(500));
    // LIST forgets it for a while, SELECT does not
    anna.server.state().change = Some(Box::new(|line| {
        if line.starts_with(b"* LIST") && line.ends_with(b"\"A\"\r\n") { Vec::new() } else { line }
    }));
    anna.running.wait("another connection", || (anna.server.state().connections >= 2).then_some(()));
    anna.rounds(6);
    anna.server.state().change = None;
    anna.rounds(3);
    anna.server.change(|state| state.folders.truncate(1));
    anna.running.wait("its end", || (anna.events(EventType::FolderDeleted).len() == 1).then_some(()));
    anna.running
        .wait("the end of its mail", || (anna.events(EventType::MessageDeleted).len() == 1).then_some(()));
}
