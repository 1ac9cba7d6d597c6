//! Cuts the ordered stream of accounts into clusters that cannot concern each other, and pairs
//! the accounts of each: the attempts.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch, StringViewArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::pairing::{self, Account, MAX_SECONDS_APART, Quality};
use super::spellings::{self, Told};

/// One login attempt: rows of the batch that tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub elf: Option<u32>,
    /// LoginHistory rows, the one with the most identifying columns first.
    pub lh: Vec<u32>,
    pub quality: Option<Quality>,
}

/// The columns that pairing reads, of one batch of `queries/rollups/logins.sql`.
struct Columns<'a> {
    account: &'a StringViewArray,
    user_key: &'a StringViewArray,
    second: &'a [i64],
    spelling: &'a [i64],
    ip_key: &'a FixedSizeBinaryArray,
    ip_kind: &'a StringViewArray,
    outcome: &'a StringViewArray,
    path: &'a StringViewArray,
    app: &'a StringViewArray,
    login_type: &'a StringViewArray,
    status: &'a StringViewArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| ArrowError::SchemaError(format!("no {name}")))
        };
        let wrong = |name: &str| ArrowError::SchemaError(format!("{name} has another type"));
        let text = |name: &'static str| {
            column(name)?
                .as_string_view_opt()
                .ok_or_else(|| wrong(name))
        };
        let numbers = |name: &'static str| {
            let values = column(name)?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| wrong(name))?;
            Ok::<_, ArrowError>(&values.values()[..])
        };
        Ok(Self {
            account: text("account")?,
            user_key: text("user_key")?,
            second: numbers("second")?,
            spelling: numbers("spelling")?,
            ip_key: column("ip_key")?
                .as_fixed_size_binary_opt()
                .ok_or_else(|| wrong("ip_key"))?,
            ip_kind: text("ip_kind")?,
            outcome: text("outcome")?,
            path: text("account_path")?,
            app: text("app")?,
            login_type: text("login_type")?,
            status: text("status")?,
        })
    }

    fn user(&self, row: usize) -> Option<&str> {
        cell(self.user_key, row)
    }

    fn ip(&self, row: usize) -> Option<[u8; 16]> {
        let usable = matches!(cell(self.ip_kind, row), Some("public" | "private"));
        if !usable || self.ip_key.is_null(row) {
            return None;
        }
        self.ip_key.value(row).try_into().ok()
    }
}

fn cell(array: &StringViewArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

fn begins_cluster(columns: &Columns, row: usize) -> bool {
    columns.second[row] - columns.second[row - 1] > MAX_SECONDS_APART
        || columns.user(row) != columns.user(row - 1)
}

/// The attempts that the rows of whole clusters tell, in the order of user and time.
pub(super) fn attempts(batch: &RecordBatch) -> Result<Vec<Attempt>, ArrowError> {
    let columns = Columns::of(batch)?;
    let mut attempts = vec![];
    let mut start = 0;
    for row in 1..=batch.num_rows() {
        if row == batch.num_rows() || begins_cluster(&columns, row) {
            attempts.append(&mut of_cluster(&columns, start..row));
            start = row;
        }
    }
    Ok(attempts)
}

fn of_cluster(columns: &Columns, rows: std::ops::Range<usize>) -> Vec<Attempt> {
    let (elf_rows, lh_rows): (Vec<usize>, Vec<usize>) =
        rows.partition(|&row| columns.account.value(row) == "elf");
    let mut texts = Texts::default();
    let told: Vec<Told> = lh_rows
        .iter()
        .map(|&row| told(columns, row, &mut texts))
        .collect();
    let logins: Vec<Vec<usize>> = spellings::merge(&told)
        .into_iter()
        .map(|login| login.into_iter().map(|n| lh_rows[n]).collect())
        .collect();
    let elf: Vec<Account> = elf_rows
        .iter()
        .map(|&row| account(columns, row, &mut texts))
        .collect();
    let lh: Vec<Account> = logins
        .iter()
        .map(|login| merged_account(columns, login, &mut texts))
        .collect();

    let pairs = pairing::pair(&elf, &lh);
    let mut free = vec![true; logins.len()];
    let mut attempts: Vec<(usize, Attempt)> = vec![];
    for (&row, pair) in elf_rows.iter().zip(&pairs) {
        let lh = pair.map_or(&[][..], |(login, _)| {
            free[login] = false;
            &logins[login]
        });
        let attempt = Attempt {
            elf: Some(row as u32),
            lh: lh.iter().map(|&row| row as u32).collect(),
            quality: pair.map(|(_, quality)| quality),
        };
        attempts.push((row, attempt));
    }
    for (login, _) in logins.iter().zip(&free).filter(|(_, free)| **free) {
        let lh = login.iter().map(|&row| row as u32).collect();
        // A merged login stands where its earliest row stood.
        let place = login.iter().copied().min().unwrap_or_default();
        attempts.push((
            place,
            Attempt {
                elf: None,
                lh,
                quality: None,
            },
        ));
    }
    attempts.sort_by_key(|(row, _)| *row);
    attempts.into_iter().map(|(_, attempt)| attempt).collect()
}

fn account<'a>(columns: &Columns<'a>, row: usize, texts: &mut Texts<'a>) -> Account {
    Account {
        second: columns.second[row],
        outcome: texts.number(columns.outcome.value(row)),
        ip: columns.ip(row),
        path: texts.number(columns.path.value(row)),
        app: cell(columns.app, row).map(|app| texts.number(app)),
    }
}

/// The account of a login that several exports tell: the first row, its gaps filled.
fn merged_account<'a>(columns: &Columns<'a>, rows: &[usize], texts: &mut Texts<'a>) -> Account {
    let mut merged = account(columns, rows[0], texts);
    let app = rows.iter().find_map(|&row| cell(columns.app, row));
    merged.app = app.map(|app| texts.number(app));
    merged
}

fn told<'a>(columns: &Columns<'a>, row: usize, texts: &mut Texts<'a>) -> Told {
    let mut number =
        |array: &'a StringViewArray| cell(array, row).map(|text| texts.number(text.trim()));
    Told {
        second: columns.second[row],
        login_type: number(columns.login_type),
        app: number(columns.app),
        status: number(columns.status),
        outcome: texts.number(columns.outcome.value(row)),
        ip: columns.ip(row),
        spelling: u8::try_from(columns.spelling[row]).unwrap_or_default(),
    }
}

/// Numbers texts in the order in which they are met.
#[derive(Default)]
struct Texts<'a>(HashMap<&'a str, u32>);

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(text).or_insert(next)
    }
}
