//! Why a command ends, and with which exit code.

/// Why a command ends, as `sysexits.h` numbers it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One line that says what is wrong and what to do.
    pub message: String,
}

impl Failure {
    /// The command was used wrongly (`EX_USAGE`).
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 64, message: message.into() }
    }
    /// The input was wrong (`EX_DATAERR`).
    pub fn data(message: impl Into<String>) -> Self {
        Self { code: 65, message: message.into() }
    }
    /// A service is not there (`EX_UNAVAILABLE`).
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { code: 69, message: message.into() }
    }
    /// Reading or writing failed (`EX_IOERR`).
    pub fn io(message: impl Into<String>) -> Self {
        Self { code: 74, message: message.into() }
    }
    /// Somebody else has it; try later (`EX_TEMPFAIL`).
    pub fn temporary(message: impl Into<String>) -> Self {
        Self { code: 75, message: message.into() }
    }
    /// The key is not allowed to do that (`EX_NOPERM`).
    pub fn permission(message: impl Into<String>) -> Self {
        Self { code: 77, message: message.into() }
    }
    /// The configuration is wrong (`EX_CONFIG`).
    pub fn config(message: impl Into<String>) -> Self {
        Self { code: 78, message: message.into() }
    }
}
