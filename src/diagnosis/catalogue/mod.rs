//! Every cause that can be named, with every word a person reads about it.
//!
//! Texts are [`Text`] values, one field per language, so that a translation is a second column and not a second
//! table.

mod app;
mod entry;
mod google;
mod lookup;
mod mail;
mod net;
mod sign_in;
mod states;

pub use app::*;
pub use entry::{Entry, Text};
pub use google::*;
pub use lookup::{all, find, speaks_of_a_limit};
pub use mail::*;
pub use net::*;
pub use sign_in::*;
pub use states::{SEND_STATES, STATES, StateWords};

use entry::{entries, optional_text};
