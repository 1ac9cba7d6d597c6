//! Alerts: what a night found and how the run itself went, as one mail or post per run and group.
//!
//! A [`Digest`] is the plain value; a [`Channel`] turns it into the bytes of a mail whose text and
//! HTML parts say the same, or of a post to a webhook; a transport takes the bytes from the
//! ledger's outbox to where they are read. Outbox first, send second, mark third: a crash between
//! two steps repeats a step with the same Message-ID, so that an inbox holds a mail once.
//!
//! Text from logs is made printable before it reaches a header, the text, the HTML part or a post;
//! the HTML template and Slack's blocks escape on top. An alert links nowhere but to the one
//! address of the configuration.

mod audience;
mod channel;
mod digest;
mod dkim;
mod error;
mod follow_up;
mod gathered;
mod identity;
mod message;
mod render;
mod split;
mod test_mail;
mod transport;
mod view;
mod webhook;
mod wrap;

pub use audience::{Audience, Audiences, Letterhead};
pub use channel::{Channel, Outgoing, webhook_of};
pub use digest::{
    Digest, DigestFinding, Gathered, Mailed, News, RunHealth, StillActive, gather_news,
};
pub use dkim::Signer;
pub use error::AlertError;
pub use follow_up::{Invocation, rows_command, view_of};
pub use gathered::GatheredWords;
pub use message::Recipients;
pub use transport::{Letter, Transport, Trouble, WebhookTransport};
pub use wrap::wrap;
