//! Asks the lake what its machines do: the questions in `queries/suggest`, one pass over each view.

use std::collections::BTreeMap;
use std::net::IpAddr;

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;

use super::SuggestError;
use super::apps::{SeenApp, apps_of};
use super::criteria::Criteria;
use super::model::{Account, Flow, InRoster, Marks, PlatformAccount, Reality, Sight};
use super::rows::Rows;
use crate::engine::{Params, Session};

const ACCOUNTS: &str = include_str!("../../queries/suggest/accounts.sql");
const ADDRESSES: &str = include_str!("../../queries/suggest/addresses.sql");
const APPS: &str = include_str!("../../queries/suggest/apps.sql");
const FLOWS: &str = include_str!("../../queries/suggest/flows.sql");
const RHYTHM: &str = include_str!("../../queries/suggest/rhythm.sql");
const COVERAGE: &str = include_str!("../../queries/suggest/coverage.sql");
const PLATFORM: &str = include_str!("../../queries/suggest/platform.sql");
const ROSTER: &str = include_str!("../../queries/suggest/roster.sql");

/// The span of time that is looked at, and by what an account is a machine.
#[derive(Debug, Clone)]
pub struct Question {
    pub since: DateTime<Utc>,
    /// The first moment that does not count.
    pub until: DateTime<Utc>,
    /// By which roster to judge.
    pub now: DateTime<Utc>,
    pub criteria: Criteria,
    /// Keys of accounts to tell about whatever they do.
    pub wanted: Vec<String>,
}

impl Question {
    fn params(&self) -> Params {
        Params::new()
            .with_time("since", self.since)
            .with_time("until", self.until)
            .with_time("now", self.now)
    }
}

/// Observes an org. `session` must have been opened without a registry: what is declared is no
/// evidence of what is.
pub fn observe(session: &Session, question: &Question) -> Result<Reality, SuggestError> {
    let roster = roster(session, question)?;
    let mut accounts = accounts(session, question, roster.as_ref())?;
    let keys = texts(accounts.keys().cloned());
    let details = question.params().with("keys", keys);
    add_addresses(session, &details, &mut accounts)?;
    add_apps(session, &details, &mut accounts)?;
    add_flows(session, &details, &mut accounts)?;
    add_rhythm(session, &details, &mut accounts)?;
    let mut covered = Default::default();
    for rows in Rows::ask(session, COVERAGE, &question.params())? {
        let days = rows.dates("day")?;
        covered = &covered | &days;
    }
    Ok(Reality {
        accounts: accounts.into_values().collect(),
        platform: platform(session, question)?,
        covered,
        roster: roster.map(by_every_name),
    })
}

struct RosterUser {
    user_id: Option<String>,
    username: Option<String>,
    state: InRoster,
    integration_licence: bool,
    api_only: bool,
    is_platform: bool,
    token_apps: Vec<String>,
}

/// The newest roster; none where the lake has none.
fn roster(
    session: &Session,
    question: &Question,
) -> Result<Option<BTreeMap<String, RosterUser>>, SuggestError> {
    let tables = session.tables();
    let has = |name: &str| tables.iter().any(|table| table == name);
    if !["users", "permissions", "oauth_tokens"]
        .into_iter()
        .all(has)
    {
        return Ok(None);
    }
    let mut roster = BTreeMap::new();
    for rows in Rows::ask(session, ROSTER, &question.params())? {
        let key = rows.text("user_key")?;
        let user_id = rows.text("user_id")?;
        let username = rows.text("username")?;
        let is_active = rows.flag("is_active")?;
        let licence = rows.flag("has_integration_licence")?;
        let api_only = rows.flag("is_api_only")?;
        let is_platform = rows.flag("is_platform_user")?;
        let token_apps = rows.text_list("token_apps")?;
        for row in 0..rows.len() {
            let Some(key) = key(row) else { continue };
            let user = RosterUser {
                user_id: user_id(row),
                username: username(row),
                state: InRoster {
                    is_active: is_active(row),
                },
                integration_licence: licence(row),
                api_only: api_only(row),
                is_platform: is_platform(row),
                token_apps: token_apps(row),
            };
            roster.insert(key, user);
        }
    }
    // Views without a row: no roster was ever read.
    Ok((!roster.is_empty()).then_some(roster))
}

