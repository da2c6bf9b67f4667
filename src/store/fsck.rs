//! Verifying a store.
