//! By which ways users can sign in.

use super::context::Context;
use crate::config::Provider;
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
        if !sign_in.ways.is_empty() {
            return Ok(sign_in.ways.clone());
        }
        let app = sign_in.app_for(&stored.mailbox);
        let app = app.map(|app| self.store.app(app)).transpose()?.flatten();
        Ok(app.map_or_else(Vec::new, |row| self.usual_ways(&row.value.app)))
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
