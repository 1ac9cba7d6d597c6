//! Coded fields: `session_type`, `known_code`, `inferred_role`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::codes::{self, CodedField, UserKind};

const TEXT: DataType = DataType::Utf8View;

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![session_type(), known_code(), inferred_role()]
}

/// `session_type(raw)`: the canonical name of a session type's letter or older text form, or
/// `unmapped`; NULL for NULL.
fn session_type() -> ScalarUDF {
    RowFunction::udf("session_type", vec![TEXT], TEXT, |args| {
        let raw = text(args, 0);
        Ok(text_rows(raw.len(), |row| {
            Some(codes::session_type(cell(raw, row)?).unwrap_or("unmapped"))
        }))
    })
}

/// `known_code(field, value)`: whether the catalogue knows the value of a coded field
/// (`login_type`, `login_sub_type`, `login_status`, `session_type`, `user_type`, `api_type`,
/// `tls_protocol`, `api_family`, `job_status`). Empty text is no unknown value. NULL for NULL;
/// a field of which the catalogue keeps no list is an error of the query.
fn known_code() -> ScalarUDF {
    RowFunction::udf("known_code", vec![TEXT, TEXT], DataType::Boolean, |args| {
        let (fields, values) = (text(args, 0), text(args, 1));
        let mut known: HashMap<(&str, &str), bool> = HashMap::new();
        let mut answers = BooleanBuilder::with_capacity(values.len());
        for row in 0..values.len() {
            let (Some(name), Some(value)) = (cell(fields, row), cell(values, row)) else {
                answers.append_null();
                continue;
            };
            let Some(field) = CodedField::from_name(name) else {
                return exec_err!("known_code: {name} is not the name of a coded field");
            };
            let answer = known
                .entry((name, value))
                .or_insert_with(|| codes::known(field, value));
            answers.append_value(*answer);
        }
        Ok(Arc::new(answers.finish()))
    })
}

/// Local parts of usernames under which the platform itself acts; the domain is an org id.
const PLATFORM_USERS: [&str; 5] = [
    "autoproc",
    "cloud",
    "insightsintegration",
    "insightssecurity",
    "automatedprocess",
];

/// `inferred_role(user_type, username)`: the role of a user of whom the registry says nothing,
/// as far as the row tells: guest, internal_system, else human. Never NULL.
fn inferred_role() -> ScalarUDF {
    RowFunction::udf("inferred_role", vec![TEXT, TEXT], TEXT, |args| {
        let (types, names) = (text(args, 0), text(args, 1));
        Ok(text_rows(types.len(), |row| {
            Some(role_of(cell(types, row), cell(names, row)))
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
