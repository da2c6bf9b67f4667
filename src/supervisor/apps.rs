//! The living app actors: one for each app that a mailbox uses.

use super::Supervisor;
use super::protocol::{AskAppToken, AskPermit};
use crate::domain::AppId;
use crate::token::protocol::{AccessToken, GetAppToken, MayRequest, Permit, Waiting};
use crate::token::{AppActor, AppDoor, TokenDeps};
use actix::{Actor, Addr, ArbiterHandle, Handler, ResponseFuture};
use std::collections::{BTreeMap, BTreeSet};

/// The app actors.
pub(super) struct Apps {
    deps: TokenDeps,
    living: BTreeMap<AppId, Addr<AppActor>>,
}

impl Apps {
    pub(super) fn new(deps: TokenDeps) -> Self {
        Self { deps, living: BTreeMap::new() }
    }

    /// The way to an app's actor, which is started if there is none, or none any more.
    pub(super) fn door(
        &mut self,
        app: &AppId,
        supervisor: &Addr<Supervisor>,
        arbiter: &ArbiterHandle,
    ) -> AppDoor {
        let known = self.living.get(app).filter(|actor| actor.connected()).cloned();
        let actor = known.unwrap_or_else(|| {
            let actor = AppActor::new(self.deps.clone(), app.clone(), supervisor.clone().recipient());
            let actor = AppActor::start_in_arbiter(arbiter, move |_| actor);
            self.living.insert(app.clone(), actor.clone());
            actor
        });
        AppDoor { may: actor.clone().recipient(), token: actor.recipient() }
    }

    /// Lets go of those that no mailbox uses any more.
    pub(super) fn keep<'a>(&mut self, used: impl Iterator<Item = &'a AppId>) {
        let used: BTreeSet<&AppId> = used.collect();
        self.living.retain(|app, _| used.contains(app));
    }
}

impl Handler<AskPermit> for Supervisor {
    type Result = ResponseFuture<Result<Permit, Waiting>>;
    fn handle(&mut self, message: AskPermit, context: &mut Self::Context) -> Self::Result {
        let AskPermit { app, mailbox, urgent } = message;
        let door = self.door(&app, context);
        Box::pin(async move {
            let door = door.ok_or_else(Waiting::for_restart)?;
            let asked = door.may.send(MayRequest { mailbox, urgent }).await;
            asked.unwrap_or_else(|_| Err(Waiting::for_restart()))
        })
    }
}

impl Handler<AskAppToken> for Supervisor {
    type Result = ResponseFuture<Result<AccessToken, Waiting>>;
    fn handle(&mut self, message: AskAppToken, context: &mut Self::Context) -> Self::Result {
        let AskAppToken { app, mailbox, urgent } = message;
        let door = self.door(&app, context);
        Box::pin(async move {
            let door = door.ok_or_else(Waiting::for_restart)?;
            let asked = GetAppToken { mailbox, refused: None, urgent };
            door.token.send(asked).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
        })
    }
}
