//! What was last seen of a folder, and whether it has to be visited by what STATUS reports now.

use crate::clock;
use crate::imap::connection::FolderStatus;
use std::time::{Duration, Instant};

/// What was last seen of a folder.
#[derive(Clone, Copy)]
pub(super) struct LastSeen {
    /// `None`: it was not requested.
    status: Option<FolderStatus>,
    scanned: Instant,
}

impl LastSeen {
    /// A folder that was scanned just now, after this STATUS.
    pub(in crate::imap) fn now(status: Option<FolderStatus>) -> Self {
        Self { status, scanned: clock::monotonic() }
    }

    /// Whether the folder changed since, as far as STATUS can tell; flags that leave UNSEEN as it is show only in
    /// HIGHESTMODSEQ, else a scan finds them in time. SELECT does not report UNSEEN.
    pub(super) fn needs_visit(&self, now: FolderStatus, flag_scan: Duration) -> bool {
        let Some(before) = self.status else { return true };
        let counts = |status: FolderStatus| (status.messages, status.uid_next, status.uid_validity);
        let flags_show = before.highest_modseq.is_some() && now.highest_modseq.is_some();
        counts(before) != counts(now)
            || before.unseen.is_some() && before.unseen != now.unseen
            || now.highest_modseq.is_some() && before.highest_modseq != now.highest_modseq
            || !flags_show && self.scan_is_due(flag_scan)
    }

    /// Keeps what STATUS reports of a folder that did not change.
    pub(super) fn learn(&mut self, status: FolderStatus) {
        self.status = Some(status);
    }

    /// Whether messages came since, or may have.
    pub(super) fn has_news(&self, status: FolderStatus) -> bool {
        let next = |status: FolderStatus| status.uid_next.zip(status.uid_validity);
        self.status.is_none_or(|before| next(before) != next(status) || next(status).is_none())
    }

    /// Whether flags were last looked at long ago.
    pub(super) fn scan_is_due(&self, flag_scan: Duration) -> bool {
        clock::monotonic().saturating_duration_since(self.scanned) >= flag_scan
    }

    /// Whether messages left the folder: fewer than the arrivals account for.
    pub(super) fn lost_messages(&self, status: FolderStatus) -> bool {
        let counts = |status: FolderStatus| Some((u64::from(status.messages?), u64::from(status.uid_next?)));
        let (Some(before), Some(now)) = (self.status.and_then(counts), counts(status)) else { return false };
        now.0 < before.0.saturating_add(now.1.saturating_sub(before.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(messages: u32, uid_next: u32) -> FolderStatus {
        FolderStatus { messages: Some(messages), uid_next: Some(uid_next), ..FolderStatus::default() }
    }

    #[test]
    fn messages_left_if_there_are_fewer_than_the_arrivals_account_for() {
        let seen = LastSeen::now(Some(status(10, 50)));
        assert!(!seen.lost_messages(status(12, 52)));
        assert!(seen.lost_messages(status(11, 52)));
        assert!(seen.lost_messages(status(9, 50)));
        assert!(!LastSeen::now(None).lost_messages(status(0, 50)), "nothing is known");
    }

    #[test]
    fn messages_came_if_the_next_uid_is_another_or_is_not_known() {
        let known = |next| FolderStatus { uid_validity: Some(7), ..status(10, next) };
        let seen = LastSeen::now(Some(known(50)));
        assert!(!seen.has_news(FolderStatus { messages: Some(9), ..known(50) }));
        assert!(seen.has_news(known(51)) && seen.has_news(FolderStatus::default()));
        assert!(LastSeen::now(None).has_news(known(50)));
    }

    #[test]
    fn a_folder_is_visited_if_its_status_is_another_or_its_flags_are_due() {
        let seen = LastSeen::now(Some(status(10, 50)));
        let hour = Duration::from_secs(3600);
        assert!(!seen.needs_visit(status(10, 50), hour));
        assert!(seen.needs_visit(status(11, 51), hour));
        assert!(seen.needs_visit(status(10, 50), Duration::ZERO));
        let modseq = FolderStatus { highest_modseq: Some(7), ..status(10, 50) };
        assert!(!LastSeen::now(Some(modseq)).needs_visit(modseq, Duration::ZERO), "it would show");
        assert!(seen.needs_visit(modseq, hour), "flags may have changed since SELECT");
        let unread = |count| FolderStatus { unseen: Some(count), ..status(10, 50) };
        assert!(!seen.needs_visit(unread(1), hour), "SELECT does not tell that");
        let mut learnt = seen;
        learnt.learn(unread(1));
        assert!(learnt.needs_visit(unread(2), hour));
        assert!(LastSeen::now(None).needs_visit(status(10, 50), hour), "nothing is known");
    }
}
