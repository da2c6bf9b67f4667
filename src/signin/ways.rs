//! By which ways users can sign in.

use super::context::Context;
use crate::config::Provider;
use crate::diagnosis::catalogue;
use crate::domain::{App, GrantWay};
use crate::problem::Problem;
use crate::store::{SignIn, StoreError, StoredMailbox};

impl Context {
    /// The ways that a sign-in offers: its own, else those that work for this installation.
    pub(crate) fn ways_of(
        &self,
        sign_in: &SignIn,
        stored: &StoredMailbox,
    ) -> Result<Vec<GrantWay>, StoreError> {
        let app = sign_in.app_for(&stored.mailbox);
        let app = app.map(|app| self.store.app(app)).transpose()?.flatten();
        let usual = || app.as_ref().map_or_else(Vec::new, |row| self.usual_ways(&row.value.app));
        let mut ways = if sign_in.ways.is_empty() { usual() } else { sign_in.ways.clone() };
        if self.are_codes_blocked(sign_in, stored)? {
            // a code would bring a grant that is ended like the one before
            ways.retain(|way| *way != GrantWay::Device);
            if ways.is_empty() {
                ways = usual().into_iter().filter(|way| *way != GrantWay::Device).collect();
            }
        }
        Ok(ways)
    }

    /// Whether the provider ended a sign-in of this mailbox because it was made by device code.
    fn are_codes_blocked(&self, sign_in: &SignIn, stored: &StoredMailbox) -> Result<bool, StoreError> {
        let blocked = catalogue::DEVICE_FLOW_BLOCKED.code;
        let grant = self.store.grant(stored.incarnation)?;
        let last = grant.and_then(|row| row.value.last_refresh).map(|last| last.result);
        let is_refused = sign_in.diagnosis.as_ref().is_some_and(|found| found.code == blocked);
        Ok(is_refused || last.as_deref() == Some(blocked))
    }

    /// The ways that work for this installation.
    fn usual_ways(&self, app: &App) -> Vec<GrantWay> {
        let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
        let native = preset.is_some_and(|preset| preset.native_redirect.is_some());
        let codes = preset.is_some_and(|preset| preset.device_code);
        let others = [(native, GrantWay::Native), (codes, GrantWay::Device)];
        let others: Vec<_> = others.into_iter().filter_map(|(has, way)| has.then_some(way)).collect();
        // providers take redirects to https and to loopback only
        if self.redirects_work() || others.is_empty() { vec![GrantWay::Redirect] } else { others }
    }

    /// The ways to offer: the wanted ones, else what works for this installation.
    ///
    /// # Errors
    /// A [`Problem`] with the field named if a wanted one is not the provider's.
    pub(crate) fn offered_ways(
        &self,
        app: &App,
        wanted: Option<&[String]>,
    ) -> Result<Vec<GrantWay>, Problem> {
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
            return Ok(self.usual_ways(app));
        };
        let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
        let has_native = preset.is_some_and(|preset| preset.native_redirect.is_some());
        let has_codes = preset.is_some_and(|preset| preset.device_code);
        let mut ways = Vec::new();
        for name in wanted {
            let way = match name.as_str() {
                "redirect" => GrantWay::Redirect,
                "native" if has_native => GrantWay::Native,
                "device" if has_codes => GrantWay::Device,
                "native" | "device" => {
                    let provider = app.provider.name();
                    return Err(Problem::field(
                        "ways",
                        format!("{provider} has no way {name:?} to mail: use redirect"),
                    ));
                }
                other => return Err(Problem::field("ways", format!("there is no way {other:?}"))),
            };
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        Ok(ways)
    }
}
