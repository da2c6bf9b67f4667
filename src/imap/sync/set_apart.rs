//! Folders that the server refuses to open, or that end every connection which opens them: each is set apart, tried
//! again with waits that grow, and keeps nobody else waiting.

use super::openings::At;
use super::syncer::Syncer;
use crate::backoff::Backoff;
use crate::domain::{Folder, FolderId, SetApart, Timestamp};
use crate::events::EventType;
use crate::imap::protocol::ImapError;
use crate::store::{Commit, Row};
use crate::{clock, diagnosis};
use std::time::Duration;

/// A folder that is set apart is tried again at least so often.
const LONGEST: Duration = Duration::from_secs(3600);
/// Characters of a reason that are kept: it shares a row with the folder's name.
const REASON: usize = 200;

/// How long a folder is left alone that was tried so often: each time twice as long as before.
fn pause(first: Duration, tries: u32) -> Duration {
    Backoff::new(first, LONGEST.max(first)).pause(tries, 0.0)
}

/// Whether it is time to try a folder again that is set apart.
pub(in crate::imap) fn is_due(folder: &Folder, now: Timestamp) -> bool {
    folder.apart.as_ref().is_none_or(|apart| apart.next_try <= now)
}

impl Syncer {
    /// Sets a folder apart, or leaves it there for longer; how often it was tried by now.
    pub(in crate::imap) async fn set_apart(
        &mut self,
        folder: FolderId,
        error: &ImapError,
    ) -> Result<u32, ImapError> {
        let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)?
        else {
            return Ok(0);
        };
        let now = clock::now();
        let said = if let ImapError::No { text, .. } | ImapError::Bad { text, .. } = error
            && !text.is_empty()
        {
            text.clone()
        } else {
            error.to_string()
        };
        let before = folder.apart.take();
        let tries = before.as_ref().map_or(0, |apart| apart.tries).saturating_add(1);
        let code = diagnosis::folder_refused(&said, tries).map(|entry| entry.code.to_owned());
        let wait = i64::try_from(pause(self.pace, tries).as_millis()).unwrap_or(i64::MAX);
        folder.apart = Some(SetApart {
            reason: said.chars().take(REASON).collect(),
            since: before.as_ref().map_or(now, |apart| apart.since),
            tries,
            next_try: Timestamp(now.0.saturating_add(wait)),
            code,
        });
        let mut commit = Commit::by(self.owner);
        if before.is_none() {
            tracing::warn!(folder = %folder.id, reason = said, "folder set apart");
            commit.event(self.announcer.set_apart(now, &folder));
        }
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
        self.store.commit(commit).await?;
        self.backlog.remove(&folder.id);
        Ok(tries)
    }

    /// The server opens a folder again.
    pub(super) async fn restore(&mut self, folder: FolderId) -> Result<(), ImapError> {
        self.openings.went_well(folder);
        let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)?
        else {
            return Ok(());
        };
        if folder.apart.take().is_none() {
            return Ok(());
        }
        tracing::info!(folder = %folder.id, "folder opens again");
        let mut commit = Commit::by(self.owner);
        commit.event(self.announcer.folder(EventType::FolderRestored, clock::now(), &folder));
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
        self.store.commit(commit).await?;
        Ok(())
    }

    /// After a failed connection attempt: `true` if it ended at a folder that is set apart now, or whose counts
    /// are not requested any more.
    pub(super) async fn blame_folder(&mut self, error: &ImapError) -> Result<bool, ImapError> {
        if !error.ends_the_connection() {
            self.openings.now = None;
            return Ok(false);
        }
        match self.openings.blames() {
            // it may open all the same
            Some((folder, At::Counts)) => Ok(self.uncounted.insert(folder)),
            Some((folder, At::Opening)) => Ok(self.set_apart(folder, error).await? > 0),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_rests_twice_as_long_each_time_up_to_an_hour() {
        let minutes = |tries| pause(Duration::from_secs(60), tries).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 7, 9, 99].map(minutes), [1, 2, 4, 8, 60, 60, 60]);
    }
}
