//! The events of messages and folders, and their data. Pure.

use crate::domain::message::Address;
use crate::domain::{Flags, Folder, FolderId, FolderRole, MailboxId, Message, MessageId, Timestamp, Uid};
use crate::events::{EventDraft, EventType};
use serde_json::{Value, json};

/// Where what is new to us comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// It was there when the folder was first seen.
    History,
    /// It came later.
    Arrived,
    /// The server, or another of its clients, changed it.
    Server,
}

/// Whose events these are.
#[derive(Clone)]
pub(super) struct Announcer {
    pub(in crate::imap) mailbox: MailboxId,
    pub(in crate::imap) address: String,
}

/// What an event says of a message: enough to act on without another request.
#[derive(serde::Serialize)]
struct MessageData<'a> {
    message: MessageId,
    folder: &'a str,
    folder_id: FolderId,
    role: Option<FolderRole>,
    uid: Uid,
    flags: &'a Flags,
    size: u64,
    internal_date: Timestamp,
    message_id: Option<&'a str>,
    date: Option<Timestamp>,
    direction: &'static str,
    from: &'a [Address],
    to: &'a [Address],
    subject: Option<&'a str>,
    has_attachments: bool,
    copy_of: Option<MessageId>,
    origin: Origin,
    #[serde(flatten)]
    more: More<'a>,
}

/// Further data of the event.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum More<'a> {
    Nothing {},
    Moved { from_folder: Option<&'a str> },
    Flags { added: Vec<&'a str>, removed: Vec<&'a str> },
}

impl Announcer {
    fn draft(&self, kind: EventType, at: Timestamp, data: &impl serde::Serialize) -> EventDraft {
        EventDraft::new(kind, &self.mailbox, at, data)
    }

    fn message<'a>(
        &self,
        message: &'a Message,
        folder: &'a Folder,
        origin: Origin,
        more: More<'a>,
    ) -> MessageData<'a> {
        let envelope = &message.envelope;
        let sent = matches!(folder.role, Some(FolderRole::Sent | FolderRole::Drafts))
            || envelope.from.iter().any(|from| from.address.eq_ignore_ascii_case(&self.address));
        MessageData {
            message: message.id,
            folder: &folder.path,
            folder_id: folder.id,
            role: folder.role,
            uid: message.uid,
            flags: &message.flags,
            size: message.size,
            internal_date: message.internal_date,
            message_id: envelope.message_id.as_deref(),
            date: envelope.date,
            direction: if sent { "out" } else { "in" },
            from: &envelope.from,
            to: &envelope.to,
            subject: envelope.subject.as_deref(),
            has_attachments: envelope.has_attachments,
            copy_of: message.copy_of,
            origin,
            more,
        }
    }

    pub(super) fn new_message(
        &self,
        at: Timestamp,
        message: &Message,
        folder: &Folder,
        origin: Origin,
    ) -> EventDraft {
        let data = self.message(message, folder, origin, More::Nothing {});
        self.draft(EventType::MessageNew, at, &data)
    }

    pub(super) fn moved(
        &self,
        at: Timestamp,
        message: &Message,
        folder: &Folder,
        from: Option<&Folder>,
    ) -> EventDraft {
        let more = More::Moved { from_folder: from.map(|folder| folder.path.as_str()) };
        self.draft(EventType::MessageMoved, at, &self.message(message, folder, Origin::Server, more))
    }

    pub(super) fn flags_changed(
        &self,
        at: Timestamp,
        before: &Message,
        after: &Message,
        folder: &Folder,
    ) -> EventDraft {
        let added = after.flags.iter().filter(|flag| !before.flags.contains(flag)).collect();
        let removed = before.flags.iter().filter(|flag| !after.flags.contains(flag)).collect();
        let data = self.message(after, folder, Origin::Server, More::Flags { added, removed });
        self.draft(EventType::MessageFlagsChanged, at, &data)
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
            "origin": Origin::Server,
        });
        self.draft(EventType::MessageDeleted, at, &data)
    }

    pub(in crate::imap) fn folder(&self, kind: EventType, at: Timestamp, folder: &Folder) -> EventDraft {
        self.draft(kind, at, &about(folder))
    }

    /// A folder that the server refuses to open.
    pub(in crate::imap) fn set_apart(&self, at: Timestamp, folder: &Folder) -> EventDraft {
        let mut data = about(folder);
        if let (Some(data), Some(apart)) = (data.as_object_mut(), &folder.apart) {
            data.insert(String::from("reason"), apart.reason.as_str().into());
            data.insert(String::from("next_try"), json!(apart.next_try));
            data.insert(String::from("code"), json!(apart.code));
        }
        self.draft(EventType::FolderSetApart, at, &data)
    }

    /// A message that went to a folder which is left out.
    pub(super) fn left(
        &self,
        at: Timestamp,
        message: &Message,
        from: Option<&Folder>,
        to: &Folder,
    ) -> EventDraft {
        let data = json!({
            "message": message.id,
            "folder": to.path,
            "folder_id": to.id,
            "role": to.role,
            "from_folder": from.map(|folder| &folder.path),
            "message_id": message.envelope.message_id,
            "subject": message.envelope.subject,
            "origin": Origin::Server,
        });
        self.draft(EventType::MessageLeft, at, &data)
    }

    pub(super) fn renamed(&self, at: Timestamp, folder: &Folder, old_path: &str) -> EventDraft {
        let mut data = about(folder);
        if let Some(data) = data.as_object_mut() {
            data.insert(String::from("previous"), old_path.into());
        }
        self.draft(EventType::FolderRenamed, at, &data)
    }
}

fn about(folder: &Folder) -> Value {
    json!({
        "folder": folder.path,
        "folder_id": folder.id,
        "role": folder.role,
        "uid_validity": folder.uid_validity,
    })
}
