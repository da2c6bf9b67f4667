//! One link for each person: the page of a sign-in shows what else its owner has to sign in for.

use super::super::Shared;
use super::page::{Words, escape, gone, see_other};
use crate::clock;
use crate::domain::{Auth, MailboxId};
use crate::events::EventType;
use crate::problem::Problem;
use crate::signin::usable;
use crate::store::{Commit, SignIn, Store, StoreError, StoredMailbox};
use crate::work::blocking;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

const OTHERS: Words = Words {
    en: "You are asked to sign in for these mailboxes, too:",
    de: "Auch für diese Postfächer werden Sie gebeten, sich anzumelden:",
};
const SIGN_IN: Words = Words { en: "Sign in for", de: "Anmelden für" };

/// The other mailboxes of the owner that somebody has to sign in for, each with a button; empty if there are none.
pub(super) async fn others(
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    language: &str,
) -> Result<String, Problem> {
    let waiting = of_owner(shared, stored).await?;
    if waiting.is_empty() {
        return Ok(String::new());
    }
    let link = escape(&shared.signin.link(sign_in));
    let button = |other: &StoredMailbox| {
        format!(
            "<form method=\"post\" action=\"{link}/for/{}\"><button>{} {}</button></form>",
            other.mailbox.id,
            SIGN_IN.in_language(language),
            escape(&other.mailbox.address)
        )
    };
    let buttons: String = waiting.iter().map(button).collect();
    Ok(format!("<h2>{}</h2>{buttons}", OTHERS.in_language(language)))
}

/// POST `/sign-in/{token}/for/{mailbox}`: a sign-in of its own for another mailbox of the same owner; one that waits
/// already, however often the button is pressed.
pub(super) async fn start(
    request: HttpRequest,
    shared: Data<Shared>,
    path: Path<(String, MailboxId)>,
) -> Result<HttpResponse, Problem> {
    let (token, wanted) = path.into_inner();
    let Some((row, stored)) = usable(&shared.signin, &token)? else { return Ok(gone(&request)) };
    let other = of_owner(&shared, &stored).await?.into_iter().find(|other| other.mailbox.id == wanted);
    let Some(other) = other else { return Ok(gone(&request)) };
    let SignIn { return_to, language, ways, .. } = row.value;
    let now = clock::now();
    let mut sign_in = shared.store.begin_sign_in(&other, return_to, language, now)?;
    sign_in.ways = ways;
    for row in shared.store.sign_ins_of(other.incarnation) {
        let known = row?.value;
        if known.serves_as(&sign_in, now) {
            return Ok(see_other(&shared.signin.link(&known)));
        }
    }
    let mut commit = Commit::of_mailbox(other.incarnation);
    shared.store.add_sign_in(&mut commit, &sign_in, 0)?;
    commit.event(sign_in.told_as(EventType::SignInRequested, now));
    shared.store.commit(commit).await?;
    Ok(see_other(&shared.signin.link(&sign_in)))
}

/// The owner's other mailboxes that wait for a sign-in, or for one by another app.
async fn of_owner(shared: &Shared, stored: &StoredMailbox) -> Result<Vec<StoredMailbox>, Problem> {
    let owner = |stored: &StoredMailbox| {
        stored
            .mailbox
            .owner
            .as_ref()
            .and_then(|owner| owner.reference.clone())
            .filter(|text| !text.is_empty())
    };
    let Some(own) = owner(stored) else { return Ok(Vec::new()) };
    let (store, incarnation) = (shared.store.clone(), stored.incarnation);
    // all mailboxes are read
    blocking(move || {
        waiting(&store, |other| other.incarnation != incarnation && owner(other).as_ref() == Some(&own))
    })
    .await
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
            let has_none = store.grant(other.incarnation)?.is_none();
            Ok(has_none || store.move_of(&other)?.is_some())
        };
        if is_meant(&other) && signs_in && waits()? {
            waiting.push(other);
        }
    }
    Ok(waiting)
}
