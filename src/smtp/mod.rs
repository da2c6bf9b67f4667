//! Sending: the outbox machine and the governor (pure), making messages, delivery, and the SMTP session on lettre.

mod accept;
mod actor;
mod address;
mod announce;
mod capabilities;
mod checkup;
mod credentials;
mod delivery;
mod delivery_state;
mod deps;
mod dot_gate;
pub mod governor;
mod hold;
pub mod mime;
pub mod outbox;
mod probe;
mod progress;
pub mod protocol;
mod session;
mod timing;
mod transaction;
mod verdict;
mod wakeup;

pub use accept::{AcceptError, Content, accept};
pub use actor::SmtpActor;
pub use checkup::Checkup;
pub use deps::SmtpDeps;
pub use probe::probe;
pub use protocol::{Cause, Outcome, Reply, Send, SendResult, SmtpError, SmtpPhase};
pub use session::{SmtpCredentials, SmtpSession};
pub use timing::SmtpTiming;
pub use verdict::Hold;
