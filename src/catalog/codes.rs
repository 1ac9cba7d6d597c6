//! The coded values that Salesforce is known to write, and what they mean.
//!
//! Codes (one letter, LOGIN_… names) are compared as they are, since `i` and `I` differ; labels
//! and API names without regard to case. A value that is not listed is not known, also when it
//! begins like one that is: the lists are those of the documentation, and a new value is to be
//! reported rather than guessed at.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A field whose values are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodedField {
    LoginType,
    LoginSubType,
    LoginStatus,
    SessionType,
    UserType,
    ApiType,
    TlsProtocol,
    ApiFamily,
    JobStatus,
}

impl CodedField {
    pub const ALL: [CodedField; 9] = [
        CodedField::LoginType,
        CodedField::LoginSubType,
        CodedField::LoginStatus,
        CodedField::SessionType,
        CodedField::UserType,
        CodedField::ApiType,
        CodedField::TlsProtocol,
        CodedField::ApiFamily,
        CodedField::JobStatus,
    ];

    /// The field's name in SQL: `login_type`, ….
    pub fn as_str(self) -> &'static str {
        match self {
            CodedField::LoginType => "login_type",
            CodedField::LoginSubType => "login_sub_type",
            CodedField::LoginStatus => "login_status",
            CodedField::SessionType => "session_type",
            CodedField::UserType => "user_type",
            CodedField::ApiType => "api_type",
            CodedField::TlsProtocol => "tls_protocol",
            CodedField::ApiFamily => "api_family",
            CodedField::JobStatus => "job_status",
        }
    }

    /// The field of an ELF heading (in any case) or of its LoginHistory counterpart.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let elf_name = match name.as_str() {
            "logintype" => "login_type",
            "loginsubtype" => "login_sub_type",
            "status" => "login_status",
            "apitype" => "api_type",
            "tlsprotocol" => "tls_protocol",
            other => other,
        };
        Self::ALL.into_iter().find(|f| f.as_str() == elf_name)
    }
}

/// Whether a value is listed. Nothing recorded (empty) is no unknown value.
pub fn known(field: CodedField, value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || match field {
            CodedField::LoginType => login_type(value).is_some(),
            CodedField::LoginSubType => {
                value.eq_ignore_ascii_case("N/A") || login_sub_type(value).is_some()
            }
            CodedField::LoginStatus => status(value).is_some(),
            coded => canonical(coded, value).is_some(),
        }
}

/// A login type and the group that the login-path table knows it by.
#[derive(Debug, Deserialize)]
pub struct LoginType {
    code: String,
    pub api_name: String,
    labels: String,
    pub group: String,
}

/// The login type of a code, an API name or a label.
pub fn login_type(raw: &str) -> Option<&'static LoginType> {
    let raw = raw.trim();
    login_types().find(|t| spells(raw, &t.code, &t.api_name, &t.labels))
}

pub(super) fn login_types() -> impl Iterator<Item = &'static LoginType> {
    LOGIN_TYPES.iter()
}

/// API name of a sub-type given as code (in any case), API name or label.
pub fn login_sub_type(raw: &str) -> Option<&'static str> {
    let raw = raw.trim();
    LOGIN_SUB_TYPES
        .iter()
        .find(|t| {
            spells(raw, "", &t.api_name, &t.labels)
                || (!t.code.is_empty() && t.code.eq_ignore_ascii_case(raw))
        })
        .map(|t| t.api_name.as_str())
}

/// Name of a session type (`UI`, `TempUIFrontdoor`, …) given as letter, name or long form.
pub fn session_type(raw: &str) -> Option<&'static str> {
    canonical(CodedField::SessionType, raw)
}

/// One spelling of a coded value: `Standard` for `S`, `standard` and `Standard(db=S,api=…)`.
/// `None` when the value is not listed. For login types see [`login_type`].
pub fn canonical(field: CodedField, raw: &str) -> Option<&'static str> {
    let raw = long_form_name(raw.trim());
    CODES
        .iter()
        .filter(|c| c.field == field.as_str())
        .find(|c| spells(raw, &c.code, &c.canonical, &c.labels))
        .map(|c| c.canonical.as_str())
}

