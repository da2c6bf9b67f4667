//! The living app actors: one for each app that a mailbox uses.

use crate::domain::AppId;
use crate::token::protocol::AppMended;
use crate::token::{AppActor, AppDoor, TokenDeps};
use actix::{Actor, Addr, ArbiterHandle, Recipient};
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
        supervisor: Recipient<AppMended>,
        arbiter: &ArbiterHandle,
    ) -> AppDoor {
        let known = self.living.get(app).filter(|actor| actor.connected()).cloned();
        let actor = known.unwrap_or_else(|| {
            let actor = AppActor::new(self.deps.clone(), app.clone(), supervisor);
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
