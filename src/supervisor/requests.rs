//! Wake-ups and requests for a mailbox's actors, and for an app's, that go through the supervisor.

use super::Supervisor;
use super::protocol::{
    ActorsStatus, GetActors, GetLags, LendToken, RefreshToken, RequestAppToken, RequestPermit, Wake,
    WakeReason,
};
use crate::clock;
use crate::imap::protocol::GetStatus;
use crate::token::protocol::{
    AccessToken, AppMended, GetAccessToken, GetAppToken, MayRequest, Permit, RefreshNow, TokenError, Waiting,
};
use actix::{Handler, MessageResult, ResponseActFuture, ResponseFuture, WrapFuture};
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
        let work = async move { token?.send(RefreshNow).await.ok() };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<LendToken> for Supervisor {
    type Result = ResponseActFuture<Self, Option<Result<AccessToken, TokenError>>>;
    fn handle(&mut self, message: LendToken, _: &mut Self::Context) -> Self::Result {
        let token = self.children(message.mailbox).map(|children| children.token.clone());
        let work = async move { token?.send(GetAccessToken { min_validity: LENT_FOR }).await.ok() };
        Box::pin(work.into_actor(self))
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
        let work = async move {
            let imap = match imap {
                Some(imap) => imap.send(GetStatus).await.ok(),
                None => None,
            };
            ActorsStatus { imap, restarts }
        };
        Box::pin(work.into_actor(self))
    }
}

impl Handler<RequestPermit> for Supervisor {
    type Result = ResponseFuture<Result<Permit, Waiting>>;
    fn handle(&mut self, message: RequestPermit, context: &mut Self::Context) -> Self::Result {
        let RequestPermit { app, mailbox, urgent } = message;
        let door = self.door(&app, context);
        Box::pin(async move {
            let door = door.ok_or_else(Waiting::for_restart)?;
            let answer = door.may.send(MayRequest { mailbox, urgent }).await;
            answer.unwrap_or_else(|_| Err(Waiting::for_restart()))
        })
    }
}

impl Handler<RequestAppToken> for Supervisor {
    type Result = ResponseFuture<Result<AccessToken, Waiting>>;
    fn handle(&mut self, message: RequestAppToken, context: &mut Self::Context) -> Self::Result {
        let RequestAppToken { app, mailbox, urgent } = message;
        let door = self.door(&app, context);
        Box::pin(async move {
            let door = door.ok_or_else(Waiting::for_restart)?;
            let request = GetAppToken { mailbox, refused: None, urgent };
            door.token.send(request).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
        })
    }
}
