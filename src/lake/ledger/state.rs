//! What the last run knew beside its findings: suppressions and what they hide, canaries, and
//! accounts that work like machines. Each is replaced as a whole.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::Ledger;
use super::values::{int, ms, opt_ms, opt_time_at, time_at};
use crate::lake::error::Result;

/// One `[[suppress]]` of the configuration as a run saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionState {
    pub suppression_id: String,
    pub rule: String,
    pub user_ref: Option<String>,
    /// `column = value`, joined by `; `.
    pub conditions: String,
    pub reason: String,
    pub owner: String,
    pub until: DateTime<Utc>,
    pub is_expired: bool,
    /// Findings that it hides, or would hide if it had not expired.
    pub matched: u64,
}

/// Whether a rule still finds what it was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryState {
    Fired,
    /// The case ran, and nothing came out.
    Silent,
    /// The case could not be run, or the rule's query failed.
    Failed,
    /// It fires with the rule's own defaults, and not with the operator's settings.
    SilencedBySettings,
}

impl CanaryState {
    const ALL: [CanaryState; 4] = [
        CanaryState::Fired,
        CanaryState::Silent,
        CanaryState::Failed,
        CanaryState::SilencedBySettings,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            CanaryState::Fired => "fired",
            CanaryState::Silent => "silent",
            CanaryState::Failed => "failed",
            CanaryState::SilencedBySettings => "silenced_by_settings",
        }
    }
}

/// A rule's own positive case, pushed through the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    pub rule_id: String,
    /// Empty where the rule's cases cannot be read.
    pub case_name: String,
    pub state: CanaryState,
    pub reason: Option<String>,
    pub checked_at: DateTime<Utc>,
}

/// What the logs say of an account of which the registry says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferredRole {
    pub user_key: String,
    pub role: String,
    /// In words.
    pub reason: String,
    /// The role counts for events from here on.
    pub since: DateTime<Utc>,
    /// And before this; None as long as it counts.
    pub until: Option<DateTime<Utc>>,
    /// Last event of the account that was judged.
    pub last_seen: DateTime<Utc>,
}

/// Remembers which release inferred the roles, so that the next one does it anew.
const INFERRED_BY: &str = "inferred_roles";
/// Key of the indicators that the archive was asked for.
const INDICATORS_ASKED: &str = "indicators_asked";
/// Remembers what the canaries were tried with.
const CANARIES_OF: &str = "canaries";

fn remember(conn: &Connection, key: &str, value: &str) -> Result<()> {
    conn.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [key, value],
    )?;
    Ok(())
}

impl Ledger {
    pub fn replace_suppressions(&mut self, states: &[SuppressionState]) -> Result<()> {
        let tx = self.write()?;
        tx.execute("DELETE FROM suppressions", [])?;
        for (position, state) in states.iter().enumerate() {
            tx.execute(
                "INSERT INTO suppressions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    int(position as u64),
                    state.suppression_id,
                    state.rule,
                    state.user_ref,
                    state.conditions,
                    state.reason,
                    state.owner,
                    ms(state.until),
                    state.is_expired,
                    int(state.matched),
                ],
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Replaces the canaries; `of` names all that they depend on.
    pub fn replace_canaries(&mut self, canaries: &[Canary], of: &str) -> Result<()> {
        let tx = self.write()?;
        tx.execute("DELETE FROM canaries", [])?;
        for canary in canaries {
            tx.execute(
                "INSERT INTO canaries VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    canary.rule_id,
                    canary.case_name,
                    canary.state.as_str(),
                    canary.reason,
                    ms(canary.checked_at),
                ],
            )?;
        }
        remember(&tx, CANARIES_OF, of)?;
        tx.commit()?;
        Ok(())
    }

    /// The canaries, by rule, and all that they depended on; none before the first time.
    pub fn canaries(&self) -> Result<Option<(Vec<Canary>, String)>> {
        let Some(of) = self.meta(CANARIES_OF)?.filter(|_| self.version >= 2) else {
            return Ok(None);
        };
        let mut statement = self.conn.prepare(
            "SELECT rule_id, case_name, state, reason, checked_at FROM canaries ORDER BY rule_id",
        )?;
        let canaries = statement.query_map([], |row| {
            let word: String = row.get("state")?;
            let state = CanaryState::ALL.into_iter().find(|s| s.as_str() == word);
            Ok(Canary {
                rule_id: row.get("rule_id")?,
                case_name: row.get("case_name")?,
                state: state.unwrap_or(CanaryState::Failed),
                reason: row.get("reason")?,
                checked_at: time_at(row, "checked_at")?,
            })
        })?;
        Ok(Some((canaries.collect::<rusqlite::Result<_>>()?, of)))
    }

    /// Replaces the inferred roles; `release` is whose criteria they follow.
    pub fn replace_inferred_roles(&mut self, roles: &[InferredRole], release: &str) -> Result<()> {
        let tx = self.write()?;
        tx.execute("DELETE FROM inferred_roles", [])?;
        for role in roles {
            tx.execute(
                "INSERT INTO inferred_roles VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    role.user_key,
                    role.role,
                    role.reason,
                    ms(role.since),
                    opt_ms(role.until),
                    ms(role.last_seen)
                ],
            )?;
        }
        remember(&tx, INFERRED_BY, release)?;
        tx.commit()?;
        Ok(())
    }

    /// Whose criteria the inferred roles follow; None before the first time.
    pub fn roles_inferred_by(&self) -> Result<Option<String>> {
        self.meta(INFERRED_BY)
    }

    /// Notes which indicators the whole archive has been asked for, by a digest of all of them.
    pub fn remember_indicators(&mut self, digest: &str) -> Result<()> {
        self.set_meta(INDICATORS_ASKED, digest)
    }

    /// Which indicators the whole archive was last asked for; None before the first time.
    pub fn indicators_asked(&self) -> Result<Option<String>> {
        self.meta(INDICATORS_ASKED)
    }

    /// By user and beginning. None in a ledger that no writer of this release has opened yet.
    pub fn inferred_roles(&self) -> Result<Vec<InferredRole>> {
        if self.version < 2 {
            return Ok(vec![]);
        }
        let mut statement = self.conn.prepare(
            "SELECT user_key, role, reason, since, until, last_seen FROM inferred_roles
             ORDER BY user_key, since",
        )?;
        let roles = statement.query_map([], |row| {
            Ok(InferredRole {
                user_key: row.get("user_key")?,
                role: row.get("role")?,
                reason: row.get("reason")?,
                since: time_at(row, "since")?,
                until: opt_time_at(row, "until")?,
                last_seen: time_at(row, "last_seen")?,
            })
        })?;
        Ok(roles.collect::<rusqlite::Result<_>>()?)
    }
}
