//! What others say to and ask a mailbox's actors through the supervisor.

use super::actor::Supervisor;
use super::protocol::{ActorsStatus, GetActors, GetLags, LendToken, RefreshToken, Wake, WakeReason};
use crate::clock;
use crate::imap::protocol::GetStatus;
use crate::token::protocol::{AccessToken, AppMended, GetAccessToken, RefreshNow, TokenError};
use actix::{Handler, MessageResult, ResponseActFuture, WrapFuture};
use std::time::Duration;

/// How long a token that is lent must still be valid.
const LENT_FOR: Duration = Duration::from_secs(60);

impl Handler<Wake> for Supervisor {
    type Result = ();
    fn handle(&mut self, message: Wake, _: &mut Self::Context) {
        if let Some(children) = self.children(message.mailbox) {
            children.wake(message.reason);
        }
    }
}

impl Handler<AppMended> for Supervisor {
    type Result = ();
    fn handle(&mut self, message: AppMended, _: &mut Self::Context) {
        for children in message.mailboxes.iter().filter_map(|mailbox| self.children(*mailbox)) {
            children.wake(WakeReason::Mended);
        }
    }
}

impl Handler<RefreshToken> for Supervisor {
    type Result = ResponseActFuture<Self, Option<Result<crate::domain::GrantInfo, TokenError>>>;
    fn handle(&mut self, message: RefreshToken, _: &mut Self::Context) -> Self::Result {
        let token = self.children(message.mailbox).map(|children| children.token.clone());
        let asked = async move { token?.send(RefreshNow).await.ok() };
        Box::pin(asked.into_actor(self))
    }
}

impl Handler<LendToken> for Supervisor {
    type Result = ResponseActFuture<Self, Option<Result<AccessToken, TokenError>>>;
    fn handle(&mut self, message: LendToken, _: &mut Self::Context) -> Self::Result {
        let token = self.children(message.mailbox).map(|children| children.token.clone());
        let asked = async move { token?.send(GetAccessToken { min_validity: LENT_FOR }).await.ok() };
        Box::pin(asked.into_actor(self))
    }
}

impl Handler<GetLags> for Supervisor {
    type Result = MessageResult<GetLags>;
    fn handle(&mut self, _: GetLags, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.watchdog.longest_lags(clock::monotonic()))
    }
}

impl Handler<GetActors> for Supervisor {
    type Result = ResponseActFuture<Self, ActorsStatus>;
    fn handle(&mut self, message: GetActors, _: &mut Self::Context) -> Self::Result {
        let imap = self.children(message.mailbox).and_then(|children| children.imap.clone());
        let restarts = self.running.get(&message.mailbox).map_or(0, |running| running.restarts.total);
        let asked = async move {
            let imap = match imap {
                Some(imap) => imap.send(GetStatus).await.ok(),
                None => None,
            };
            ActorsStatus { imap, restarts }
        };
        Box::pin(asked.into_actor(self))
    }
}
