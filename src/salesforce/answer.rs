//! What an answer that is no success means: the table of statuses and of Salesforce's own codes.
//!
//! Bodies come as a JSON array, a JSON object, a page of HTML from a proxy or a maintenance, XML,
//! or nothing at all. A code says more than its status, and is looked at first.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::hidden::Hidden;
use super::{Class, Retry, SalesforceError};

/// Longest code, in bytes.
const MAX_CODE: usize = 80;
pub(super) const SESSION_ENDED: &str = "INVALID_SESSION_ID";
/// Said with status 401 by a session that a new sign-in will not mend.
const NO_NEW_SESSION: [&str; 2] = [
    "not valid for use with the rest api",
    "connected app is not attached to agent",
];

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Said {
    pub status: u16,
    /// Of a redirect.
    pub location: Option<String>,
    pub wish: Option<Duration>,
    /// Its start.
    pub body: Vec<u8>,
}

/// Where it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Data,
    LogFile,
}

/// The words of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub code: Option<String>,
    pub message: String,
}

impl Words {
    pub(super) fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Self::without_code("without a word");
        }
        if text.starts_with('<') {
            return Self::of_markup(text);
        }
        match serde_json::from_str(text) {
            Ok(json) => Self::of_json(&json).unwrap_or_else(|| Self::without_code(text)),
            Err(_) => Self::without_code(text),
        }
    }

    /// None where it says nothing of an error.
    pub(super) fn of_json(json: &Value) -> Option<Self> {
        let entry = match json {
            Value::Array(entries) => entries.first()?,
            other => other,
        };
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let code = text("errorCode").or_else(|| text("error"))?;
        let message = text("message").or_else(|| text("error_description"));
        Some(Self {
            code: word(code),
            message: without_query(message.unwrap_or_default()).to_owned(),
        })
    }

    fn of_markup(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        if lower.contains("<html") || lower.starts_with("<!doctype") {
            return Self::without_code("with a page of HTML, as proxies and maintenance pages are");
        }
        let between = |tag: &str| {
            let start = text.find(&format!("<{tag}>"))? + tag.len() + 2;
            let length = text[start..].find('<')?;
            Some(&text[start..start + length])
        };
        let code = ["errorCode", "exceptionCode", "faultcode"];
        let code = code.into_iter().find_map(between);
        let message = ["message", "exceptionMessage", "faultstring"];
        let message = message.into_iter().find_map(between);
        Self {
            // `sf:` is the namespace of faults.
            code: code.and_then(|code| word(code.rsplit(':').next().unwrap_or(code))),
            message: message.unwrap_or("with XML").to_owned(),
        }
    }

    fn without_code(message: &str) -> Self {
        Self {
            code: None,
            message: message.to_owned(),
        }
    }

    fn says(&self, part: &str) -> bool {
        self.message.to_ascii_lowercase().contains(part)
    }
}

/// A message about a query without the query, which stands before what is wrong with it.
fn without_query(message: &str) -> &str {
    let place = message.rfind("ERROR at Row:");
    place.map_or(message, |place| &message[place..])
}

fn word(code: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let is_word = !code.is_empty() && code.len() <= MAX_CODE && code.bytes().all(fits);
    is_word.then(|| code.to_owned())
}

/// Whether a new sign-in may help.
pub(super) fn is_session_over(said: &Said, words: &Words) -> bool {
    if NO_NEW_SESSION.iter().any(|part| words.says(part)) {
        return false;
    }
    match words.code.as_deref() {
        Some(SESSION_ENDED) => said.status != 200,
        Some(code) => said.status == 401 && code.starts_with("INVALID_AUTH"),
        None => said.status == 401,
    }
}

const FIX_SESSION: &str = "look at the app's session policies, and whether something ends the sessions of this program's user";
const FIX_APP: &str =
    "the app's sessions cannot use the REST API: look at its OAuth scopes (api) and policies";
const FIX_MTLS: &str = "the user must sign in with a client certificate: add [salesforce.mtls], and upload the certificate in Setup > Certificate and Key Management > Upload Mutual Authentication Certificate";
const FIX_API: &str = "the org's edition or the user has no API: give the user the permission API Enabled, or ask Salesforce to enable it";
const FIX_LIMIT: &str = "the org's API calls of 24 hours are used up: the next run goes on; find who uses them in Setup > Company Information";
const FIX_CROWD: &str = "too many long requests run in the org at one time: the next run goes on; move it to a quieter hour";
const FIX_RATE: &str = "the user signs in too often: the next run goes on; look in Setup > Login History who else signs in as it";
const FIX_RIGHTS: &str = "give the user of this program the permission that reading it needs; an edition without the feature has no such object";
const FIX_LARGE: &str = "a shorter span of time is asked for by itself";
const FIX_QUERY: &str = "this is a fault of the program; please report it";
const FIX_PASSING: &str =
    "the next run tries again; https://status.salesforce.com tells of outages and maintenance";
