//! `[salesforce]`: the org that logs and roster are downloaded from.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::alert::is_loopback;
use super::document::Section;
use super::fault::{Fault, Position};
use super::origin::Origin;
use super::value::{BadValue, parse_username, quoted};
use crate::privacy::Secret;

/// Longest address, in bytes.
const MAX_URL: usize = 500;
/// Longest consumer key, in bytes.
const MAX_CLIENT_ID: usize = 512;
/// Longest name of an event type, in bytes.
const MAX_EVENT_TYPE: usize = 80;
/// The release of summer '26.
const DEFAULT_API_VERSION: u32 = 66;
/// LoginHistory has all its columns from here on.
const LEAST_API_VERSION: u32 = 61;
/// Hosts for people, where neither a Run-As user nor a client certificate is known.
const SHARED_HOSTS: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];
const JWT: &str = "jwt";
const CLIENT_CREDENTIALS: &str = "client_credentials";
/// Who writes one of these wants the program to sign in by itself.
const OF_A_FLOW: [&str; 6] = [
    "flow",
    "username",
    "audience",
    "key_file",
    "certificate_file",
    "secret_file",
];

pub(super) const KEYS: [&str; 22] = [
    "login_url",
    "audience",
    "client_id",
    "flow",
    "username",
    "key_file",
    "certificate_file",
    "secret_file",
    "mtls",
    "ca_file",
    "plaintext",
    "api_version",
    "event_types",
    "intervals",
    "login_history",
    "setup_audit_trail",
    "roster",
    "downloads",
    "usage_share",
    "first_days",
    "time_budget_minutes",
    "idle_timeout_seconds",
];

/// `[salesforce]`. Holds no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Salesforce {
    /// The org's My Domain: scheme, host and port alone.
    pub login_url: Url,
    /// Whom a JWT is for; `login_url` where None.
    pub audience: Option<String>,
    /// The consumer key of the app.
    pub client_id: String,
    pub flow: Flow,
    /// The private key of `Flow::Jwt`; None where a credential or the environment holds it.
    pub key_file: Option<PathBuf>,
    /// The client secret of `Flow::ClientCredentials`; None as above.
    pub secret_file: Option<PathBuf>,
    pub mtls: Option<Mtls>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether `login_url` may begin with `http://`, to this machine only.
    pub plaintext: bool,
    /// 66 by default.
    pub api_version: u32,
    /// Event types to download; all where empty.
    pub event_types: Vec<String>,
    pub intervals: Intervals,
    pub login_history: bool,
    pub setup_audit_trail: bool,
    pub roster: bool,
    /// At one time, 1 to 4. 2 by default.
    pub downloads: u8,
    /// Share of the org's API calls above which no more are made. 0.8 by default.
    pub usage_share: f64,
    /// How far back the first run goes. 30 by default.
    pub first_days: u32,
    /// For one run. 120 by default.
    pub time_budget_minutes: u32,
    /// Longest pause of a download. 60 by default.
    pub idle_timeout_seconds: u32,
    pub at: Position,
}

impl Salesforce {
    /// Host, and port where it is not the scheme's own.
    pub fn server(&self) -> String {
        server(&self.login_url)
    }

