//! Alerts: what a night found and how the run itself went, as one mail per run.
//!
//! A [`Digest`] is the plain value; [`compose`] turns it into the bytes of a mail whose text and
//! HTML parts say the same; a transport takes the bytes from the ledger's outbox to where people
//! read them. Outbox first, send second, mark third: a crash between two steps repeats a step
//! with the same Message-ID, so that an inbox holds a mail once.
//!
//! Text from logs is made printable before it reaches a header, the text or the HTML part; the
//! HTML template escapes on top. A mail links nowhere but to the one address of the configuration.

mod audience;
mod digest;
mod error;
mod follow_up;
mod gathered;
mod message;
mod render;
mod split;
mod test_mail;
mod transport;
mod view;
mod wrap;

pub use audience::{Audience, Audiences, Letterhead};
pub use digest::{
    Digest, DigestFinding, Gathered, Mailed, News, RunHealth, StillActive, gather_news,
};
pub use error::AlertError;
pub use follow_up::{Invocation, rows_command, view_of};
pub use gathered::GatheredWords;
pub use message::{Mail, Recipients, compose};
pub use test_mail::test_mail;
pub use transport::{Letter, Transport, Trouble};
pub use wrap::wrap;