const FIX_VERSION: &str =
    "set `api_version` to one that the org serves; `orgwatch doctor` names them";
const FIX_NOT_FOUND: &str =
    "check `login_url`, and `api_version`; `orgwatch doctor` names those that the org serves";
const FIX_GONE: &str = "the org keeps log files for a day or for 30; one that has just been made may not be there yet, and the next run asks again";
const FIX_REDIRECT: &str = "no redirect is followed; set `login_url` to the org's My Domain, which Setup > My Domain shows, and check for a proxy in between";

/// The error that an answer is.
pub(super) fn refused(said: &Said, words: Words, asked: Asked, hidden: &Hidden) -> SalesforceError {
    let (class, retry, fix) = meaning(said.status, &words, asked);
    SalesforceError::Refused {
        class,
        status: said.status,
        what: told(said, &words, hidden),
        code: words.code,
        fix: Cow::Borrowed(fix),
        retry: retry.wishing(said.wish),
    }
}

/// `the org answers 403 REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.`
pub(super) fn told(said: &Said, words: &Words, hidden: &Hidden) -> String {
    let status = said.status;
    if let Some(location) = &said.location {
        let target = location.parse::<reqwest::Url>().ok();
        let host = target.as_ref().and_then(|url| url.host_str());
        let to = hidden.shown(host.unwrap_or("another address"));
        return format!("the org answers {status} and points to {to}, which was not followed");
    }
    let message = hidden.shown(&words.message);
    match &words.code {
        Some(code) if message.is_empty() => format!("the org answers {status} {code}"),
        Some(code) => format!("the org answers {status} {code}: {message}"),
        None => format!("the org answers {status}: {message}"),
    }
}

/// Class, repetition and what to do.
fn meaning(status: u16, words: &Words, asked: Asked) -> (Class, Retry, &'static str) {
    use Class::{Config, Gone, Passing, Protocol, Throttled, TooLarge, Unreadable};
    const NEVER: Retry = Retry::Never;
    let backoff = |most| Retry::Backoff { most };
    if NO_NEW_SESSION.iter().any(|part| words.says(part)) {
        return (Config, NEVER, FIX_APP);
    }
    match words.code.as_deref().unwrap_or_default() {
        "REQUEST_LIMIT_EXCEEDED" if words.says("concurrent") => {
            return (Throttled, Retry::Crowded, FIX_CROWD);
        }
        "REQUEST_LIMIT_EXCEEDED" => return (Throttled, NEVER, FIX_LIMIT),
        "LOGIN_RATE_EXCEEDED" => return (Throttled, NEVER, FIX_RATE),
        "QUERY_TIMEOUT" | "OPERATION_TOO_LARGE" => return (TooLarge, NEVER, FIX_LARGE),
        "MUTUAL_AUTHENTICATION_FAILED" => return (Config, NEVER, FIX_MTLS),
        "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" => return (Config, NEVER, FIX_API),
        "URL_NOT_RESET" => return (Config, NEVER, FIX_NOT_FOUND),
        SESSION_ENDED => return (Config, NEVER, FIX_SESSION),
        "INVALID_FIELD"
        | "INVALID_TYPE"
        | "INVALIDENTITY"
        | "INSUFFICIENT_ACCESS"
        | "INSUFFICIENT_ACCESS_OR_READONLY"
        | "FUNCTIONALITY_NOT_ENABLED"
        | "TXN_SECURITY_METERING_ERROR" => return (Unreadable, NEVER, FIX_RIGHTS),
        "MALFORMED_QUERY" | "MALFORMED_ID" | "INVALID_QUERY_LOCATOR" => {
            return (Protocol, NEVER, FIX_QUERY);
        }
        "SERVER_UNAVAILABLE" => return (Passing, backoff(5), FIX_PASSING),
        _ => {}
    }
    match status {
        300..=399 => (Protocol, NEVER, FIX_REDIRECT),
        // With a code that this table does not know.
        200..=299 if words.code.is_some() => (Unreadable, NEVER, FIX_RIGHTS),
        401 => (Config, NEVER, FIX_SESSION),
        400 | 403 => (Unreadable, NEVER, FIX_RIGHTS),
        404 if asked == Asked::LogFile => (Gone, NEVER, FIX_GONE),
        404 => (Config, NEVER, FIX_NOT_FOUND),
        406 | 408 => (Passing, backoff(5), FIX_PASSING),
        410 => (Config, NEVER, FIX_VERSION),
        420 => (Passing, backoff(2), FIX_PASSING),
        429 => (Throttled, backoff(5), FIX_PASSING),
        502..=504 => (Passing, backoff(5), FIX_PASSING),
        500..=599 => (Passing, backoff(3), FIX_PASSING),
        _ => (Protocol, NEVER, FIX_QUERY),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
