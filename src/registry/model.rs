//! The entries of a registry.

use chrono::NaiveDate;
use ipnet::IpNet;

pub use crate::clock::{OPEN_FROM, OPEN_TO, Validity};
use crate::config::{Position, UserRef};

use super::schedule::{Cadence, Hours};

/// The doors through which a login can come: values of `login_path`, and the words of `flows`.
pub const LOGIN_PATHS: [&str; 19] = [
    "ui_password",
    "ui_sso",
    "ui_passwordless",
    "ui_other",
    "portal",
    "soap_login",
    "oauth_web_server",
    "oauth_user_agent",
    "oauth_username_password",
    "oauth_refresh",
    "oauth_client_credentials",
    "oauth_token_exchange",
    "oauth_otp",
    "oauth_bearer",
    "oauth1",
    "saml_web_assertion",
    "certificate",
    "internal",
    "unmapped",
];

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Integration,
    ApiNamed,
    Guest,
    InternalSystem,
    Ci,
    HumanAdmin,
    Human,
}

impl Role {
    pub const ALL: [Role; 7] = [
        Role::Integration,
        Role::ApiNamed,
        Role::Guest,
        Role::InternalSystem,
        Role::Ci,
        Role::HumanAdmin,
        Role::Human,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Integration => "integration",
            Role::ApiNamed => "api_named",
            Role::Guest => "guest",
            Role::InternalSystem => "internal_system",
            Role::Ci => "ci",
            Role::HumanAdmin => "human_admin",
            Role::Human => "human",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }
}

/// Something declared, with the time for which it holds: its own within that of its entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared<T> {
    pub value: T,
    pub valid: Validity,
    pub ticket: Option<String>,
    pub at: Position,
}

/// An app by name, by id, or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedApp {
    pub name: Option<String>,
    /// 18 characters.
    pub id: Option<String>,
}

/// One `[[user]]` entry.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryUser {
    /// Trimmed, lower case. At least one of `username` and `user_id` is there.
    pub username: Option<String>,
    /// 18 characters.
    pub user_id: Option<String>,
    pub role: Role,
    pub system: Option<String>,
    pub owner: Option<String>,
    /// Where its logins and calls may come from. Nothing declared where empty.
    pub networks: Vec<Declared<IpNet>>,
    /// Nothing declared where empty.
    pub apps: Vec<Declared<AllowedApp>>,
    /// Words of [`LOGIN_PATHS`]. Nothing declared where empty.
    pub flows: Vec<Declared<&'static str>>,
    /// Whether traffic from Salesforce's own hops is expected.
    pub allow_salesforce_ip: bool,
    /// For guests: addresses of the gateway through which public calls must come.
    pub gateway_networks: Vec<Declared<IpNet>>,
    /// UI page templates that an approved app opens under this user.
    pub allow_ui_paths: Vec<Declared<String>>,
    /// Programs made for people that this user may run. Nothing declared where empty.
    pub tools: Vec<Declared<String>>,
    /// Apex endpoints that it may call, ids written as `*`. Nothing declared where empty.
    pub endpoints: Vec<Declared<String>>,
    /// When it works, UTC. Nothing declared where empty.
    pub hours: Vec<Declared<Hours>>,
    /// Whether it shows a client certificate with each connection.
    pub mtls: bool,
    pub cadence: Option<Cadence>,
    /// Longest time without a sign of life, in minutes.
    pub max_silence_minutes: Option<i64>,
    /// Day by which somebody looks at the entry again.
    pub review: Option<NaiveDate>,
    pub valid: Validity,
    pub ticket: Option<String>,
    pub at: Position,
}

impl RegistryUser {
    /// How people call it: the username where there is one.
    pub fn name(&self) -> &str {
        self.username
            .as_deref()
            .or(self.user_id.as_deref())
            .unwrap_or_default()
    }
}

/// One `[[app]]` entry: an app that the org knows and accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct OrgApp {
    pub name: String,
    /// 18 characters.
    pub id: Option<String>,
    pub vendor: Option<String>,
    pub grant: Option<String>,
    /// The system that owns the app.
    pub system: Option<String>,
    /// Whether it is a mobile app of people's, built with Salesforce's Mobile SDK.
    pub mobile_sdk: bool,
    /// Users for whom the app may get tokens by itself.
    pub subjects: Vec<UserRef>,
    pub valid: Validity,
    pub ticket: Option<String>,
    pub at: Position,
}

/// `[org]`: what holds for the org as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OrgDeclared {
    /// Names of the locked-down profiles that integration users are on.
    pub base_profiles: Vec<Declared<String>>,
    /// Users that read the event log files as their work.
    pub log_readers: Vec<Declared<UserRef>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    Consent,
    Breakglass,
    Maintenance,
}

impl WindowKind {
    pub const ALL: [WindowKind; 3] = [
        WindowKind::Consent,
        WindowKind::Breakglass,
        WindowKind::Maintenance,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            WindowKind::Consent => "consent",
            WindowKind::Breakglass => "breakglass",
            WindowKind::Maintenance => "maintenance",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// One `[[window]]` entry: an exception for one user in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub kind: WindowKind,
    pub user: UserRef,
    pub valid: Validity,
    /// Where the exception holds; everywhere where empty.
    pub networks: Vec<IpNet>,
    pub ticket: Option<String>,
    pub at: Position,
}
