//! A sign-in's life, from the personal link to a grant that is in place: the visit to the provider (`visit`, `owner`,
//! `returned`, `device`, `paste`), the tokens it gives (`redeem`, `account`), their trial as the mailbox
//! (`candidate`), and what goes on without a user: refresh tokens of another system (`grant_trial`) and mailboxes
//! that an app opens by itself (`app_only_trial`), scheduled by `schedule` and worked off by `take_over`. What an
//! app's consent and sign-in test prove is here, too (`app_state`, `app_return`, `app_proofs`).
//!
//! Each step is durable before the next (G2). Nothing here knows of HTTP: pages and API call it, and show the outcome.

mod account;
mod app_only_trial;
mod app_proofs;
mod app_return;
mod app_state;
mod candidate;
mod context;
mod device;
mod grant_trial;
mod owner;
mod paste;
mod provider;
mod record;
mod recovery;
mod redeem;
mod result;
mod returned;
mod schedule;
mod take_over;
mod trial_case;
mod trials;
mod visit;
mod ways;

pub use context::Probe;

pub(crate) use app_return::{AppResult, take_app_answer};
pub(crate) use app_state::{begin_sign_in_test, consent_state};
pub(crate) use context::Context;
pub(crate) use device::begin_device;
pub(crate) use owner::{lacks_sign_in, others_of_owner, sign_in_for};
pub(crate) use paste::{PasteError, accept_pasted};
pub(crate) use provider::address_only;
pub(crate) use recovery::{accept, forget_ended, take_up_unfinished, unfinished};
pub(crate) use returned::{Returned, find, use_answer};
pub(crate) use take_over::{resume_trials, run_trials, try_now};
pub(crate) use trials::Trials;
pub(crate) use visit::{Opened, begin, native_redirect, opened, usable};