/// `Standard` of `Standard(db=S,api=Standard)`; other text unchanged.
fn long_form_name(raw: &str) -> &str {
    match raw.split_once("(db=") {
        Some((name, rest)) if rest.contains(",api=") && rest.ends_with(')') => name.trim(),
        _ => raw,
    }
}

fn spells(raw: &str, code: &str, name: &str, labels: &str) -> bool {
    if raw.is_empty() {
        return false;
    }
    raw == code
        || (raw.chars().nth(1).is_some()
            && std::iter::once(name)
                .chain(labels.split('|'))
                .any(|spelling| spelling.eq_ignore_ascii_case(raw)))
}

/// What became of a login attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    /// A second factor or a device activation was asked for.
    Challenge,
    Failure,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Challenge => "challenge",
            Outcome::Failure => "failure",
        }
    }
}

/// Why a login attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailClass {
    BadCredential,
    UnknownUser,
    /// The credential was right and another control held.
    ValidCredentialBlocked,
    AccountState,
    OauthError,
    SamlError,
    Platform,
    Other,
}

impl FailClass {
    pub fn as_str(self) -> &'static str {
        match self {
            FailClass::BadCredential => "bad_credential",
            FailClass::UnknownUser => "unknown_user",
            FailClass::ValidCredentialBlocked => "valid_credential_blocked",
            FailClass::AccountState => "account_state",
            FailClass::OauthError => "oauth_error",
            FailClass::SamlError => "saml_error",
            FailClass::Platform => "platform",
            FailClass::Other => "other",
        }
    }
}

#[derive(Deserialize)]
struct Status {
    code: String,
    texts: String,
    outcome: Outcome,
    fail_class: Option<FailClass>,
}

/// Outcome of LOGIN_STATUS or of LoginHistory's Status. Only `LOGIN_NO_ERROR` and `Success` are
/// success; what is not known is a failure.
pub fn outcome(raw: &str) -> Outcome {
    match status(raw) {
        Some(status) => status.outcome,
        None if raw.trim().starts_with("LOGIN_CHALLENGE_") => Outcome::Challenge,
        None => Outcome::Failure,
    }
}

/// Why an attempt failed; `None` for a success or a challenge. A code that is not listed is
/// classed by the family that its name states.
pub fn fail_class(raw: &str) -> Option<FailClass> {
    if outcome(raw) != Outcome::Failure {
        return None;
    }
    Some(match status(raw) {
        Some(status) => status.fail_class.unwrap_or(FailClass::Other),
        None if raw.trim().starts_with("LOGIN_OAUTH_") => FailClass::OauthError,
        None if raw.trim().starts_with("LOGIN_SAML_") => FailClass::SamlError,
        None => FailClass::Other,
    })
}

/// The ELF code of a status given as code or as LoginHistory's text, for rules that name codes.
/// Where two codes share a text the more common one is meant.
pub fn status_code(raw: &str) -> Option<&'static str> {
    status(raw).map(|s| s.code.as_str())
}

fn status(raw: &str) -> Option<&'static Status> {
    let at = *STATUS_INDEX.get(&status_key(raw))?;
    STATUSES.get(at)
}

/// Statuses are compared without case, a leading `Failed:` and a full stop at the end.
fn status_key(raw: &str) -> String {
    let text = raw.trim().trim_end_matches('.').to_lowercase();
    text.strip_prefix("failed:")
        .unwrap_or(&text)
        .trim()
        .to_owned()
}

/// Who stands behind a USER_TYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserKind {
    Guest,
    /// Automated Process and Salesforce's own integration user.
    InternalSystem,
    Human,
}

impl UserKind {
    /// The role that it implies where the registry declares none.
    pub fn as_str(self) -> &'static str {
        match self {
            UserKind::Guest => "guest",
            UserKind::InternalSystem => "internal_system",
            UserKind::Human => "human",
        }
    }
}

/// Who stands behind a USER_TYPE given as letter, name or long form; a person if it is not known.
pub fn user_kind(user_type: &str) -> UserKind {
    match canonical(CodedField::UserType, user_type) {
        Some("Guest") => UserKind::Guest,
        Some("AutomatedProcess" | "CloudIntegrationUser") => UserKind::InternalSystem,
        _ => UserKind::Human,
    }
}

