//! Running the daemon: start and drain, listeners, limits, the doctor, panics, strangers.

pub mod bad_certificates;
pub mod bad_input;
pub mod crowd;
pub mod doctor;
pub mod drain;
pub mod listeners;
pub mod outbound;
pub mod panics;
pub mod strangers;
