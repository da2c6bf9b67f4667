//! The doctor: tries everything a mailbox needs, a step at a time, on connections of its own, and says of each step
//! what came of it. It changes nothing on any server.

mod access;
mod examine;
mod mail;
mod report;
mod verdict;
mod visit;

pub use examine::{Doctor, DoctorError, Report};
pub use report::{Step, StepResult};
pub use visit::DoctorDeps;