    /// Key, value and origin, for a list of settings.
    pub(super) fn listing(&self) -> Vec<(&'static str, String, Origin)> {
        let path = |path: &Option<PathBuf>| {
            let shown = path.as_ref().map(|path| path.display().to_string());
            shown.unwrap_or_else(|| "-".to_owned())
        };
        let origin = self.login_url.origin().ascii_serialization();
        let mut rows = vec![
            ("salesforce.login_url", origin.clone()),
            ("salesforce.client_id", self.client_id.clone()),
        ];
        match &self.flow {
            Flow::Jwt {
                username,
                certificate_file,
            } => rows.extend([
                ("salesforce.flow", JWT.to_owned()),
                ("salesforce.username", username.clone()),
                (
                    "salesforce.audience",
                    self.audience.clone().unwrap_or(origin),
                ),
                ("salesforce.key_file", path(&self.key_file)),
                ("salesforce.certificate_file", path(certificate_file)),
            ]),
            Flow::ClientCredentials { username } => rows.extend([
                ("salesforce.flow", CLIENT_CREDENTIALS.to_owned()),
                (
                    "salesforce.username",
                    username.clone().unwrap_or_else(|| "-".to_owned()),
                ),
                ("salesforce.secret_file", path(&self.secret_file)),
            ]),
            Flow::Undecided => {}
        }
        if let Some(mtls) = &self.mtls {
            let certificate = mtls.certificate_file.display().to_string();
            rows.extend([
                ("salesforce.mtls.certificate_file", certificate),
                ("salesforce.mtls.key_file", path(&mtls.key_file)),
            ]);
        }
        let event_types = match self.event_types.as_slice() {
            [] => "all".to_owned(),
            some => some.join(", "),
        };
        rows.extend([
            ("salesforce.ca_file", path(&self.ca_file)),
            ("salesforce.api_version", self.api_version.to_string()),
            ("salesforce.event_types", event_types),
            ("salesforce.intervals", self.intervals.as_str().to_owned()),
            ("salesforce.login_history", self.login_history.to_string()),
            (
                "salesforce.setup_audit_trail",
                self.setup_audit_trail.to_string(),
            ),
            ("salesforce.roster", self.roster.to_string()),
            ("salesforce.downloads", self.downloads.to_string()),
            ("salesforce.usage_share", self.usage_share.to_string()),
            ("salesforce.first_days", self.first_days.to_string()),
            (
                "salesforce.time_budget_minutes",
                self.time_budget_minutes.to_string(),
            ),
            (
                "salesforce.idle_timeout_seconds",
                self.idle_timeout_seconds.to_string(),
            ),
        ]);
        let at = self.at;
        let rows = rows.into_iter();
        rows.map(|(key, value)| (key, value, Origin::File(at)))
            .collect()
    }
}

fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// How the program signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// By a signature of the app's private key.
    Jwt {
        /// As the org has it, in lower case.
        username: String,
        /// The certificate that the app holds, to be checked against the key.
        certificate_file: Option<PathBuf>,
    },
    /// By the app's secret, as the app's Run-As user.
    ClientCredentials {
        /// Who the Run-As user should be; anyone where None.
        username: Option<String>,
    },
    /// The section says nothing of it: a person may sign in, the program by itself may not.
    Undecided,
}

impl Flow {
    /// Who is expected to sign in, in lower case; None where anyone may.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Jwt { username, .. } => Some(username),
            Self::ClientCredentials { username } => username.as_deref(),
            Self::Undecided => None,
        }
    }
}

/// `[salesforce.mtls]`: this client proves itself by a certificate, on port 8443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mtls {
    /// Leaf first, then its intermediates.
    pub certificate_file: PathBuf,
    /// None where a credential or the environment holds it.
    pub key_file: Option<PathBuf>,
}

/// Which log files are downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Intervals {
    Daily,
    Hourly,
    #[default]
    Both,
}

impl Intervals {
    pub const ALL: [Self; 3] = [Self::Daily, Self::Hourly, Self::Both];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Hourly => "hourly",
            Self::Both => "both",
        }
    }
}

/// What opens the org, and the certificates beside it, as their files hold them.
#[derive(Debug, Clone)]
pub struct SalesforceSecrets {
    /// The private key in PEM, or the client secret.
    pub credential: Secret,
    /// Of `Flow::Jwt`, in PEM.
    pub certificate: Option<String>,
    pub tls: TlsSecrets,
}

/// What the program needs besides when a person signs in.
#[derive(Debug, Clone)]
pub struct LoginSecrets {
    /// None where the app is said to demand none.
    pub client_secret: Option<Secret>,
    pub tls: TlsSecrets,
}

/// What the connection to the org is made with.
#[derive(Debug, Clone)]
pub struct TlsSecrets {
    pub mtls: Option<MtlsPair>,
    /// In PEM.
    pub ca: Option<String>,
}

/// Both in PEM.
#[derive(Debug, Clone)]
pub struct MtlsPair {
    pub certificate: String,
    pub key: Secret,
}

