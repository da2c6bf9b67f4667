//! Stafette: a headless mail synchronization engine.
//!
//! A supervisor spawns a token actor, an IMAP actor and an SMTP actor per mailbox. The store is the truth;
//! messages are wake-ups: a lost one costs latency, never mail.
//!
//! | message | from → to | reply | if lost or the mailbox is full |
//! |---|---|---|---|
//! | `GetAccessToken` | Imap, Smtp → Token | `Result<AccessToken, TokenError>` | the caller retries by its backoff |
//! | `TokenRejected` | Imap, Smtp → Token | – | the next `GetAccessToken` meets it again |
//! | `MayRequest` | Token → App | `Result<Permit, Waiting>` | the caller asks again |
//! | `GetAppToken` | Token → App | `Result<AccessToken, Waiting>` | the caller asks again |
//! | `AppMended` | App → Supervisor | – | each mailbox finds it at its own time |
//! | `AskAgain` | Supervisor → Token | – | the time does it |
//! | `RefreshNow` | Supervisor → Token | `Result<GrantInfo, TokenError>` | HTTP 503 |
//! | `GrantChanged` | Supervisor → Token, then Imap, Smtp | – | re-read on next use |
//! | `SyncNow` | Supervisor → Imap | – | the next poll does it |
//! | `Send` | Supervisor → Smtp | – | submissions are durable; scanned at start and by timer |
//! | `GetStatus` | Supervisor → Imap | `ImapStatus` | shown as unresponsive |
//! | `Stop` | Supervisor → any | – | the store refuses what a replaced actor commits |
//! | `ChildExited` | exit guard → Supervisor | – | noted in the log |
//! | `Reconcile` | app, signin, admin, http → Supervisor | – | the next change, or a start, does it |
//! | `Wake` | signin, admin, http, notify → Supervisor | – | the next poll does it |
//! | `RefreshToken` | http → Supervisor | `Option<Result<GrantInfo, TokenError>>` | HTTP 503 |
//! | `TryCredential` | http → Supervisor | – | the supervisor looks for credentials on trial by itself |
//! | `LendToken` | doctor → Supervisor | `Option<Result<AccessToken, TokenError>>` | the step fails, and says so |
//! | `RequestPermit` | signin → Supervisor, which passes `MayRequest` on | `Result<Permit, Waiting>` | asked again after a pause |
//! | `RequestAppToken` | signin → Supervisor, which passes `GetAppToken` on | `Result<AccessToken, Waiting>` | asked again after a pause |
//! | `GetActors` | http → Supervisor | `ActorsStatus` | shown as unresponsive |
//! | `GetLags` | tests → Supervisor | `Vec<Duration>` | – |
//! | `Drain` | app → Supervisor | – | the process ends all the same |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod admin;
pub mod app;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod descriptors;
pub mod diagnosis;
pub mod doctor;
pub mod domain;
mod duties;
pub mod events;
mod faults;
pub mod http;
pub mod imap;
pub mod net;
pub mod notify;
pub mod periodic;
mod problem;
pub mod protocol;
pub mod signin;
pub mod smtp;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod threads;
pub mod token;
mod work;
