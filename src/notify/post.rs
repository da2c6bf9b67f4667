//! A letter into an outbox, by a commit that others add to.

use super::error::InviteError;
use crate::domain::Submission;
use crate::smtp::mime::{Draft, Person};
use crate::smtp::{Content, accept};
use crate::store::{Body, Commit, Store, StoreError, StoredMailbox};

/// What is written to whom.
pub(super) struct Letter {
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) text: String,
}

/// Adds a letter to the sender's outbox. The commit must belong to the sender.
pub(super) async fn add(
    commit: &mut Commit,
    store: &Store,
    sender: &StoredMailbox,
    letter: Letter,
) -> Result<(), InviteError> {
    let (store, sender) = (store.clone(), sender.clone());
    let made = tokio::task::spawn_blocking(move || prepare(&store, &sender, letter));
    let (submission, record) = made.await.map_err(|_| StoreError::Closed)??;
    commit.accept_submission(submission, record)?;
    Ok(())
}

fn prepare(store: &Store, sender: &StoredMailbox, letter: Letter) -> Result<(Submission, Body), InviteError> {
    let to = letter.to.into_iter().map(|address| Person { name: None, address }).collect();
    let draft = Draft { to, subject: letter.subject, text: Some(letter.text), ..Draft::default() };
    Ok(accept(store, sender, &Content::Draft(&draft), None)?)
}
