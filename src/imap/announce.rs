//! What is told about messages and folders: the data of their events. Pure.

use crate::domain::{Folder, FolderRole, MailboxId, Message, Timestamp};
use crate::events::{EventDraft, EventType};
use serde_json::{Value, json};

/// Where a message that is new to us comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// It was there when the folder was first seen.
    History,
    /// It came later.
    Arrived,
}

/// Whose events these are.
#[derive(Clone)]
pub(super) struct Announcer {
    pub(super) mailbox: MailboxId,
    pub(super) address: String,
}

impl Announcer {
    fn draft(&self, kind: EventType, at: Timestamp, data: Value) -> EventDraft {
        EventDraft { kind, mailbox: self.mailbox.clone(), at, data }
    }

    /// Enough of a message to act on without asking back.
    fn message(&self, message: &Message, folder: &Folder) -> Value {
        let sent = matches!(folder.role, Some(FolderRole::Sent | FolderRole::Drafts))
            || message.envelope.from.iter().any(|from| from.address.eq_ignore_ascii_case(&self.address));
        json!({
            "message": message.id,
            "folder": folder.path,
            "folder_id": folder.id,
            "role": folder.role,
            "uid": message.uid,
            "flags": message.flags,
            "size": message.size,
            "internal_date": message.internal_date,
            "message_id": message.envelope.message_id,
            "date": message.envelope.date,
            "direction": if sent { "out" } else { "in" },
            "from": message.envelope.from,
            "to": message.envelope.to,
            "subject": message.envelope.subject,
            "has_attachments": message.envelope.has_attachments,
            "copy_of": message.copy_of,
        })
    }

    pub(super) fn new_message(
        &self,
        at: Timestamp,
        message: &Message,
        folder: &Folder,
        origin: Origin,
    ) -> EventDraft {
        let mut data = self.message(message, folder);
        set(&mut data, "origin", json!(origin));
        self.draft(EventType::MessageNew, at, data)
    }

    pub(super) fn moved(
        &self,
        at: Timestamp,
        message: &Message,
        folder: &Folder,
        from: Option<&Folder>,
    ) -> EventDraft {
        let mut data = self.message(message, folder);
        set(&mut data, "from_folder", json!(from.map(|folder| &folder.path)));
        set(&mut data, "origin", json!("server"));
        self.draft(EventType::MessageMoved, at, data)
    }

    pub(super) fn flags_changed(
        &self,
        at: Timestamp,
        before: &Message,
        after: &Message,
        folder: &Folder,
    ) -> EventDraft {
        let mut data = self.message(after, folder);
        let added: Vec<&str> = after.flags.iter().filter(|flag| !before.flags.contains(flag)).collect();
        let removed: Vec<&str> = before.flags.iter().filter(|flag| !after.flags.contains(flag)).collect();
        set(&mut data, "added", json!(added));
        set(&mut data, "removed", json!(removed));
        set(&mut data, "origin", json!("server"));
        self.draft(EventType::MessageFlagsChanged, at, data)
    }

    pub(super) fn deleted(&self, at: Timestamp, message: &Message, folder: Option<&Folder>) -> EventDraft {
        let data = json!({
            "message": message.id,
            "folder": folder.map(|folder| &folder.path),
            "folder_id": message.folder,
            "role": folder.map(|folder| folder.role),
            "uid": message.uid,
            "message_id": message.envelope.message_id,
            "subject": message.envelope.subject,
            "origin": "server",
        });
        self.draft(EventType::MessageDeleted, at, data)
    }

    pub(super) fn folder(&self, kind: EventType, at: Timestamp, folder: &Folder) -> EventDraft {
        let data = json!({
            "folder": folder.path,
            "folder_id": folder.id,
            "role": folder.role,
            "uid_validity": folder.uid_validity,
        });
        self.draft(kind, at, data)
    }

    pub(super) fn renamed(&self, at: Timestamp, folder: &Folder, old_path: &str) -> EventDraft {
        let mut event = self.folder(EventType::FolderRenamed, at, folder);
        set(&mut event.data, "previous", json!(old_path));
        event
    }
}

fn set(data: &mut Value, key: &str, value: Value) {
    if let Some(object) = data.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}