/// Substrings of a lower-case User-Agent and the family they mean; tools before browsers, whose
/// strings many tools borrow.
const CLIENTS: [(&str, &str); 37] = [
    ("postman", "postman"),
    ("insomnia", "postman"),
    ("powershell", "powershell"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("python", "python"),
    ("aiohttp", "python"),
    ("httpx", "python"),
    ("simple-salesforce", "python"),
    ("jax-ws", "java"),
    ("okhttp", "java"),
    ("apache-httpclient", "java"),
    ("apache cxf", "java"),
    ("axis", "java"),
    ("jersey", "java"),
    ("jetty", "java"),
    ("mule", "java"),
    ("dataloader", "java"),
    ("data loader", "java"),
    ("jsforce", "node"),
    ("node", "node"),
    ("axios", "node"),
    ("undici", "node"),
    ("sfdx", "node"),
    ("go-http-client", "go"),
    ("ruby", "ruby"),
    ("faraday", "ruby"),
    ("php", "php"),
    ("guzzle", "php"),
    ("workbench", "php"),
    ("perl", "perl"),
    ("libwww", "perl"),
    (".net", "dotnet"),
    ("restsharp", "dotnet"),
    ("web services client protocol", "dotnet"),
    ("java/", "java"),
    ("java (", "java"),
];

/// Names with which a browser's string, raw or as LoginHistory shortens it, begins.
const BROWSERS: [&str; 14] = [
    "mozilla/",
    "chrome",
    "chromium",
    "headlesschrome",
    "firefox",
    "safari",
    "edge",
    "internet explorer",
    "msie",
    "ie ",
    "opera",
    "samsung",
    "brave",
    "vivaldi",
];

/// Family of a client by its User-Agent or by LoginHistory's Browser: `browser`, `java`,
/// `python`, `curl`, …, `code` for a bare number, `other`, `missing`. The caller chose the text:
/// good for grouping, never a proof.
pub fn ua_family(user_agent: Option<&str>) -> &'static str {
    let text = user_agent
        .unwrap_or_default()
        .trim()
        .trim_matches('"')
        .trim();
    if text.is_empty() || text.eq_ignore_ascii_case("N/A") {
        return "missing";
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return "code";
    }
    let text = text.to_lowercase();
    // Old Internet Explorer names the .NET runtimes of its machine.
    let names_runtimes = text.starts_with("mozilla/") && text.contains("msie");
    let tool = CLIENTS
        .iter()
        .find(|(mark, family)| text.contains(mark) && !(names_runtimes && *family == "dotnet"));
    match tool {
        Some((_, family)) => family,
        None if text == "java" => "java",
        None if BROWSERS.iter().any(|b| text.starts_with(b)) => "browser",
        None => "other",
    }
}

#[derive(Deserialize)]
struct SubType {
    code: String,
    api_name: String,
    labels: String,
}

#[derive(Deserialize)]
struct Code {
    field: String,
    code: String,
    canonical: String,
    labels: String,
}

static LOGIN_TYPES: LazyLock<Vec<LoginType>> =
    LazyLock::new(|| rows(include_str!("data/login_types.csv")));
static LOGIN_SUB_TYPES: LazyLock<Vec<SubType>> =
    LazyLock::new(|| rows(include_str!("data/login_sub_types.csv")));
static CODES: LazyLock<Vec<Code>> = LazyLock::new(|| rows(include_str!("data/codes.csv")));
static STATUSES: LazyLock<Vec<Status>> =
    LazyLock::new(|| rows(include_str!("data/login_statuses.csv")));

static STATUS_INDEX: LazyLock<HashMap<String, usize>> = LazyLock::new(|| {
    let mut index = HashMap::new();
    for (at, status) in STATUSES.iter().enumerate() {
        let texts = status.texts.split('|').filter(|t| !t.is_empty());
        for spelling in std::iter::once(status.code.as_str()).chain(texts) {
            index.entry(status_key(spelling)).or_insert(at);
        }
    }
    index
});

fn rows<T: DeserializeOwned>(text: &str) -> Vec<T> {
    csv::Reader::from_reader(text.as_bytes())
        .into_deserialize()
        // The lists are compiled in, and a test reads each of them.
        .map(|row| row.expect("compiled-in CSV is valid"))
        .collect()
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;