/// By key and by username: an entry may know its user by either.
fn by_every_name(roster: BTreeMap<String, RosterUser>) -> BTreeMap<String, InRoster> {
    let mut names: BTreeMap<String, InRoster> = BTreeMap::new();
    for (key, user) in roster {
        for name in [Some(key), user.username].into_iter().flatten() {
            let state = names.entry(name).or_insert(user.state);
            state.is_active |= user.state.is_active;
        }
    }
    names
}

fn accounts(
    session: &Session,
    question: &Question,
    roster: Option<&BTreeMap<String, RosterUser>>,
) -> Result<BTreeMap<String, Account>, SuggestError> {
    let is_marked = |user: &RosterUser| {
        user.state.is_active && !user.is_platform && (user.integration_licence || user.api_only)
    };
    let marked = roster
        .into_iter()
        .flatten()
        .filter(|(_, user)| is_marked(user));
    let keys = marked.clone().map(|(key, _)| key.clone());
    let keys = texts(question.wanted.iter().cloned().chain(keys));
    let params = question
        .criteria
        .bind(question.params(), question.until)
        .with("keys", keys);
    let mut accounts = BTreeMap::new();
    for rows in Rows::ask(session, ACCOUNTS, &params)? {
        for row in 0..rows.len() {
            if let Some(account) = account(&rows, row, question)? {
                accounts.insert(account.key.clone(), account);
            }
        }
    }
    for (key, user) in marked {
        let account: &mut Account = accounts.entry(key.clone()).or_default();
        account.key.clone_from(key);
        account.user_id = account.user_id.take().or_else(|| user.user_id.clone());
        account.username = account.username.take().or_else(|| user.username.clone());
        account.marks.integration_licence = user.integration_licence;
        account.marks.api_only = user.api_only;
    }
    for (key, account) in &mut accounts {
        if let Some(user) = roster.and_then(|roster| roster.get(key)) {
            account.roster = Some(user.state);
            account.token_apps.clone_from(&user.token_apps);
        }
    }
    Ok(accounts)
}

fn account(rows: &Rows, row: usize, question: &Question) -> Result<Option<Account>, SuggestError> {
    let Some(key) = rows.text("user_key")?(row) else {
        return Ok(None);
    };
    let marks = Marks {
        wanted: question.wanted.contains(&key),
        behaviour: rows.flag("works_like_a_machine")?(row),
        machine_paths: rows.flag("takes_machine_paths")?(row),
        inferred: rows.flag("is_inferred")?(row),
        ..Marks::default()
    };
    Ok(Some(Account {
        user_id: rows.text("user_id")?(row),
        username: rows.text("username")?(row),
        marks,
        logins: rows.count("logins")?(row),
        calls: rows.count("calls")?(row),
        bulk_jobs: rows.count("bulk_jobs")?(row),
        ui_logins: rows.count("ui_logins")?(row),
        active_days: rows.count("active_days")?(row),
        ui_days: rows.count("ui_days")?(row),
        hours_of_day: rows.count("hours_of_day")?(row),
        weekdays: rows.count("weekdays")?(row),
        first_at: rows.time("first_at")?(row),
        last_at: rows.time("last_at")?(row),
        key,
        ..Account::default()
    }))
}

fn sight(rows: &Rows, row: usize) -> Result<Sight, SuggestError> {
    Ok(Sight {
        days: rows.date_list("days")?(row),
        logins: rows.count("logins")?(row),
        calls: match rows.has("calls") {
            true => rows.count("calls")?(row),
            false => 0,
        },
    })
}

