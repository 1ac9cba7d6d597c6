//! `inferred_role`: the role of a user of whom the registry says nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::codes::{self, UserKind};
use crate::catalog::timestamp_ms;
use crate::lake::InferredRole;

const TEXT: DataType = DataType::Utf8View;
const INTEGRATION: &str = "integration";

/// Accounts that are machines by their behaviour or by what the org says of them, and when.
#[derive(Debug, Default)]
pub(in crate::engine) struct KnownMachines {
    /// User key → spans `[from, to)` in milliseconds since 1970.
    spans: HashMap<String, Vec<(i64, i64)>>,
}

impl KnownMachines {
    pub(in crate::engine) fn new(roles: &[InferredRole]) -> Self {
        let mut known = Self::default();
        for role in roles.iter().filter(|role| role.role == INTEGRATION) {
            let until = role.until.map_or(i64::MAX, |at| at.timestamp_millis());
            known.add(&role.user_key, role.since.timestamp_millis(), until);
        }
        known
    }

    fn add(&mut self, user_key: &str, from: i64, to: i64) {
        self.spans
            .entry(user_key.to_owned())
            .or_default()
            .push((from, to));
    }

    fn knows(&self, user_key: &str, at: i64) -> bool {
        let spans = self.spans.get(user_key);
        spans.is_some_and(|spans| spans.iter().any(|(from, to)| (*from..*to).contains(&at)))
    }
}

/// Local parts of usernames under which the platform itself acts; the domain is an org id.
const PLATFORM_USERS: [&str; 5] = [
    "autoproc",
    "cloud",
    "insightsintegration",
    "insightssecurity",
    "automatedprocess",
];

/// `inferred_role(user_type, username[, user_key, at])`: the role of a user of whom the registry
/// says nothing: guest or internal_system, as far as the row tells; integration, where the account
/// is known as a machine at that time; else human. Never NULL.
pub(super) fn inferred_role(machines: &Arc<KnownMachines>) -> ScalarUDF {
    let machines = Arc::clone(machines);
    let forms = vec![vec![TEXT, TEXT], vec![TEXT, TEXT, TEXT, timestamp_ms()]];
    RowFunction::with_forms("inferred_role", forms, TEXT, move |args| {
        let (types, names) = (text(args, 0), text(args, 1));
        let subject = (args.len() > 2).then(|| {
            let times = args[3].as_primitive::<TimestampMillisecondType>();
            (text(args, 2), times)
        });
        Ok(text_rows(types.len(), |row| {
            let role = role_of(cell(types, row), cell(names, row));
            let is_machine = || {
                let (keys, times) = subject?;
                let at = times.is_valid(row).then(|| times.value(row))?;
                Some(machines.knows(cell(keys, row)?, at))
            };
            if role == UserKind::Human.as_str() && is_machine() == Some(true) {
                return Some(INTEGRATION);
            }
            Some(role)
        }))
    })
}

fn role_of(user_type: Option<&str>, username: Option<&str>) -> &'static str {
    let kind = codes::user_kind(user_type.unwrap_or_default());
    if kind == UserKind::Human && username.is_some_and(is_platform_user) {
        return UserKind::InternalSystem.as_str();
    }
    kind.as_str()
}

fn is_platform_user(username: &str) -> bool {
    let username = username.trim().to_lowercase();
    let (local, domain) = username.split_once('@').unwrap_or((&username, ""));
    PLATFORM_USERS.contains(&local) && (domain.is_empty() || domain.starts_with("00d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_alone_tells_guests_and_platform_users_from_people() {
        for (user_type, username, role) in [
            (Some("Guest"), None, "guest"),
            (Some("G"), None, "guest"),
            (Some("g"), None, "human"),
            (Some("A"), None, "internal_system"),
            (Some("Automated Process"), None, "internal_system"),
            (Some("AutomatedProcess"), None, "internal_system"),
            (None, Some("autoproc@00d000000000001eaa"), "internal_system"),
            (None, Some("cloud@00D000000000001EAA"), "internal_system"),
            (None, Some("cloud@example.com"), "human"),
            (Some("Standard"), Some("amy@example.com"), "human"),
            (None, None, "human"),
        ] {
            assert_eq!(
                role_of(user_type, username),
                role,
                "{user_type:?} {username:?}"
            );
        }
    }
}
