//! What can go wrong between a digest and an inbox.

use std::path::PathBuf;

/// An alert that could not be made or delivered. An undelivered one stays in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error("`{key}` of [alert.email] is not a mail address: `{address}`")]
    Address { key: &'static str, address: String },
    #[error("[alert.email] names no recipient: `to` is empty")]
    NoRecipient,
    #[error("the mail template failed")]
    Template(#[from] minijinja::Error),
    #[error("the mail could not be assembled")]
    Assemble(#[from] lettre::error::Error),
    #[error("cannot read the certificates in `{}`: {source}\nhint: check `ca_file` in {section}", path.display())]
    CaFile {
        section: String,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "TLS cannot be set up: {what}\nhint: install the system's CA certificates, or name your own with `ca_file` in {section}"
    )]
    Tls { section: String, what: String },
    #[error(
        "the secret of {section} cannot stand in a header\nhint: check `secret_header` and the secret"
    )]
    Header { section: String },
    #[error(
        "the key of [alert.email.dkim] {problem}\nhint: make one with `openssl genrsa 2048` or `openssl genpkey -algorithm ed25519`"
    )]
    DkimKey { problem: &'static str },
    #[error("the connection to webhooks could not be set up")]
    Runtime(#[from] std::io::Error),
    #[error("could not write the mail to `{}`", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}