/// Reads it; relative paths are joined to `folder`.
pub(super) fn read(section: &Section<'_>, folder: &Path) -> Result<Salesforce, Fault> {
    let path = |section: &Section<'_>, key: &str| {
        let item = section.get(key);
        item.map(|item| item.text().map(|text| folder.join(text)))
            .transpose()
    };
    let boolean = |key: &str, default| {
        let item = section.get(key);
        let given = item.map(|item| item.boolean()).transpose()?;
        Ok::<bool, Fault>(given.unwrap_or(default))
    };
    let number = |key: &str, low: u32, high: u32, default: u32| {
        let Some(item) = section.get(key) else {
            return Ok::<u32, Fault>(default);
        };
        // The range makes the conversion lossless.
        Ok(item.integer(i64::from(low)..=i64::from(high))? as u32)
    };
    let plaintext = boolean("plaintext", false)?;
    let hint = "the org's My Domain, as in login_url = \"https://example.my.salesforce.com\"";
    let login_item = section.require("login_url", hint)?;
    let login_url = login_item.parsed(|text| parse_login_url(text, plaintext))?;
    let hint = "the consumer key of the app that the administrator set up for this program";
    let client_id = section
        .require("client_id", hint)?
        .parsed(parse_client_id)?;
    let word = section.get("flow");
    let word = word.map(|item| item.word(&[JWT, CLIENT_CREDENTIALS]));
    let is_jwt = word.transpose()?.unwrap_or(JWT) == JWT;
    let (foreign, owner): (&[&str], _) = match is_jwt {
        true => (&["secret_file"], CLIENT_CREDENTIALS),
        false => (&["key_file", "certificate_file", "audience"], JWT),
    };
    for key in foreign {
        if let Some(item) = section.get(key) {
            let hint = format!("remove it, or set flow = \"{owner}\"");
            return Err(item.key_fault(format!("`{key}` is for another flow"), Some(hint)));
        }
    }
    let audience = section.get("audience");
    let audience = audience
        .map(|item| item.parsed(parse_audience))
        .transpose()?;
    let username = |item: super::document::Item<'_>| item.parsed(parse_username);
    let is_undecided = OF_A_FLOW.iter().all(|key| section.get(key).is_none());
    let flow = if is_undecided {
        Flow::Undecided
    } else if is_jwt {
        let hint = "the org's user that this program signs in as, as in username = \"orgwatch@example.com\"";
        Flow::Jwt {
            username: username(section.require("username", hint)?)?,
            certificate_file: path(section, "certificate_file")?,
        }
    } else {
        Flow::ClientCredentials {
            username: section.get("username").map(username).transpose()?,
        }
    };
    let mtls = match section.get("mtls") {
        None => None,
        Some(item) if plaintext => {
            let hint = "remove `plaintext`, or [salesforce.mtls]";
            return Err(item.key_fault("there is no mutual TLS without TLS", Some(hint.into())));
        }
        Some(item) => {
            let table = item.table("in [salesforce.mtls]", &["certificate_file", "key_file"])?;
            let hint = "the client certificate in PEM, then its intermediates";
            let certificate_file = table.require("certificate_file", hint)?;
            Some(Mtls {
                certificate_file: folder.join(certificate_file.text()?),
                key_file: path(&table, "key_file")?,
            })
        }
    };
    let is_shared = login_url
        .host_str()
        .is_some_and(|host| SHARED_HOSTS.contains(&host));
    if is_shared && (!is_jwt || mtls.is_some()) {
        let what = match is_jwt {
            true => "mutual TLS works",
            false => "client credentials work",
        };
        let hint = "use https://NAME.my.salesforce.com; Setup > My Domain shows it";
        let message = format!("{what} at the org's My Domain only");
        return Err(login_item.fault(message, Some(hint.to_owned())));
    }
    let words = Intervals::ALL.map(Intervals::as_str);
    let intervals = section.get("intervals");
    let intervals = intervals.map(|item| item.word(&words)).transpose()?;
    let intervals = Intervals::ALL
        .into_iter()
        .find(|one| Some(one.as_str()) == intervals);
    let share = section.get("usage_share");
    let share = share.map(|item| item.number(0.01..=1.0)).transpose()?;
    Ok(Salesforce {
        login_url,
        audience,
        client_id,
        flow,
        key_file: path(section, "key_file")?,
        secret_file: path(section, "secret_file")?,
        mtls,
        ca_file: path(section, "ca_file")?,
        plaintext,
        api_version: number("api_version", LEAST_API_VERSION, 99, DEFAULT_API_VERSION)?,
        event_types: event_types(section)?,
        intervals: intervals.unwrap_or_default(),
        login_history: boolean("login_history", true)?,
        setup_audit_trail: boolean("setup_audit_trail", true)?,
        roster: boolean("roster", true)?,
        // The range makes the conversion lossless.
        downloads: number("downloads", 1, 4, 2)? as u8,
        usage_share: share.unwrap_or(0.8),
        first_days: number("first_days", 1, 366, 30)?,
        time_budget_minutes: number("time_budget_minutes", 1, 1440, 120)?,
        idle_timeout_seconds: number("idle_timeout_seconds", 1, 600, 60)?,
        at: section.position(),
    })
}

