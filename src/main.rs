//! The daemon and its command line.

use clap::Parser;
use stafette::cli::{self, Arguments};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => cli::run(arguments),
        Err(error) => {
            // help and version are no errors; everything else is EX_USAGE
            let code = if error.use_stderr() { 64 } else { 0 };
            let printed = error.print();
            ExitCode::from(if printed.is_ok() { code } else { 74 })
        }
    }
}
