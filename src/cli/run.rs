//! Runs one command, and says on standard error why it failed.

use super::args::Arguments;
use super::commands;
use std::process::ExitCode;

/// Runs a command.
#[must_use]
#[allow(clippy::print_stderr)]
pub fn run(arguments: Arguments) -> ExitCode {
    match commands::dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let lines: Vec<&str> = failure.message.lines().map(str::trim).collect();
            eprintln!("stafette: {}", lines.join(" "));
            ExitCode::from(failure.code)
        }
    }
}
