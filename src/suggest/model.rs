//! What the logs and the roster show of an account.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, Utc};

/// UTC days.
pub type Days = BTreeSet<NaiveDate>;

/// When something was seen, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    pub days: Days,
    pub logins: u64,
    pub calls: u64,
}

impl Sight {
    pub fn add(&mut self, other: &Sight) {
        self.days.extend(&other.days);
        self.logins += other.logins;
        self.calls += other.calls;
    }

    pub fn events(&self) -> u64 {
        self.logins + self.calls
    }

    pub fn first(&self) -> Option<NaiveDate> {
        self.days.first().copied()
    }

    pub fn last(&self) -> Option<NaiveDate> {
        self.days.last().copied()
    }
}

/// One connected app: by its id where a call showed it, else by its label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// 18 characters.
    pub id: Option<String>,
    /// Labels as written, the commonest first.
    pub labels: Vec<String>,
    /// The commonest label without regard to case and blanks: what [`label_key`] makes of it.
    pub name_key: Option<String>,
    /// Form of the label that look-alike letters do not change.
    pub shape: Option<String>,
    pub sight: Sight,
}

/// A label without regard to case and blanks. Letters that merely look alike stay apart.
pub fn label_key(label: &str) -> String {
    let words: Vec<&str> = label.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// One login path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    pub is_ui: bool,
    pub sight: Sight,
    /// Some of the addresses.
    pub ips: Vec<String>,
}

/// Why an account counts as a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// Named by the caller; no mark of a machine.
    pub wanted: bool,
    pub behaviour: bool,
    pub machine_paths: bool,
    /// The night's own judgement.
    pub inferred: bool,
    pub integration_licence: bool,
    pub api_only: bool,
}

impl Marks {
    pub fn is_machine(&self) -> bool {
        self.behaviour
            || self.machine_paths
            || self.inferred
            || self.integration_licence
            || self.api_only
    }
}

/// What the roster says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InRoster {
    pub is_active: bool,
}

/// One account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// User id in 18 characters, else the username in lower case.
    pub key: String,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub marks: Marks,
    pub roster: Option<InRoster>,
    /// Apps that hold OAuth tokens for it, by the roster.
    pub token_apps: Vec<String>,
    pub logins: u64,
    pub calls: u64,
    pub bulk_jobs: u64,
    pub ui_logins: u64,
    pub active_days: u64,
    pub ui_days: u64,
    pub hours_of_day: u64,
    pub weekdays: u64,
    pub first_at: Option<DateTime<Utc>>,
    pub last_at: Option<DateTime<Utc>>,
    pub addresses: BTreeMap<IpAddr, Sight>,
    /// Traffic from Salesforce's own addresses.
    pub salesforce: Sight,
    /// By id, then by label.
    pub apps: Vec<App>,
    pub flows: BTreeMap<String, Flow>,
    /// (weekday 1 = Monday, hour UTC) and on how many days.
    pub slots: BTreeMap<(u8, u8), u64>,
    /// Lengths of the pauses in minutes, and how many of each.
    pub pauses: BTreeMap<u64, u64>,
}

impl Account {
    /// Every day with work of it.
    pub fn days(&self) -> Days {
        let seen = self.addresses.values().chain([&self.salesforce]);
        let flows = self.flows.values().map(|flow| &flow.sight);
        seen.chain(flows)
            .flat_map(|sight| sight.days.iter().copied())
            .collect()
    }

    /// How people call it.
    pub fn name(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.key)
    }
}

/// An account of the platform, or a guest of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct PlatformAccount {
    pub key: String,
    pub user_id: Option<String>,
    pub username: Option<String>,
    /// `guest` or `internal_system`.
    pub role: String,
    pub events: u64,
    pub first_at: Option<DateTime<Utc>>,
    pub last_at: Option<DateTime<Utc>>,
}

/// All that is known of the machines of an org over some days.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reality {
    /// By key.
    pub accounts: Vec<Account>,
    pub platform: Vec<PlatformAccount>,
    /// Days with any login or call by anybody.
    pub covered: Days,
    /// Every user of the newest roster by key and by username in lower case; none without a roster.
    pub roster: Option<BTreeMap<String, InRoster>>,
}

impl Reality {
    /// Whether any of these keys is an account that was seen.
    pub fn knows(&self, keys: &[String]) -> bool {
        let machines = self.accounts.iter().map(|account| &account.key);
        let platform = self.platform.iter().map(|account| &account.key);
        machines.chain(platform).any(|key| keys.contains(key))
    }
}
