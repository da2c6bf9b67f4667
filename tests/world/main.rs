//! The test world as a program.
#[path = "mod.rs"]
mod world;
fn main() {}
