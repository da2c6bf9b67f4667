//! One binary for every test against real parts.
