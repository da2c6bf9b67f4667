//! What needs no special server runs against each that there is: Dovecot, Dovecot with Exchange's manners, Cyrus.

mod place;

mod changes;
mod folders;
mod kills;
mod reading;

/// Declares each test once for every server; `cargo nextest run any_server` runs them all.
macro_rules! on_any_server {
    ($($test:ident),+ $(,)?) => {
        mod dovecot {
            $(#[test] fn $test() { super::$test(&super::Place::live(super::Make::Dovecot)); })+
        }
        mod exchange {
            $(#[test] fn $test() { super::$test(&super::Place::live(super::Make::Exchange)); })+
        }
        mod cyrus {
            $(#[test] fn $test() { super::$test(&super::Place::live(super::Make::Cyrus)); })+
        }
    };
}
use on_any_server;
use place::{ANNA, Make, Place, Server, message};