fn event_types(section: &Section<'_>) -> Result<Vec<String>, Fault> {
    let Some(item) = section.get("event_types") else {
        return Ok(Vec::new());
    };
    let mut names: Vec<String> = Vec::new();
    for entry in item.list()? {
        let name = entry.parsed(parse_event_type)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        let hint = "leave the key out for all that the org has".to_owned();
        return Err(item.fault("`event_types` names none", Some(hint)));
    }
    Ok(names)
}

fn parse_login_url(text: &str, plaintext: bool) -> Result<Url, BadValue> {
    const WHOLE: &str = "write it whole, as in https://example.my.salesforce.com";
    let bad = |message: &str, hint: &str| Err(BadValue::new(message, hint));
    let url = match text.parse::<Url>() {
        Ok(url) if text.len() <= MAX_URL && url.has_host() => url,
        _ => return bad("this is no address of an org", WHOLE),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return bad("an address never holds a user or a password", WHOLE);
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return bad("the address goes on behind its host", WHOLE);
    }
    let host = url.host_str().unwrap_or_default();
    if host.ends_with(".lightning.force.com") || host.ends_with(".salesforce-setup.com") {
        return bad(
            "this is where people look at the org, not where programs sign in",
            "use https://NAME.my.salesforce.com; Setup > My Domain shows it",
        );
    }
    let is_here = is_loopback(host);
    match (url.scheme(), plaintext) {
        ("https", false) => Ok(url),
        ("https", true) => bad(
            "`plaintext` is for an address that begins with http://",
            "remove `plaintext`",
        ),
        ("http", true) if is_here => Ok(url),
        ("http", true) => bad(
            "without TLS an org may be on this machine only",
            "use https://, or http://127.0.0.1",
        ),
        ("http", false) if is_here => bad(
            "the address is without TLS",
            "use https://, or add plaintext = true",
        ),
        _ => bad("orgs are reached by https only", WHOLE),
    }
}

/// As it goes into the claim, without a slash at its end.
fn parse_audience(text: &str) -> Result<String, BadValue> {
    let hint = "as in https://login.salesforce.com, or https://test.salesforce.com for a sandbox";
    let fits = |url: &Url| url.has_host() && matches!(url.scheme(), "https" | "http");
    match text.parse::<Url>() {
        Ok(url) if text.len() <= MAX_URL && fits(&url) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(BadValue::new("this is no address to sign in at", hint)),
    }
}

fn parse_client_id(text: &str) -> Result<String, BadValue> {
    if text.len() > MAX_CLIENT_ID || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let hint = "copy the app's consumer key again; it begins with 3MVG9";
        return Err(BadValue::new("this is no consumer key", hint));
    }
    Ok(text.to_owned())
}

fn parse_event_type(text: &str) -> Result<String, BadValue> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if text.len() > MAX_EVENT_TYPE || !text.bytes().all(fits) {
        let message = format!("{} is no event type", quoted(text));
        return Err(BadValue::new(
            message,
            "as in Login, RestApi or ReportExport",
        ));
    }
    Ok(text.to_owned())
}
