//! Folders: made, renamed with what is in them and below them, deleted, and named oddly.

use super::{ANNA, Make, Place, message, on_any_server};
use stafette::events::EventType;

on_any_server!(
    a_new_folder_and_its_mail_are_found,
    a_renamed_folder_keeps_its_id_and_messages,
    a_renamed_parent_takes_its_children_along,
    a_deleted_folder_takes_its_messages_along,
    odd_names_are_kept_as_they_are,
    names_with_quotes_and_backslashes_are_kept_as_they_are,
);

fn folder_event(place: &Place, kind: EventType, path: &str) -> stafette::events::Event {
    let what = format!("{kind:?} of {path}");
    place.engine(|engine| engine.until_event(kind, &what, |event| event.data["folder"] == path))
}

fn a_new_folder_and_its_mail_are_found(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Neu");
    folder_event(place, EventType::FolderCreated, "Neu");
    place.mailboxes.create_folder(ANNA, "Projekte/Entwürfe");
    place.mailboxes.append(ANNA, "Projekte/Entwürfe", "", &message("inside"));
    let new = place.until(EventType::MessageNew, "inside");
    assert_eq!(new.data["folder"], "Projekte/Entwürfe");
    place.in_step();
    assert_eq!(place.announced_and_kept(), 1);
}

fn a_renamed_folder_keeps_its_id_and_messages(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Alt");
    for number in 0..3 {
        place.mailboxes.append(ANNA, "Alt", "", &message(&format!("kept-{number}")));
    }
    place.in_step();
    let (id, ids) = (place.engine(|engine| engine.folder(place.anna, "Alt").id), place.ids("Alt"));
    place.mailboxes.rename_folder(ANNA, "Alt", "Neu");
    let renamed = folder_event(place, EventType::FolderRenamed, "Neu");
    assert_eq!(renamed.data["previous"], "Alt");
    place.in_step();
    assert_eq!(place.engine(|engine| engine.folder(place.anna, "Neu").id), id);
    assert_eq!(place.ids("Neu"), ids);
    assert_eq!(place.announced_and_kept(), 3);
}

fn a_renamed_parent_takes_its_children_along(place: &Place) {
    for folder in ["Kunden", "Kunden/A", "Kunden/A/2025"] {
        place.mailboxes.create_folder(ANNA, folder);
        place.mailboxes.append(ANNA, folder, "", &message(&folder.replace('/', "-")));
    }
    place.in_step();
    let ids = ["Kunden", "Kunden/A", "Kunden/A/2025"].map(|folder| place.ids(folder));
    place.mailboxes.rename_folder(ANNA, "Kunden", "Mandanten");
    place.in_step();
    assert_eq!(["Mandanten", "Mandanten/A", "Mandanten/A/2025"].map(|folder| place.ids(folder)), ids);
    assert_eq!(place.announced_and_kept(), 3);
}

fn a_deleted_folder_takes_its_messages_along(place: &Place) {
    place.mailboxes.create_folder(ANNA, "Weg");
    place.mailboxes.append(ANNA, "Weg", "", &message("gone"));
    let new = place.until(EventType::MessageNew, "gone");
    place.mailboxes.delete_folder(ANNA, "Weg");
    folder_event(place, EventType::FolderDeleted, "Weg");
    let deleted = place.until(EventType::MessageDeleted, "gone");
    assert_eq!(deleted.data["message"], new.data["message"]);
    place.in_step();
}

/// Names that a server refuses are none of its folders; most of these it has to take.
fn odd_names_are_kept_as_they_are(place: &Place) {
    let names = [
        "Größe & Maß",
        "日本語",
        "Rechnungen (2025)",
        "R&D",
        "a  b",
        "{12}",
        "NIL",
        "🦊 Füchse",
        "inbox archive",
        "Ordner/mit/Tiefe",
        "50 %",
        "50 *",
        "~tilde",
        "#news",
    ];
    let taken = filled(place, &names);
    assert!(taken.len() >= 9, "the server takes only {taken:?}");
}

/// Makes folders of these names, puts a message into each, and finds it there; the names that the server takes.
fn filled<'a>(place: &Place, names: &[&'a str]) -> Vec<&'a str> {
    let mut imap = place.mailboxes.imap(ANNA);
    let wire_name = |folder: &str| crate::world::imap::quoted(&crate::world::imap::encode_utf7(folder));
    let mut taken = names.to_vec();
    taken.retain(|folder| imap.command(&format!("CREATE {}", wire_name(folder))).is_ok());
    for (number, folder) in taken.iter().enumerate() {
        place.mailboxes.append(ANNA, folder, "", &message(&format!("odd-{number}")));
    }
    place.in_step();
    for (number, folder) in taken.iter().enumerate() {
        let new = place.until(EventType::MessageNew, &format!("odd-{number}"));
        assert_eq!(&new.data["folder"], folder);
    }
    assert_eq!(place.announced_and_kept(), taken.len());
    taken
}

/// LIST names them as quoted strings with escapes (RFC 3501 §4.3), or as literals. A server may refuse all of them.
fn names_with_quotes_and_backslashes_are_kept_as_they_are(place: &Place) {
    filled(place, &["quoted \"name\"", "back\\slash", "\\\"", "ends with \\"]);
}
