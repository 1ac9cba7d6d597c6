//! Ids and usernames of one user: `known_username`, `known_user_id`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::privacy::DigestKey;

const TEXT: DataType = DataType::Utf8View;

/// What the logs have shown of who is called what.
#[derive(Debug, Default)]
pub(in crate::engine) struct KnownUsers {
    names: HashMap<String, String>,
    ids: HashMap<String, String>,
}

impl KnownUsers {
    /// From pairs (18-character user id, username). A username that has passed from one user to
    /// another stands for the greater id, whatever the order of the pairs.
    pub(in crate::engine) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut known = Self::default();
        for (id, name) in pairs {
            let owner = known.ids.entry(name.to_lowercase()).or_default();
            *owner = std::mem::take(owner).max(id.clone());
            known.names.insert(id, name);
        }
        known
    }
}

pub(super) fn functions(users: KnownUsers) -> Vec<ScalarUDF> {
    let users = Arc::new(users);
    vec![known_username(&users), known_user_id(&users)]
}

/// `mentions(mentioned_users, username)`: whether a sentence of which only digests were kept
/// (`setup_audit_trail.mentioned_users`) named this user. False where it named nobody, NULL where
/// the username is NULL.
pub(super) fn mentions(key: &DigestKey) -> ScalarUDF {
    let key = key.clone();
    RowFunction::udf(
        "mentions",
        vec![TEXT, TEXT],
        DataType::Boolean,
        move |args| {
            let (mentioned, names) = (text(args, 0), text(args, 1));
            let mut digests: HashMap<&str, String> = HashMap::new();
            let answers: BooleanArray = (0..names.len())
                .map(|row| {
                    let name = cell(names, row)?;
                    let digest = digests
                        .entry(name)
                        .or_insert_with(|| key.digest(name.trim().to_lowercase().as_bytes()));
                    let mut said = cell(mentioned, row).unwrap_or_default().split(' ');
                    Some(said.any(|one| one == digest.as_str()))
                })
                .collect();
            Ok(Arc::new(answers))
        },
    )
}

/// `known_username(user_id)`: what the user was last called, NULL where no log has said.
fn known_username(users: &Arc<KnownUsers>) -> ScalarUDF {
    let users = Arc::clone(users);
    RowFunction::udf("known_username", vec![TEXT], TEXT, move |args| {
        let ids = text(args, 0);
        Ok(text_rows(ids.len(), |row| users.names.get(cell(ids, row)?)))
    })
}

/// `known_user_id(username)`: the id of the user of this name (case does not count), NULL where
/// no log has said.
fn known_user_id(users: &Arc<KnownUsers>) -> ScalarUDF {
    let users = Arc::clone(users);
    RowFunction::udf("known_user_id", vec![TEXT], TEXT, move |args| {
        let names = text(args, 0);
        Ok(text_rows(names.len(), |row| {
            users.ids.get(&cell(names, row)?.trim().to_lowercase())
        }))
    })
}
