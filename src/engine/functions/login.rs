//! What a login's coded fields mean, column by column: the functions `login_path`,
//! `path_certainty`, `outcome`, `fail_class`, `ua_family`, and the same for the rollup.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::{Catalog, LoginSignals, LoginVerdict};

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
pub fn derive(catalog: &Catalog, raw: &LoginColumns) -> Vec<(&'static str, ArrayRef)> {
    let rows = raw.status.len();
    let verdicts = verdicts(
        catalog,
        [
            raw.login_type,
            raw.login_sub_type,
            raw.uri,
            raw.api_type,
            raw.use_api_token,
            raw.application,
            raw.browser,
        ],
    );
    let told = |of: fn(&LoginVerdict) -> &'static str| {
        text_rows(rows, |row| Some(of(&verdicts[row])))
    };
    let flag = |of: fn(&LoginVerdict) -> bool| -> ArrayRef {
        Arc::new(verdicts.iter().map(|v| Some(of(v))).collect::<BooleanArray>())
    };
    vec![
        ("outcome", outcomes(catalog, raw.status)),
        ("fail_class", fail_classes(catalog, raw.status)),
        ("login_path", told(|v| v.path)),
        ("path_certainty", told(|v| v.certainty)),
        ("is_ui", flag(|v| v.is_ui)),
        ("is_connected_app", flag(|v| v.is_connected_app)),
        ("is_password_based", flag(|v| v.is_password_based)),
        ("is_deprecated", flag(|v| v.is_deprecated)),
        ("ua_family", ua_families(catalog, raw.browser)),
    ]
}

pub(super) fn functions(catalog: &Arc<Catalog>) -> Vec<ScalarUDF> {
    vec![
        of_signals("login_path", catalog, |verdict| verdict.path),
        of_signals("path_certainty", catalog, |verdict| verdict.certainty),
        of_text("outcome", catalog, outcomes),
        of_text("fail_class", catalog, fail_classes),
        of_text("ua_family", catalog, ua_families),
    ]
}

/// `login_path(login_type, login_sub_type, uri, api_type, use_api_token, application, browser)`
/// and its sisters. Any argument may be NULL: not recorded.
fn of_signals(
    name: &'static str,
    catalog: &Arc<Catalog>,
    of: fn(&LoginVerdict) -> &'static str,
) -> ScalarUDF {
    let catalog = Arc::clone(catalog);
    RowFunction::udf(name, vec![TEXT; SIGNALS], TEXT, move |args| {
        let columns = std::array::from_fn(|n| text(args, n));
        let verdicts = verdicts(&catalog, columns);
        Ok(text_rows(verdicts.len(), |row| Some(of(&verdicts[row]))))
    })
}

fn of_text(
    name: &'static str,
    catalog: &Arc<Catalog>,
    of: fn(&Catalog, &StringViewArray) -> ArrayRef,
) -> ScalarUDF {
    let catalog = Arc::clone(catalog);
    RowFunction::udf(name, vec![TEXT], TEXT, move |args| Ok(of(&catalog, text(args, 0))))
}

const SIGNALS: usize = 7;

/// The verdict on each row. Logins differ in few ways, so each way is judged once.
fn verdicts(catalog: &Catalog, columns: [&StringViewArray; SIGNALS]) -> Vec<LoginVerdict> {
    let mut known: HashMap<[Option<&str>; SIGNALS], LoginVerdict> = HashMap::new();
    (0..columns[0].len())
        .map(|row| {
            let cells = columns.map(|column| cell(column, row));
            *known.entry(cells).or_insert_with(|| {
                let [login_type, login_sub_type, uri, api_type, use_api_token, application, browser] =
                    cells;
                catalog.login_verdict(&LoginSignals {
                    login_type,
                    login_sub_type,
                    uri,
                    api_type,
                    use_api_token,
                    application,
                    browser,
                })
            })
        })
        .collect()
}

/// success, challenge or failure. A status that is missing or unknown is no success.
fn outcomes(catalog: &Catalog, statuses: &StringViewArray) -> ArrayRef {
    each(statuses, |status| Some(catalog.outcome(status)))
}

/// Why a login failed; NULL for a success or a challenge.
fn fail_classes(catalog: &Catalog, statuses: &StringViewArray) -> ArrayRef {
    each(statuses, |status| catalog.fail_class(status))
}

/// Kind of client of a User-Agent or of LoginHistory's Browser.
fn ua_families(catalog: &Catalog, agents: &StringViewArray) -> ArrayRef {
    each(agents, |agent| Some(catalog.ua_family(agent)))
}

/// Maps text to a word of the catalogue; NULL counts as empty text.
fn each<'a>(
    values: &'a StringViewArray,
    of: impl Fn(&'a str) -> Option<&'static str>,
) -> ArrayRef {
    let mut known: HashMap<&str, Option<&'static str>> = HashMap::new();
    text_rows(values.len(), |row| {
        let value = cell(values, row).unwrap_or_default();
        *known.entry(value).or_insert_with(|| of(value))
    })
}
