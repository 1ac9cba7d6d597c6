//! `[[alert.webhook]]`: a service that is told by HTTPS.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::read::{Scope, choice, number, parse_group_name, scope};
use super::{DEFAULT_TIMEOUT_SECONDS, is_loopback};
use crate::config::document::Section;
use crate::config::fault::{Fault, Position};
use crate::config::value::{BadValue, quoted};

/// Longest address, in bytes.
const MAX_URL: usize = 2000;
/// Longest name of a header, in bytes.
const MAX_HEADER: usize = 64;
/// The header of the secret where only the secret is given.
const DEFAULT_HEADER: &str = "Authorization";
/// Headers that the program or the connection sets.
const OWN_HEADERS: [&str; 10] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "expect",
    "upgrade",
    "user-agent",
    "idempotency-key",
];

pub(super) const KEYS: [&str; 12] = [
    "name",
    "format",
    "url",
    "url_file",
    "plaintext",
    "secret_header",
    "secret_file",
    "ca_file",
    "timeout_seconds",
    "min_severity",
    "families",
    "users",
];

/// What a service reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The program's own JSON.
    Json,
    /// Blocks as Slack's incoming webhooks take them.
    Slack,
}

impl WebhookFormat {
    pub const ALL: [Self; 2] = [Self::Json, Self::Slack];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
        }
    }
}

/// One `[[alert.webhook]]`: a group of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// As the names of groups, and none of them.
    pub name: String,
    /// `json` by default.
    pub format: WebhookFormat,
    /// None where `url_file`, a credential or the environment holds it.
    pub url: Option<HookUrl>,
    pub url_file: Option<PathBuf>,
    /// Whether the address may begin with `http://`, to this machine only.
    pub plaintext: bool,
    /// The header that holds the secret; None where there is no secret.
    pub secret_header: Option<String>,
    pub secret_file: Option<PathBuf>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// For a whole conversation. 30 by default.
    pub timeout_seconds: u32,
    pub scope: Scope,
    pub at: Position,
}

impl Webhook {
    /// `ORGWATCH_WEBHOOK_<NAME>_<WHAT>`, which wins over all else.
    pub(in crate::config) fn variable(&self, what: &str) -> String {
        let name = self.name.replace('-', "_").to_uppercase();
        format!("ORGWATCH_WEBHOOK_{name}_{}", what.to_uppercase())
    }

    /// Name, form and server, for a list of settings.
    pub(super) fn describe(&self) -> String {
        let server = self.url.as_ref().map(HookUrl::server);
        let server = server.unwrap_or_else(|| "an address of its own file".to_owned());
        format!("{}: {} to {server}", self.name, self.format.as_str())
    }
}

/// Where a webhook is. The path of such an address often is what opens it: only the server's name
/// is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(Url);

impl HookUrl {
    /// An address with https; with http, to this machine only, where `plaintext`. Complaints do
    /// not repeat it.
    pub fn parse(text: &str, plaintext: bool) -> Result<Self, BadValue> {
        let bad = |message: &str, hint: &str| Err(BadValue::new(message, hint));
        let whole = "write it whole, as in https://hooks.example.com/orgwatch";
        let url = match text.parse::<Url>() {
            Ok(url) if text.len() <= MAX_URL && url.has_host() => url,
            _ => return bad("this is no address of a webhook", whole),
        };
        if !url.username().is_empty() || url.password().is_some() {
            let hint = "write it into `secret_file`, as the whole value of `secret_header`";
            return bad("a user or a password in the address is shown to many", hint);
        }
        if url.fragment().is_some() {
            return bad("what follows a `#` in the address is never sent", whole);
        }
        let is_here = url.host_str().is_some_and(is_loopback);
        match (url.scheme(), plaintext) {
            ("https", false) => Ok(Self(url)),
            ("https", true) => bad(
                "`plaintext` is for an address that begins with http://",
                "remove `plaintext`",
            ),
            ("http", true) if is_here => Ok(Self(url)),
            ("http", true) => bad(
                "without TLS alerts may go to this machine only",
                "use https://, or http://127.0.0.1",
            ),
            ("http", false) if is_here => bad(
                "the address is without TLS",
                "use https://, or add plaintext = true",
            ),
            _ => bad("alerts go by https only", whole),
        }
    }

    /// The whole address, for the one call that needs it.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Name and port.
    pub fn server(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HookUrl({}/…)", self.server())
    }
}

/// Reads one; relative paths are joined to `folder`.
pub(super) fn read(entry: &Section<'_>, folder: &Path) -> Result<Webhook, Fault> {
    let name = entry.require(
        "name",
        "what the webhook is called, as in name = \"soc-chat\"",
    )?;
    let name = name.parsed(parse_group_name)?;
    let path = |key: &str| {
        let item = entry.get(key);
        item.map(|item| item.text().map(|text| folder.join(text)))
            .transpose()
    };
    let format = entry
        .get("format")
        .map(|item| choice(&item, &WebhookFormat::ALL, WebhookFormat::as_str));
    let plaintext = entry.get("plaintext").map(|item| item.boolean());
    let plaintext = plaintext.transpose()?.unwrap_or(false);
    let url = entry
        .get("url")
        .map(|item| item.parsed(|text| HookUrl::parse(text, plaintext)));
    let url = url.transpose()?;
    let url_file = path("url_file")?;
    if let (true, Some(item)) = (url.is_some(), entry.get("url_file")) {
        let hint = "keep `url_file` where the address itself is a secret, as Slack's are";
        return Err(item.key_fault("the address is given twice", Some(hint.to_owned())));
    }
    let secret_file = path("secret_file")?;
    let secret_header = entry
        .get("secret_header")
        .map(|item| item.parsed(parse_header));
    let secret_header = secret_header
        .transpose()?
        .or_else(|| secret_file.is_some().then(|| DEFAULT_HEADER.to_owned()));
    if let (true, Some(item)) = (
        plaintext,
        entry.get("secret_header").or(entry.get("secret_file")),
    ) {
        let hint = "remove it, or use https://";
        return Err(item.key_fault("a secret is never sent without TLS", Some(hint.to_owned())));
    }
    let timeout = entry.get("timeout_seconds");
    let timeout = timeout.map(|item| number(&item, 1..=600)).transpose()?;
    Ok(Webhook {
        name,
        format: format.transpose()?.unwrap_or(WebhookFormat::Json),
        url,
        url_file,
        plaintext,
        secret_header,
        secret_file,
        ca_file: path("ca_file")?,
        timeout_seconds: timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
        scope: scope(entry)?,
        at: entry.position(),
    })
}

fn parse_header(text: &str) -> Result<String, BadValue> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if text.len() > MAX_HEADER || !text.bytes().all(fits) {
        let message = format!("{} is no name of a header", quoted(text));
        return Err(BadValue::new(message, "as in Authorization or X-Api-Key"));
    }
    if OWN_HEADERS.contains(&text.to_ascii_lowercase().as_str()) {
        let message = format!("the header {} is set already", quoted(text));
        return Err(BadValue::new(message, "as in Authorization or X-Api-Key"));
    }
    Ok(text.to_owned())
}
