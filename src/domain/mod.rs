//! Words everybody shares: ids, mailboxes, folders, messages, secrets, dispositions. No I/O, no clock.

pub mod app;
pub mod credential;
pub mod diagnosis;
pub mod digest;
pub mod disposition;
pub mod folder;
pub mod grant;
pub mod host;
pub mod ids;
pub mod mailbox;
pub mod message;
pub mod secret;
pub mod submission;
pub mod time;

pub use app::{App, ProviderKind};
pub use credential::{ClientCertificate, Credential, Rotation, RotationState, ServiceAccount};
pub use diagnosis::{Diagnosis, KeptFacts, Remedy, RetryClass, Who};
pub use disposition::Disposition;
pub use folder::{Folder, FolderRole, SetApart, UidValidity, WireName};
pub use grant::{Grant, GrantInfo, GrantSecret, GrantWay, SignedInAs};
pub use ids::{AppId, FolderId, Incarnation, MailboxId, MessageId, SignInId, SubmissionId, Uid};
pub use mailbox::{Auth, Endpoint, Mailbox, MailboxState, Security, SendState, SmtpAuth, SmtpEndpoint};
pub use message::{Flags, Message, MessageState};
pub use secret::Secret;
pub use submission::{Recipient, RecipientState, Submission, SubmissionState};
pub use time::Timestamp;
