//! What token actors are given.

use super::protocol::{GetAppToken, MayRequest};
use crate::net::HttpClient;
use crate::store::Store;
use actix::Recipient;

/// What a token actor is given.
#[derive(Clone)]
pub struct TokenDeps {
    /// The store.
    pub store: Store,
    /// The way to ask token endpoints.
    pub http: HttpClient,
}

/// The way to a mailbox's app actor.
#[derive(Clone)]
pub struct AppDoor {
    /// For leave to send a request.
    pub may: Recipient<MayRequest>,
    /// For the app's own token.
    pub token: Recipient<GetAppToken>,
}
