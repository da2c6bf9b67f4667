//! What changes while the engine looks on: new mail, flags, deletions, moves, copies.

use super::{ANNA, Make, Place, message, on_any_server};
use stafette::events::EventType;

on_any_server!(
    new_mail_is_announced_as_arrived,
    flags_follow,
    an_expunged_message_is_deleted,
    moves_keep_the_message,
    moves_of_messages_without_a_message_id_are_moves,
    a_copy_is_a_message_of_its_own,
    many_changes_at_once_are_all_told,
);

fn new_mail_is_announced_as_arrived(place: &Place) {
    place.deliver("first");
    let new = place.until(EventType::MessageNew, "first");
    assert_eq!(new.data["origin"], "arrived");
    assert_eq!(new.data["folder"], "INBOX");
    place.mailboxes.append(ANNA, "Sent", "\\Seen", &message("filed"));
    let filed = place.until(EventType::MessageNew, "filed");
    assert_eq!((&filed.data["role"], &filed.data["direction"]), (&"sent".into(), &"out".into()));
    place.in_step();
    assert_eq!(place.announced_and_kept(), 2);
}

fn flags_follow(place: &Place) {
    for (subject, folder) in [("inbox", "INBOX"), ("sent", "Sent")] {
        place.mailboxes.append(ANNA, folder, "", &message(subject));
        let new = place.until(EventType::MessageNew, subject);
        let uid = place.uid(folder, subject);
        place.mailboxes.set_flags(ANNA, folder, uid, "+FLAGS", "\\Flagged $Wichtig");
        let changed = place.until(EventType::MessageFlagsChanged, subject);
        assert_eq!(changed.data["message"], new.data["message"]);
        assert_eq!(changed.data["added"], serde_json::json!(["$Wichtig", "\\Flagged"]));
        place.mailboxes.set_flags(ANNA, folder, uid, "-FLAGS", "$Wichtig");
        place.in_step();
    }
    assert_eq!(place.announced_and_kept(), 2);
}

fn an_expunged_message_is_deleted(place: &Place) {
    for (subject, folder) in [("inbox", "INBOX"), ("sent", "Sent")] {
        place.mailboxes.append(ANNA, folder, "", &message(subject));
        place.mailboxes.append(ANNA, folder, "", &message(&format!("{subject}-stays")));
        let new = place.until(EventType::MessageNew, subject);
        place.until(EventType::MessageNew, &format!("{subject}-stays"));
        place.mailboxes.delete_message(ANNA, folder, place.uid(folder, subject));
        let deleted = place.until(EventType::MessageDeleted, subject);
        assert_eq!(deleted.data["message"], new.data["message"]);
    }
    place.in_step();
    assert_eq!(place.events(EventType::MessageDeleted).len(), 2);
}

fn moves_keep_the_message(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Ablage");
    place.deliver("moved");
    let new = place.until(EventType::MessageNew, "moved");
    let mut from = "INBOX";
    for (number, to) in ["Ablage", "Trash", "INBOX"].into_iter().enumerate() {
        place.mailboxes.move_message(ANNA, from, place.uid(from, "moved"), to);
        let moved = place.engine(|engine| {
            engine.wait("the move", || engine.events_of(EventType::MessageMoved).into_iter().nth(number))
        });
        assert_eq!(moved.data["message"], new.data["message"]);
        assert_eq!((&moved.data["from_folder"], &moved.data["folder"]), (&from.into(), &to.into()));
        from = to;
    }
    place.in_step();
    assert_eq!(place.announced_and_kept(), 1);
}

fn a_copy_is_a_message_of_its_own(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Ablage");
    place.deliver("copied");
    let original = place.until(EventType::MessageNew, "copied");
    place.mailboxes.copy_message(ANNA, "INBOX", place.uid("INBOX", "copied"), "Ablage");
    let copy = place.engine(|engine| {
        engine.until_event(EventType::MessageNew, "the copy", |event| event.data["folder"] == "Ablage")
    });
    assert_eq!(copy.data["copy_of"], original.data["message"]);
    assert_ne!(copy.data["message"], original.data["message"]);
    place.in_step();
    assert_eq!(place.announced_and_kept(), 2);
}

fn many_changes_at_once_are_all_told(place: &Place) {
    let messages: Vec<Vec<u8>> = (0..30).map(|number| message(&format!("m{number}"))).collect();
    place.mailboxes.deliver_all(ANNA, &messages);
    place.in_step();
    let mut imap = place.mailboxes.imap(ANNA);
    imap.command("SELECT INBOX").unwrap();
    imap.command("UID STORE 1:10 +FLAGS.SILENT (\\Seen)").unwrap();
    imap.command("UID STORE 11:20 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.command("UID EXPUNGE 11:15").unwrap();
    imap.command("UID MOVE 21:30 Trash").unwrap();
    imap.command("EXPUNGE").unwrap();
    place.in_step();
    let told = |kind, count| {
        let what = format!("{count} {kind:?}");
        place.engine(|engine| engine.wait(&what, || (engine.events_of(kind).len() == count).then_some(())));
    };
    told(EventType::MessageDeleted, 10);
    told(EventType::MessageMoved, 10);
    assert_eq!(place.events(EventType::MessageNew).len(), 30);
}

/// Scanners send such mail. Two of one size and, mostly, of one second: only their headers tell them apart.
fn moves_of_messages_without_a_message_id_are_moves(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Ablage");
    let scan = |number: u32| format!("From: scanner@makler.test\r\nSubject: Scan {number}\r\n\r\nHello\r\n");
    // not by LMTP: Cyrus would give them one (lmtpd)
    let mut imap = place.mailboxes.imap(ANNA);
    for raw in [scan(1), scan(2)] {
        imap.command_bytes(format!("APPEND INBOX () {{{}+}}\r\n{raw}", raw.len()).as_bytes()).unwrap();
    }
    let subject = |number: u32| format!("Scan {number}");
    let new = |number| {
        place.engine(|engine| {
            engine.until_event(EventType::MessageNew, "the scan", |event| {
                event.data["subject"] == subject(number)
            })
        })
    };
    let ids = [new(1), new(2)].map(|event| event.data["message"].clone());
    for (number, id) in [(2, &ids[1]), (1, &ids[0])] {
        place.mailboxes.move_message(ANNA, "INBOX", number, "Ablage");
        let moved = place.engine(|engine| {
            engine.until_event(EventType::MessageMoved, "the move", |event| event.data["message"] == *id)
        });
        assert_eq!(moved.data["subject"], subject(number));
    }
    place.in_step();
    assert_eq!(place.announced_and_kept(), 2);
}
