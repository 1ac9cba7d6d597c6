//! What the fake org is and holds: its users, apps, sessions, log files, rows and open cursors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::clock::Clock;
use super::faults::Faults;
use super::ids;
use super::journal::Journal;
use super::log_files::Blob;
use super::objects::Objects;
use super::quirks::Quirks;

/// The whole fake org. Tests change it through `FakeSf::with`.
pub struct State {
    pub clock: Clock,
    /// What the `Date` header says more than the clock.
    pub skew: TimeDelta,
    pub org: Org,
    pub users: Vec<User>,
    pub apps: Vec<App>,
    /// All tokens ever issued, oldest first.
    pub tokens: Vec<Token>,
    /// All refresh tokens ever issued. Nothing is given for them here: they can be revoked.
    pub refresh_tokens: Vec<RefreshToken>,
    /// All authorization codes ever issued.
    pub codes: Vec<Code>,
    /// The keys by which clients proved that a code is theirs.
    pub verifiers: Vec<String>,
    pub log_files: Vec<Elf>,
    /// Rows by object; EventLogFile's come from `log_files`.
    pub rows: BTreeMap<String, Vec<Row>>,
    pub objects: Objects,
    /// By profile id: start, end, description.
    pub login_ip_ranges: BTreeMap<String, Vec<(String, String, String)>>,
    pub cursors: VecDeque<Cursor>,
    pub faults: Faults,
    pub journal: Journal,
    pub quirks: Quirks,
    pub addresses: Addresses,
    /// Of ids, tokens and locators.
    pub counter: u64,
}

pub struct Org {
    /// Eighteen characters.
    pub id: String,
    /// Versions that are served; lower ones are retired, higher ones unknown.
    pub versions: std::ops::RangeInclusive<u32>,
    pub api_usage: u64,
    pub api_limit: u64,
    /// `; per-app-api-usage=…` of the usage header.
    pub app_usage: Option<String>,
    pub hourly: bool,
    /// How long a log file stays after it was made.
    pub retention: TimeDelta,
}

pub struct User {
    pub id: String,
    pub username: String,
    pub active: bool,
    pub frozen: bool,
    pub profile_id: String,
    /// Permissions by their API names without the prefix: `ViewEventLogFiles`.
    pub permissions: BTreeSet<String>,
    /// Data calls need a client certificate.
    pub mutual_tls: bool,
    /// When it logged in, for the hourly limit.
    pub logins: Vec<DateTime<Utc>>,
}

impl User {
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }
}

