//! Mail to people: users are invited to sign in, administrators read what they have to do. It goes out through the
//! durable outbox of a mailbox of this installation, in the commit that notes that it was sent: a crash neither loses
//! nor doubles it.

mod decide;
mod error;
mod notifier;
mod post;
mod template;
mod watch;

pub use error::InviteError;
pub use notifier::{Invited, Notifier, ask_for_invitation};
pub use watch::watch;
