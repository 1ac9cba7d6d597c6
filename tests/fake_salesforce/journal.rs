//! What was asked of the fake: every request on every listener, without its secrets.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    Login,
    MyDomain,
    Tls,
    MutualTls,
    Evil,
    /// Not in the journal.
    Control,
}

/// A request.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub listener: Listener,
    pub method: String,
    pub path: String,
    /// Decoded; values of keys that carry credentials are replaced.
    pub query: Vec<(String, String)>,
    /// Names in lower case; of Authorization and Cookie only a digest.
    pub headers: Vec<(String, String)>,
    /// Which token it carried: 1 is the first that was ever issued.
    pub token: Option<usize>,
    pub body_length: usize,
    /// Keys of a form.
    pub form_keys: Vec<String>,
    /// Names of the certificate that the client showed.
    pub client: Option<String>,
    pub at: DateTime<Utc>,
    /// Status of the answer; 0 where there was none.
    pub status: u16,
    /// Whether a fault changed the answer.
    pub fault: bool,
}

impl Entry {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn soql(&self) -> Option<&str> {
        let mut query = self.query.iter();
        query.find(|(key, _)| key == "q").map(|(_, q)| q.as_str())
    }

    pub fn is_login(&self) -> bool {
        self.path == "/services/oauth2/token"
    }
}

#[derive(Debug, Default, Serialize)]
pub struct Journal {
    pub entries: Vec<Entry>,
    /// Rules that a client broke: a credential in a URL, a forbidden flow, a secret column.
    pub breaches: Vec<Breach>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// With the path.
    CredentialInUrl(String),
    /// Password grant, SOAP login.
    ForbiddenFlow(String),
    /// With the column.
    SecretColumn(String),
    /// A token, assertion or form at the evil listener.
    CredentialToStranger,
    /// A cookie that the org had set came back.
    CookieReturned,
}

/// Keys that must not stand in a URL.
pub fn credential_keys() -> BTreeSet<&'static str> {
    BTreeSet::from([
        "access_token",
        "assertion",
        "client_secret",
        "code",
        "code_verifier",
        "oauth_token",
        "password",
        "refresh_token",
        "sid",
        "token",
    ])
}

impl Journal {
    /// Requests whose path contains this.
    pub fn of(&self, path: &str) -> Vec<&Entry> {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.path.contains(path)).collect()
    }

    pub fn logins(&self) -> usize {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.is_login()).count()
    }

    /// Every query text that arrived, in order.
    pub fn queries(&self) -> Vec<&str> {
        self.entries.iter().filter_map(Entry::soql).collect()
    }

    pub fn at(&self, listener: Listener) -> Vec<&Entry> {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.listener == listener).collect()
    }
}
