//! Sending: through Postfix, and through servers that refuse or are slow.

pub mod bad_smtp;
pub mod kills;
pub mod postfix;
