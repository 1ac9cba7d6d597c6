//! What a login's coded fields mean, column by column: the functions `login_path`,
//! `path_certainty`, `outcome`, `fail_class`, `ua_family`, and the same for the rollup.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::codes;
use crate::catalog::login_path::{LoginFacts, LoginPath, LoginVerdict, decide};

const TEXT: DataType = DataType::Utf8View;

/// Raw columns of logins, all of one length.
pub struct LoginColumns<'a> {
    pub login_type: &'a StringViewArray,
    pub login_sub_type: &'a StringViewArray,
    pub uri: &'a StringViewArray,
    pub api_type: &'a StringViewArray,
    pub use_api_token: &'a StringViewArray,
    pub application: &'a StringViewArray,
    pub browser: &'a StringViewArray,
    pub status: &'a StringViewArray,
}

/// The columns of `rollup_logins` that follow from the raw ones, by name.
pub fn derive(raw: &LoginColumns) -> Vec<(&'static str, ArrayRef)> {
    let rows = raw.status.len();
    let verdicts = verdicts([
        raw.login_type,
        raw.login_sub_type,
        raw.uri,
        raw.api_type,
        raw.use_api_token,
        raw.application,
        raw.browser,
    ]);
    let told =
        |of: fn(&LoginVerdict) -> &'static str| text_rows(rows, |row| Some(of(&verdicts[row])));
    let flag = |of: fn(LoginPath) -> bool| -> ArrayRef {
        Arc::new(
            verdicts
                .iter()
                .map(|v| Some(of(v.path)))
                .collect::<BooleanArray>(),
        )
    };
    vec![
        ("outcome", outcomes(raw.status)),
        ("fail_class", fail_classes(raw.status)),
        ("login_path", told(|v| v.path.as_str())),
        ("path_certainty", told(|v| v.certainty.as_str())),
        ("is_ui", flag(LoginPath::is_ui)),
        ("is_connected_app", flag(LoginPath::is_connected_app)),
        ("is_password_based", flag(LoginPath::is_password_based)),
        ("is_deprecated", flag(LoginPath::is_deprecated)),
        ("ua_family", ua_families(raw.browser)),
    ]
}

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        of_facts("login_path", |verdict| verdict.path.as_str()),
        of_facts("path_certainty", |verdict| verdict.certainty.as_str()),
        of_text("outcome", outcomes),
        of_text("fail_class", fail_classes),
        of_text("ua_family", ua_families),
    ]
}

/// `login_path(login_type, login_sub_type, uri, api_type, use_api_token, application, browser)`
/// and its sister. Any argument may be NULL: not recorded.
fn of_facts(name: &'static str, of: fn(&LoginVerdict) -> &'static str) -> ScalarUDF {
    RowFunction::udf(name, vec![TEXT; FACTS], TEXT, move |args| {
        let verdicts = verdicts(std::array::from_fn(|n| text(args, n)));
        Ok(text_rows(verdicts.len(), |row| Some(of(&verdicts[row]))))
    })
}

fn of_text(name: &'static str, of: fn(&StringViewArray) -> ArrayRef) -> ScalarUDF {
    RowFunction::udf(name, vec![TEXT], TEXT, move |args| Ok(of(text(args, 0))))
}

const FACTS: usize = 7;

/// The verdict on each row. Logins differ in few ways, so each way is judged once.
fn verdicts(columns: [&StringViewArray; FACTS]) -> Vec<LoginVerdict> {
    let mut known: HashMap<[Option<&str>; FACTS], LoginVerdict> = HashMap::new();
    (0..columns[0].len())
        .map(|row| {
            let cells = columns.map(|column| cell(column, row));
            *known.entry(cells).or_insert_with(|| {
                let [
                    login_type,
                    login_sub_type,
                    uri,
                    api_type,
                    use_api_token,
                    application,
                    browser_type,
                ] = cells;
                decide(&LoginFacts {
                    login_type,
                    login_sub_type,
                    uri,
                    api_type,
                    use_api_token,
                    application,
                    browser_type,
                })
            })
        })
        .collect()
}

/// success, challenge or failure. A status that is missing or unknown is no success.
fn outcomes(statuses: &StringViewArray) -> ArrayRef {
    each(statuses, |status| {
        Some(codes::outcome(status.unwrap_or_default()).as_str())
    })
}

/// Why a login failed; NULL for a success or a challenge.
fn fail_classes(statuses: &StringViewArray) -> ArrayRef {
    each(statuses, |status| {
        Some(codes::fail_class(status.unwrap_or_default())?.as_str())
    })
}

/// Kind of client of a User-Agent or of LoginHistory's Browser.
fn ua_families(agents: &StringViewArray) -> ArrayRef {
    each(agents, |agent| Some(codes::ua_family(agent)))
}

/// Maps text to a word of the catalogue, each distinct text once.
fn each<'a>(
    values: &'a StringViewArray,
    of: impl Fn(Option<&'a str>) -> Option<&'static str>,
) -> ArrayRef {
    let mut known: HashMap<Option<&str>, Option<&'static str>> = HashMap::new();
    text_rows(values.len(), |row| {
        let value = cell(values, row);
        *known.entry(value).or_insert_with(|| of(value))
    })
}
