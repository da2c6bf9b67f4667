//! Receiving: mailboxes in step with Dovecot, Cyrus and servers that fail, lie or flood.

pub mod any_server;
pub mod bad_servers;
pub mod doubted;
pub mod dovecot;
pub mod floods;
pub mod garbage;
pub mod gathering;
pub mod glitches;
pub mod kills;
pub mod large;
pub mod logins;
pub mod odd_lines;
pub mod odd_names;
pub mod odd_values;
pub mod over_time;
pub mod pieces;
pub mod policy;
pub mod quiet;
pub mod refusing;
pub mod second_looks;
pub mod soak;
pub mod useless_idle;
