//! The API in process.
