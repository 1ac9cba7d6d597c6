//! Accounts that the org itself marks as a machine's, by the newest roster.

use arrow::array::{Array, AsArray};

use super::error::EngineError;
use super::params::Params;
use super::session::Session;
use crate::lake::{Lake, LakeError};

const MARKED: &str = include_str!("../../queries/rollups/marked_machines.sql");

/// Any of these in the lake may mark an account.
const DATA_SETS: [&str; 5] = [
    "User",
    "Profile",
    "PermissionSet",
    "PermissionSetAssignment",
    "PermissionSetLicenseAssign",
];

/// Whether there is a roster to be asked.
pub(super) fn has_roster(lake: &Lake) -> Result<bool, LakeError> {
    for data_set in DATA_SETS {
        if !lake.parts(data_set)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The user keys of marked accounts.
pub(super) fn marked_machines(session: &Session) -> Result<Vec<String>, EngineError> {
    let mut marked = vec![];
    for batch in session.query(MARKED, &Params::new())? {
        let keys = batch.column(0).as_string_view();
        let valid = (0..keys.len()).filter(|row| keys.is_valid(*row));
        marked.extend(valid.map(|row| keys.value(row).to_owned()));
    }
    Ok(marked)
}
