//! What is there is stored: a first sync, a restart, a large message.

use super::{ANNA, Make, Place, message, on_any_server};
use stafette::events::EventType;

on_any_server!(
    everything_that_was_there_is_stored_once,
    a_restart_finds_what_changed_meanwhile_and_announces_nothing_again,
    a_restart_in_the_middle_of_history_announces_everything_once,
    a_large_message_is_stored_byte_for_byte,
    mail_restored_under_another_uidvalidity_is_no_news,
);

/// Twenty messages in each of some folders.
fn fill(place: &Place) -> usize {
    let folders = ["INBOX", "Sent", "Ablage", "Ablage/2025"];
    for folder in &folders[2..] {
        place.mailboxes.create_folder(ANNA, folder);
    }
    let mut imap = place.mailboxes.imap(ANNA);
    for folder in folders {
        for number in 0..20 {
            let raw = message(&format!("{}-{number}", folder.replace('/', "-")));
            let flags = ["", "\\Seen", "\\Seen \\Answered", "\\Flagged"][number % 4];
            let head = format!("APPEND \"{folder}\" ({flags}) {{{}+}}\r\n", raw.len());
            imap.command_bytes(&[head.as_bytes(), &raw].concat()).unwrap();
        }
    }
    folders.len() * 20
}

fn everything_that_was_there_is_stored_once(place: &Place) {
    let mut count = 0;
    // a mailbox that is set up anew: what is there now is its history
    place.restarted_after(|| count = fill(place));
    place.in_step();
    assert_eq!(place.announced_and_kept(), count, "each announced once");
}

fn a_restart_finds_what_changed_meanwhile_and_announces_nothing_again(place: &Place) {
    let count = fill(place);
    place.in_step();
    let (moved, gone) =
        (place.until(EventType::MessageNew, "INBOX-3"), place.until(EventType::MessageNew, "INBOX-4"));
    place.restarted_after(|| {
        let uid = |subject| place.uid("INBOX", subject);
        place.mailboxes.move_message(ANNA, "INBOX", uid("INBOX-3"), "Ablage");
        place.mailboxes.delete_message(ANNA, "INBOX", uid("INBOX-4"));
        place.mailboxes.set_flags(ANNA, "INBOX", uid("INBOX-5"), "+FLAGS", "\\Flagged");
        place.deliver("while-away");
    });
    place.in_step();
    assert_eq!(place.until(EventType::MessageMoved, "INBOX-3").data["message"], moved.data["message"]);
    assert_eq!(place.until(EventType::MessageDeleted, "INBOX-4").data["message"], gone.data["message"]);
    assert_eq!(place.until(EventType::MessageNew, "while-away").data["origin"], "arrived");
    assert_eq!(place.events(EventType::MessageNew).len(), count + 1);
    assert_eq!(place.events(EventType::MessageDeleted).len(), 1);
}

fn a_restart_in_the_middle_of_history_announces_everything_once(place: &Place) {
    let mut count = 0;
    place.restarted_after(|| count = fill(place));
    place.restarted_after(|| ());
    place.in_step();
    assert_eq!(place.announced_and_kept(), count);
}

fn a_large_message_is_stored_byte_for_byte(place: &Place) {
    let line = "All work and no play makes a large message of this one, and a dull boy.\r\n";
    let raw = [message("large"), line.repeat(160_000).into_bytes()].concat();
    assert!(raw.len() > 11 << 20);
    place.mailboxes.append(ANNA, "INBOX", "\\Seen", &raw);
    let new = place.until(EventType::MessageNew, "large");
    assert_eq!(new.data["size"].as_u64(), Some(raw.len() as u64));
    place.in_step();
    assert_eq!(place.announced_and_kept(), 1);
}

/// A folder that is deleted, made again and filled from a copy: other UIDVALIDITY, the same mail.
fn mail_restored_under_another_uidvalidity_is_no_news(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Ablage");
    let restore = || {
        let mut imap = place.mailboxes.imap(ANNA);
        for number in 0..10 {
            let raw = message(&format!("kept-{number}"));
            let date = format!("{:2}-Nov-2026 19:00:00 +0000", 10 + number);
            let head = format!("APPEND \"Ablage\" () \"{date}\" {{{}+}}\r\n", raw.len());
            imap.command_bytes(&[head.as_bytes(), &raw].concat()).unwrap();
        }
    };
    restore();
    place.in_step();
    let (ids, validity) = (place.ids("Ablage"), place.mailboxes.uid_validity(ANNA, "Ablage"));
    place.restarted_after(|| {
        place.mailboxes.delete_folder(ANNA, "Ablage");
        // a server may count by seconds
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        place.mailboxes.create_folder(ANNA, "Ablage");
        assert_ne!(place.mailboxes.uid_validity(ANNA, "Ablage"), validity);
        restore();
    });
    place.in_step();
    assert_eq!(place.ids("Ablage"), ids, "ids survive");
    assert_eq!(place.announced_and_kept(), 10);
}
