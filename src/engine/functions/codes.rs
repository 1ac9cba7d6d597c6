//! Coded fields: `session_type`, `known_code`, `inferred_role`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::Catalog;

const TEXT: DataType = DataType::Utf8View;

pub(super) fn functions(catalog: &Arc<Catalog>) -> Vec<ScalarUDF> {
    vec![session_type(catalog), known_code(catalog), inferred_role()]
}

/// `session_type(raw)`: the canonical name of a session type's letter or older text form, or
/// `unmapped`; NULL for NULL.
fn session_type(catalog: &Arc<Catalog>) -> ScalarUDF {
    let catalog = Arc::clone(catalog);
    RowFunction::udf("session_type", vec![TEXT], TEXT, move |args| {
        let raw = text(args, 0);
        Ok(text_rows(raw.len(), |row| {
            Some(catalog.session_type(cell(raw, row)?).unwrap_or("unmapped"))
        }))
    })
}

/// `known_code(field, value)`: whether the catalogue knows the value of a coded field
/// (`login_type`, `login_sub_type`, `login_status`, `session_type`, `user_type`, `api_family`).
/// NULL for NULL, and for a field of which the catalogue keeps no list.
fn known_code(catalog: &Arc<Catalog>) -> ScalarUDF {
    let catalog = Arc::clone(catalog);
    RowFunction::udf("known_code", vec![TEXT, TEXT], DataType::Boolean, move |args| {
        let (fields, values) = (text(args, 0), text(args, 1));
        let mut known: HashMap<(&str, &str), Option<bool>> = HashMap::new();
        let answers: BooleanArray = (0..values.len())
            .map(|row| {
                let key = (cell(fields, row)?, cell(values, row)?);
                *known.entry(key).or_insert_with(|| catalog.known_code(key.0, key.1))
            })
            .collect();
        Ok(Arc::new(answers))
    })
}

/// Local parts of usernames under which the platform itself acts; the domain is an org id.
const PLATFORM_USERS: [&str; 5] =
    ["autoproc", "cloud", "insightsintegration", "insightssecurity", "automatedprocess"];

/// `inferred_role(user_type, username)`: the role of a user of whom the registry says nothing,
/// as far as the row tells: guest, internal_system, else human. Never NULL.
fn inferred_role() -> ScalarUDF {
    RowFunction::udf("inferred_role", vec![TEXT, TEXT], TEXT, |args| {
        let (types, names) = (text(args, 0), text(args, 1));
        Ok(text_rows(types.len(), |row| Some(role_of(cell(types, row), cell(names, row)))))
    })
}

fn role_of(user_type: Option<&str>, username: Option<&str>) -> &'static str {
    // Letters are codes and keep their case; words are labels and do not.
    let user_type = user_type.unwrap_or_default().trim();
    let word = user_type.to_lowercase().replace([' ', '_'], "");
    if user_type == "G" || word == "guest" {
        return "guest";
    }
    let platform = username.is_some_and(|name| {
        let name = name.trim().to_lowercase();
        let (local, domain) = name.split_once('@').unwrap_or((&name, ""));
        PLATFORM_USERS.contains(&local) && (domain.is_empty() || domain.starts_with("00d"))
    });
    if user_type == "A" || word == "automatedprocess" || platform {
        return "internal_system";
    }
    "human"
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
            assert_eq!(role_of(user_type, username), role, "{user_type:?} {username:?}");
        }
    }
}
