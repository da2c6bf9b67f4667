//! One link for each person: what else the owner of a mailbox has to sign in for.

use super::context::Context;
use crate::clock;
use crate::domain::{Auth, MailboxState};
use crate::events::EventType;
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoreError, StoredMailbox};
use crate::work::blocking;

/// A sign-in of its own for another mailbox of the same owner, in the manner of `from`; one that waits already,
/// however often it is requested.
pub(crate) async fn sign_in_for(
    context: &Context,
    from: SignIn,
    other: &StoredMailbox,
) -> Result<SignIn, Problem> {
    let SignIn { return_to, language, ways, .. } = from;
    let now = clock::now();
    let mut sign_in = context.store.begin_sign_in(other, return_to, language, now)?;
    sign_in.ways = ways;
    for row in context.store.sign_ins_of(other.incarnation) {
        let known = row?.value;
        if known.serves_as(&sign_in, now) {
            return Ok(known);
        }
    }
    let mut commit = Commit::of_mailbox(other.incarnation);
    context.store.add_sign_in(&mut commit, &sign_in, 0)?;
    commit.event(sign_in.told_as(EventType::SignInRequested, now));
    context.store.commit(commit).await?;
    Ok(sign_in)
}

/// The owner's other mailboxes that wait for a sign-in, or for one by another app.
pub(crate) async fn others_of_owner(
    context: &Context,
    stored: &StoredMailbox,
) -> Result<Vec<StoredMailbox>, Problem> {
    let owner = |stored: &StoredMailbox| {
        stored
            .mailbox
            .owner
            .as_ref()
            .and_then(|owner| owner.reference.clone())
            .filter(|text| !text.is_empty())
    };
    let Some(own) = owner(stored) else { return Ok(Vec::new()) };
    let (store, incarnation) = (context.store.clone(), stored.incarnation);
    // all mailboxes are read
    blocking(move || {
        waiting(&store, |other| other.incarnation != incarnation && owner(other).as_ref() == Some(&own))
    })
    .await
}

/// Whether somebody has to sign in for a mailbox: nobody did, or the provider has ended it.
pub(crate) fn lacks_sign_in(store: &Store, stored: &StoredMailbox) -> Result<bool, StoreError> {
    let has_none = store.grant(stored.incarnation)?.is_none();
    Ok(has_none || store.status(stored.incarnation)?.value.state == MailboxState::NeedsSignIn)
}

/// Those of these mailboxes that somebody has to sign in for.
fn waiting(
    store: &Store,
    is_meant: impl Fn(&StoredMailbox) -> bool,
) -> Result<Vec<StoredMailbox>, StoreError> {
    let mut waiting = Vec::new();
    for other in store.mailboxes()? {
        let signs_in = matches!(other.mailbox.auth, Auth::Oauth { app: Some(_), .. }) && other.mailbox.active;
        let waits = || -> Result<bool, StoreError> {
            Ok(lacks_sign_in(store, &other)? || store.move_of(&other)?.is_some())
        };
        if is_meant(&other) && signs_in && waits()? {
            waiting.push(other);
        }
    }
    Ok(waiting)
}
