//! Makes the rows of `rollup_logins` from the accounts of each attempt.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringViewArray, StringViewBuilder, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::TimestampMillisecondType;
use arrow::error::ArrowError;

use super::attempts::Attempt;
use super::pairing::Quality;
use crate::engine::login::{self, LoginColumns};
use crate::engine::login_attempt_schema;

/// From which account a column comes.
enum From {
    /// The EventLogFile's where it has a value, else LoginHistory's.
    Either,
    /// The address and its kind stay together: of the first account with a usable address.
    Address,
    /// LoginHistory's column of this name.
    LoginHistory(&'static str),
    /// LoginHistory's application, unless the merge is ambiguous.
    App,
    /// The row that stands for the attempt.
    Row,
    /// Not copied: told by [`login::derive`] or by the merge.
    Derived,
}

fn source_of(column: &str) -> From {
    match column {
        "ip" | "ip_key" | "ip_kind" => From::Address,
        "app" => From::App,
        "lh_login_type" => From::LoginHistory("login_type"),
        "lh_login_sub_type" => From::LoginHistory("login_sub_type"),
        "lh_file_id" => From::LoginHistory("file_id"),
        "lh_line_no" => From::LoginHistory("line_no"),
        "occurred_at" | "file_id" | "line_no" | "row_key" => From::Row,
        "source" | "merge_quality" | "outcome" | "fail_class" | "login_path" | "path_certainty"
        | "is_ui" | "is_connected_app" | "is_password_based" | "is_deprecated" | "ua_family" => {
            From::Derived
        }
        _ => From::Either,
    }
}

/// The rows of `rollup_logins` for attempts whose time lies in `[from_ms, to_ms)`.
pub(super) fn compose(
    accounts: &RecordBatch,
    attempts: &[Attempt],
    (from_ms, to_ms): (i64, i64),
) -> Result<RecordBatch, ArrowError> {
    let times = required(accounts, "occurred_at")?.as_primitive::<TimestampMillisecondType>();
    let inside: Vec<&Attempt> = attempts
        .iter()
        .filter(|a| (from_ms..to_ms).contains(&times.value(a.row() as usize)))
        .collect();

    let schema = login_attempt_schema();
    let mut columns: Vec<Option<ArrayRef>> = vec![];
    for field in schema.fields() {
        columns.push(copied(accounts, &inside, field.name())?);
    }
    let column = |name: &str| {
        schema
            .index_of(name)
            .ok()
            .and_then(|at| columns[at].as_ref())
            .map(|array| array.as_string_view())
            .ok_or_else(|| ArrowError::SchemaError(format!("no {name}")))
    };
    let derived = login::derive(&LoginColumns {
        login_type: column("login_type")?,
        login_sub_type: column("login_sub_type")?,
        uri: column("uri")?,
        api_type: column("api_type")?,
        use_api_token: column("use_api_token")?,
        application: column("app")?,
        browser: column("browser")?,
        status: column("status")?,
    });
    let told: Vec<(&str, ArrayRef)> = vec![
        ("source", words(&inside, Attempt::source)),
        ("merge_quality", words(&inside, Attempt::merge_quality)),
    ];
    let arrays = schema
        .fields()
        .iter()
        .zip(columns)
        .map(|(field, copied)| {
            copied
                .or_else(|| named(&told, field.name()))
                .or_else(|| named(&derived, field.name()))
                .ok_or_else(|| {
                    ArrowError::SchemaError(format!("{} is told by nobody", field.name()))
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, arrays)
}

fn named(arrays: &[(&str, ArrayRef)], name: &str) -> Option<ArrayRef> {
    arrays
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, array)| Arc::clone(array))
}

fn words(attempts: &[&Attempt], of: fn(&Attempt) -> &'static str) -> ArrayRef {
    let mut out = StringViewBuilder::with_capacity(attempts.len());
    for attempt in attempts {
        out.append_value(of(attempt));
    }
    Arc::new(out.finish())
}

fn required<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| ArrowError::SchemaError(format!("no {name}")))
}

/// Chooses the row of the accounts from which a value is copied, given the column's values.
type RowChoice<'a> = Box<dyn Fn(&Attempt, &dyn Array) -> Option<u32> + 'a>;

fn copied(
    accounts: &RecordBatch,
    attempts: &[&Attempt],
    name: &str,
) -> Result<Option<ArrayRef>, ArrowError> {
    let (source, row): (&str, RowChoice) = match source_of(name) {
        From::Derived => return Ok(None),
        From::Row => (name, Box::new(|a, _| Some(a.row()))),
        From::Either => (
            name,
            Box::new(|a, values| a.accounts().find(|&r| is_told(values, r))),
        ),
        From::LoginHistory(column) => (
            column,
            Box::new(|a, values| a.lh.iter().copied().find(|&r| is_told(values, r))),
        ),
        From::App => ("app", Box::new(Attempt::app_row)),
        From::Address => {
            let kinds = required(accounts, "ip_kind")?.as_string_view();
            (name, Box::new(|a, _| Some(a.address_row(kinds))))
        }
    };
    let values = required(accounts, source)?;
    let rows: UInt32Array = attempts.iter().map(|a| row(a, values.as_ref())).collect();
    Ok(Some(take(values, &rows, None)?))
}

fn is_told(values: &dyn Array, row: u32) -> bool {
    values.is_valid(row as usize)
}

impl Attempt {
    /// The row that stands for the attempt: the EventLogFile's where there is one.
    fn row(&self) -> u32 {
        // An attempt has at least one account.
        self.elf.or(self.lh.first().copied()).unwrap_or_default()
    }

    fn accounts(&self) -> impl Iterator<Item = u32> {
        self.elf.into_iter().chain(self.lh.iter().copied())
    }

    fn app_row(&self, apps: &dyn Array) -> Option<u32> {
        if self.quality == Some(Quality::Ambiguous) {
            return None;
        }
        self.lh.iter().copied().find(|&row| is_told(apps, row))
    }

    fn address_row(&self, kinds: &StringViewArray) -> u32 {
        let usable = |row: &u32| matches!(kinds.value(*row as usize), "public" | "private");
        self.accounts().find(usable).unwrap_or_else(|| self.row())
    }

    fn source(&self) -> &'static str {
        match (self.elf, self.lh.is_empty()) {
            (Some(_), true) => "elf",
            (Some(_), false) => "both",
            (None, _) => "login_history",
        }
    }

    fn merge_quality(&self) -> &'static str {
        match self.quality {
            Some(Quality::Exact) => "exact",
            Some(Quality::Nearest) => "nearest",
            Some(Quality::Ambiguous) => "ambiguous",
            None if self.elf.is_some() => "elf_only",
            None => "lh_only",
        }
    }
}
