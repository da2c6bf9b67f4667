//! A file of mailboxes is imported: read (`format`, `table`, `documents`, `text`), checked line by line (`check`),
//! and created in one commit (`create`).

mod check;
mod create;
mod documents;
mod file;
mod format;
mod table;
mod text;

pub(crate) use create::{Imported, import};