pub struct App {
    pub consumer_key: String,
    pub secret: String,
    /// Public key of the uploaded certificate, PEM.
    pub public_key: String,
    pub kind: AppKind,
    pub jwt: bool,
    pub client_credentials: bool,
    /// A person in a browser may sign in by a code.
    pub web_server: bool,
    /// That flow needs the secret, and a challenge by S256.
    pub secret_required: bool,
    pub pkce_required: bool,
    /// Where a browser may be sent back to.
    pub callback_urls: BTreeSet<String>,
    pub permitted: Permitted,
    /// Usernames that an administrator approved or that approved it themselves.
    pub approved: BTreeSet<String>,
    /// User of the client credentials flow.
    pub run_as: Option<String>,
    pub scopes: String,
    pub session: TimeDelta,
    /// The caller's address is outside of the app's ranges.
    pub address_refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppKind {
    Connected,
    External,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permitted {
    SelfAuthorise,
    AdminApproved,
}

pub struct Token {
    pub value: String,
    pub user_id: String,
    pub app: String,
    pub issued: DateTime<Utc>,
    pub last_used: DateTime<Utc>,
    pub lifetime: TimeDelta,
    pub revoked: bool,
}

pub struct RefreshToken {
    pub value: String,
    pub revoked: bool,
}

pub struct Code {
    pub value: String,
    pub app: usize,
    pub username: String,
    pub redirect_uri: String,
    /// BASE64URL of the SHA-256 of the verifier.
    pub challenge: Option<String>,
    pub scopes: String,
    pub issued: DateTime<Utc>,
    pub used: bool,
}

/// A version of a log file. A re-issued one is a further entry with the same id, made later.
#[derive(Debug, Clone)]
pub struct Elf {
    pub id: String,
    pub event_type: String,
    /// Start of its day or hour.
    pub log_date: DateTime<Utc>,
    pub hourly: bool,
    pub sequence: u32,
    pub created: DateTime<Utc>,
    pub body: Blob,
    /// What the list says about its length, where that is not the truth.
    pub claimed_length: Option<u64>,
    pub state: ElfState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElfState {
    Ready,
    /// Listed, and until then not there, or there with its first bytes only.
    Writing {
        ready_at: DateTime<Utc>,
        shows: Option<u64>,
    },
    /// Listed, and gone.
    Gone,
}

/// A row of an object, seen from one time until another.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    /// Fields of parents under dotted names.
    pub fields: Map<String, Value>,
}

pub struct Cursor {
    /// Without the offset.
    pub locator: String,
    pub user_id: String,
    pub records: Arc<Vec<Value>>,
    pub total: usize,
    /// Rows on a page at most, as the object has it.
    pub cap: usize,
    pub created: DateTime<Utc>,
}

/// Where the listeners are; without a slash at the end.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pub login: String,
    pub my_domain: String,
    pub tls: String,
    pub mutual_tls: String,
    pub evil: String,
    pub control: String,
}

impl State {
    /// A number that was never given before.
    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub fn new_id(&mut self, prefix: &str) -> String {
        let number = self.next();
        ids::id(prefix, number)
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn user(&self, username: &str) -> Option<&User> {
        let mut users = self.users.iter();
        users.find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The user of that name. Panics where there is none.
    pub fn user_mut(&mut self, username: &str) -> &mut User {
        let mut users = self.users.iter_mut();
        users
            .find(|user| user.username.eq_ignore_ascii_case(username))
            .expect("a user of that name")
    }

    /// The one integration that scenarios begin with.
    pub fn integration(&mut self) -> &mut User {
        &mut self.users[0]
    }

    pub fn app(&mut self) -> &mut App {
        &mut self.apps[0]
    }

    /// An org without hourly log files, and without the columns that tell them apart.
    pub fn drop_hourly(&mut self) {
        self.org.hourly = false;
        self.objects.take_away("EventLogFile", "Interval");
        self.objects.take_away("EventLogFile", "Sequence");
    }

    /// Ends all sessions: the next call with any token so far is refused.
    pub fn end_sessions(&mut self) {
        for token in &mut self.tokens {
            token.revoked = true;
        }
    }

    /// Adds a log file made at `created`, and returns its id.
    pub fn add_log_file(
        &mut self,
        event_type: &str,
        log_date: DateTime<Utc>,
        sequence: u32,
        created: DateTime<Utc>,
        body: Blob,
    ) -> String {
        let id = self.new_id("0AT");
        self.log_files.push(Elf {
            id: id.clone(),
            event_type: event_type.to_owned(),
            log_date,
            hourly: sequence > 0,
            sequence,
            created,
            body,
            claimed_length: None,
            state: ElfState::Ready,
        });
        id
    }

    /// Makes a file anew: same id, other content, made at `created`.
    pub fn reissue(&mut self, id: &str, created: DateTime<Utc>, body: Blob) {
        let mut all = self.log_files.iter().rev();
        let old = all.find(|elf| elf.id == id).expect("a file with that id");
        let new = Elf {
            created,
            body,
            claimed_length: None,
            state: ElfState::Ready,
            ..old.clone()
        };
        self.log_files.push(new);
    }

    /// Newest version of that file. Panics where there is none.
    pub fn log_file_mut(&mut self, id: &str) -> &mut Elf {
        let mut all = self.log_files.iter_mut().rev();
        all.find(|elf| elf.id == id).expect("a file with that id")
    }

    fn is_visible(&self, file: &Elf) -> bool {
        let now = self.now();
        file.created <= now && now < file.created + self.org.retention
    }

    /// The files that the org shows now, each in its newest version.
    pub fn visible_log_files(&self) -> Vec<&Elf> {
        let mut newest: BTreeMap<&str, (usize, &Elf)> = BTreeMap::new();
        let visible = self.log_files.iter().filter(|file| self.is_visible(file));
        for (place, file) in visible.enumerate() {
            let held = newest.entry(&file.id).or_insert((place, file));
            if held.1.created <= file.created {
                held.1 = file;
            }
        }
        let mut files: Vec<(usize, &Elf)> = newest.into_values().collect();
        files.sort_by_key(|(place, _)| *place);
        files.into_iter().map(|(_, file)| file).collect()
    }

    /// The file of that id, 15 or 18 characters, in its newest version.
    pub fn visible_log_file(&self, id: &str) -> Option<&Elf> {
        let versions = self.log_files.iter().filter(|file| ids::same(&file.id, id));
        versions
            .filter(|file| self.is_visible(file))
            .max_by_key(|file| file.created)
    }

    /// Adds rows that are there at any time; each is a JSON object.
    pub fn add_rows(&mut self, object: &str, rows: impl IntoIterator<Item = Value>) {
        let rows = rows.into_iter().map(|row| match row {
            Value::Object(fields) => Row {
                fields,
                ..Row::default()
            },
            _ => panic!("a row is a JSON object"),
        });
        self.rows.entry(object.to_owned()).or_default().extend(rows);
    }

    /// The rows of an object that are there now.
    pub fn visible_rows(&self, object: &str) -> impl Iterator<Item = &Row> {
        let now = self.now();
        let rows = self.rows.get(object).into_iter().flatten();
        rows.filter(move |row| {
            row.from.is_none_or(|from| from <= now) && row.until.is_none_or(|until| now < until)
        })
    }
}
