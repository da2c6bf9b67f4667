//! Messages that vanished from their folder and turned up in no other: deleted, or gone to where nobody looks.

use super::syncer::Syncer;
use crate::clock;
use crate::domain::{Folder, MessageId, Timestamp};
use crate::imap::connection::Connection;
use crate::imap::protocol::ImapError;
use crate::store::{Commit, Vanished};
use std::collections::BTreeMap;

/// So many messages that vanished together are looked for in the folders that are left out: a person files a few.
const LOOKED_FOR: usize = 50;

impl Syncer {
    /// Announces messages as deleted that vanished before `round` began and turned up nowhere in it. Where the round did not
    /// see every folder, those that have been waiting for long.
    pub(super) async fn confirm_vanished(
        &mut self,
        connection: &mut Connection,
        round: Timestamp,
        is_complete: bool,
    ) -> Result<(), ImapError> {
        let wait = i64::try_from(self.confirm.as_millis()).unwrap_or(i64::MAX);
        let before = if is_complete { round } else { Timestamp(round.0.saturating_sub(wait)) };
        let mut confirmed = self.store.set_aside(self.owner.mailbox)?;
        confirmed.retain(|vanished| vanished.since < before);
        let left = self.find_left(connection, &confirmed).await?;
        for batch in confirmed.chunks(500) {
            let now = clock::now();
            let mut commit = Commit::by(self.owner);
            for Vanished { message, .. } in batch {
                let from = self.store.folder(self.owner.mailbox, message.folder)?.map(|row| row.value);
                commit.event(match left.get(&message.id) {
                    Some(to) => self.announcer.left(now, message, from.as_ref(), to),
                    None => self.announcer.deleted(now, message, from.as_ref()),
                });
                commit.forget_aside(message.id);
            }
            self.store.commit(commit).await?;
        }
        Ok(())
    }

    /// Which of these messages are in a folder that is left out, by their Message-ID.
    async fn find_left(
        &mut self,
        connection: &mut Connection,
        vanished: &[Vanished],
    ) -> Result<BTreeMap<MessageId, Folder>, ImapError> {
        let mut left = BTreeMap::new();
        if vanished.is_empty() || vanished.len() > LOOKED_FOR {
            return Ok(left);
        }
        let rows = self.stored_folders().await?;
        for folder in rows.into_iter().map(|row| row.value) {
            if folder.included || !folder.selectable || folder.missing_lists > 0 {
                continue;
            }
            match connection.examine(&folder.server_name).await {
                Err(error) if error.refuses_folder() => continue,
                other => other?,
            };
            for Vanished { message, .. } in vanished {
                let Some(id) = message.envelope.message_id.as_deref() else { continue };
                if connection.has_message_id(id).await? {
                    left.entry(message.id).or_insert_with(|| folder.clone());
                }
            }
        }
        Ok(left)
    }
}