fn add_addresses(
    session: &Session,
    params: &Params,
    accounts: &mut BTreeMap<String, Account>,
) -> Result<(), SuggestError> {
    for rows in Rows::ask(session, ADDRESSES, params)? {
        let (key, ip, kind) = (
            rows.text("user_key")?,
            rows.text("ip")?,
            rows.text("ip_kind")?,
        );
        for row in 0..rows.len() {
            let Some(account) = key(row).and_then(|key| accounts.get_mut(&key)) else {
                continue;
            };
            let sight = sight(&rows, row)?;
            if kind(row).as_deref() == Some("salesforce") {
                account.salesforce.add(&sight);
            } else if let Some(ip) = ip(row).and_then(|ip| ip.parse::<IpAddr>().ok()) {
                account
                    .addresses
                    .entry(ip.to_canonical())
                    .or_default()
                    .add(&sight);
            }
        }
    }
    Ok(())
}

fn add_apps(
    session: &Session,
    params: &Params,
    accounts: &mut BTreeMap<String, Account>,
) -> Result<(), SuggestError> {
    let mut seen: BTreeMap<String, Vec<SeenApp>> = BTreeMap::new();
    for rows in Rows::ask(session, APPS, params)? {
        for row in 0..rows.len() {
            let Some(key) = rows.text("user_key")?(row) else {
                continue;
            };
            let app = SeenApp {
                id: rows.text("app_id")?(row),
                label: rows.text("app")?(row),
                shape: rows.text("shape")?(row),
                sight: sight(&rows, row)?,
            };
            seen.entry(key).or_default().push(app);
        }
    }
    for (key, seen) in seen {
        if let Some(account) = accounts.get_mut(&key) {
            account.apps = apps_of(seen);
        }
    }
    Ok(())
}

fn add_flows(
    session: &Session,
    params: &Params,
    accounts: &mut BTreeMap<String, Account>,
) -> Result<(), SuggestError> {
    for rows in Rows::ask(session, FLOWS, params)? {
        let (key, path) = (rows.text("user_key")?, rows.text("login_path")?);
        let (is_ui, ips) = (rows.flag("is_ui")?, rows.text_list("ips")?);
        for row in 0..rows.len() {
            let Some(account) = key(row).and_then(|key| accounts.get_mut(&key)) else {
                continue;
            };
            let path = path(row).unwrap_or_else(|| "unmapped".to_owned());
            let flow: &mut Flow = account.flows.entry(path).or_default();
            flow.is_ui |= is_ui(row);
            flow.sight.add(&sight(&rows, row)?);
            flow.ips.extend(ips(row));
        }
    }
    Ok(())
}

fn add_rhythm(
    session: &Session,
    params: &Params,
    accounts: &mut BTreeMap<String, Account>,
) -> Result<(), SuggestError> {
    for rows in Rows::ask(session, RHYTHM, params)? {
        let (key, kind) = (rows.text("user_key")?, rows.text("kind")?);
        let (weekday, hour) = (rows.count("weekday")?, rows.count("hour")?);
        let (minutes, seen) = (rows.count("minutes")?, rows.count("seen")?);
        for row in 0..rows.len() {
            let Some(account) = key(row).and_then(|key| accounts.get_mut(&key)) else {
                continue;
            };
            if kind(row).as_deref() == Some("pause") {
                account.pauses.insert(minutes(row), seen(row));
            } else if let (Ok(weekday), Ok(hour)) = (weekday(row).try_into(), hour(row).try_into())
            {
                account.slots.insert((weekday, hour), seen(row));
            }
        }
    }
    Ok(())
}

fn platform(session: &Session, question: &Question) -> Result<Vec<PlatformAccount>, SuggestError> {
    let mut all = vec![];
    for rows in Rows::ask(session, PLATFORM, &question.params())? {
        for row in 0..rows.len() {
            let (Some(key), Some(role)) = (rows.text("user_key")?(row), rows.text("role")?(row))
            else {
                continue;
            };
            all.push(PlatformAccount {
                key,
                role,
                user_id: rows.text("user_id")?(row),
                username: rows.text("username")?(row),
                events: rows.count("events")?(row),
                first_at: rows.time("first_at")?(row),
                last_at: rows.time("last_at")?(row),
            });
        }
    }
    Ok(all)
}

/// A list of texts as it is bound.
pub(super) fn texts(items: impl Iterator<Item = String>) -> ScalarValue {
    let items: Vec<_> = items.map(|text| ScalarValue::Utf8(Some(text))).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8))
}
