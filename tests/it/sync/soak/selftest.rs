//! The judge judged: made-up logs, and what has to be found in them.

use super::check::{Violation, announced};
use super::model::{Held, Model};
use super::replay::Replay;
use serde_json::{Value, json};

/// A mailbox with one message in Trash, where it was moved from the inbox.
fn moved_into_trash() -> Model {
    let mut model = Model::new("m00");
    let (token, _) = model.make(1);
    model.put("Trash", Held { uid: 1, token });
    model
}

fn event(kind: &str, id: &str, folder: &str, from: Option<&str>) -> Value {
    json!({"type": kind, "cursor": "c1", "at": "2026-11-29T09:00:00.123Z", "data": {
        "message": id, "message_id": "<m00-00000@soak.test>", "folder": folder, "folder_id": format!("id of {folder}"),
        "uid": 1, "flags": [], "from_folder": from,
    }})
}

fn log(rest: &[Value]) -> Vec<Value> {
    let folder = |path: &str| json!({"type": "folder.created", "data": {"folder": path, "folder_id": format!("id of {path}")}});
    let start = [folder("INBOX"), folder("Trash"), event("message.new", "a", "INBOX", None)];
    start.iter().chain(rest).cloned().collect()
}

fn found(rest: &[Value]) -> Vec<&'static str> {
    let violations = announced(&moved_into_trash(), &Replay::of(&log(rest)));
    violations.iter().map(|violation: &Violation| violation.kind).collect()
}

#[test]
fn a_move_that_is_told_as_one_is_right() {
    let moved = event("message.moved", "a", "Trash", Some("INBOX"));
    assert_eq!(found(std::slice::from_ref(&moved)), <[&str; 0]>::default());
    let replay = Replay::of(&log(&[moved]));
    assert_eq!(replay.messages["a"].folder_id, "id of Trash");
}

#[test]
fn a_message_that_is_announced_again_is_found_whatever_else_is_told() {
    let new = event("message.new", "b", "Trash", None);
    let deleted = event("message.deleted", "a", "INBOX", None);
    assert_eq!(found(&[deleted.clone(), new.clone()]), ["announced again"]);
    assert_eq!(found(&[new, deleted]), ["announced again"]);
}

#[test]
fn events_that_cannot_follow_each_other_are_found() {
    let impossible = ["an event that cannot be"];
    assert_eq!(found(&[event("message.moved", "a", "Trash", Some("Sent"))]), impossible);
    assert_eq!(found(&[event("message.deleted", "c", "INBOX", None)]), impossible);
}
