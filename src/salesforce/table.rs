//! Records of the org as CSV with the headings that were asked for.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::SalesforceError;
use super::part_file::PartFile;
use super::query::{Record, Sink};

/// A CSV file in the making: header first, then a line per record.
pub(super) struct Table {
    headings: Vec<String>,
    to: PathBuf,
    writer: csv::Writer<PartFile>,
    /// Digests of the ids that were met, where rows are told apart by `Id`. Pages may overlap
    /// when rows are added between them.
    met: Option<HashSet<u128>>,
    user: Option<&'static str>,
    users: Users,
    rows: u64,
    repeated: u64,
}

/// Whose rows there are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Users {
    None,
    One(String),
    Several,
}

/// What a finished table is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub rows: u64,
    /// The one user that all rows are of.
    pub only_user: Option<String>,
    /// Rows that came again.
    pub repeated: u64,
}

impl Table {
    /// `user` is the column of the user that a row is of; `has_id` if rows are told apart by
    /// `Id`.
    pub fn create(
        headings: Vec<String>,
        user: Option<&'static str>,
        has_id: bool,
        to: &Path,
    ) -> Result<Self, SalesforceError> {
        let mut table = Self {
            headings,
            to: to.to_owned(),
            writer: csv::Writer::from_writer(PartFile::create(to)?),
            met: has_id.then(HashSet::new),
            user,
            users: Users::None,
            rows: 0,
            repeated: 0,
        };
        table.write_header()?;
        Ok(table)
    }

    fn write_header(&mut self) -> Result<(), SalesforceError> {
        let written = self.writer.write_record(&self.headings);
        written.map_err(|fault| self.fault(fault.into()))
    }

    pub fn row(&mut self, cells: &[&str]) -> Result<(), SalesforceError> {
        let written = self.writer.write_record(cells);
        written.map_err(|fault| self.fault(fault.into()))?;
        self.rows += 1;
        Ok(())
    }

    /// The one user that all rows so far are of.
    pub fn only_user(&self) -> Option<&str> {
        match &self.users {
            Users::One(user) => Some(user),
            Users::None | Users::Several => None,
        }
    }

    /// Makes the file durable under its name.
    pub async fn finish(self) -> Result<Written, SalesforceError> {
        let written = Written {
            rows: self.rows,
            only_user: self.only_user().map(str::to_owned),
            repeated: self.repeated,
        };
        let file = self
            .writer
            .into_inner()
            .map_err(|fault| SalesforceError::Disk {
                path: self.to,
                source: fault.into_error(),
            })?;
        file.finish().await?;
        Ok(written)
    }

    fn note_user(&mut self, record: &Record) -> Result<(), SalesforceError> {
        let Some(column) = self.user else {
            return Ok(());
        };
        let user = cell(record, column)?;
        match &self.users {
            Users::None => self.users = Users::One(user.into_owned()),
            Users::One(one) if *one != user => self.users = Users::Several,
            Users::One(_) | Users::Several => {}
        }
        Ok(())
    }

    fn fault(&self, source: io::Error) -> SalesforceError {
        SalesforceError::Disk {
            path: self.to.clone(),
            source,
        }
    }
}

impl Sink for Table {
    fn begin(&mut self) -> Result<(), SalesforceError> {
        let flushed = self.writer.flush();
        flushed.map_err(|fault| self.fault(fault))?;
        if let Some(met) = &mut self.met {
            met.clear();
        }
        self.users = Users::None;
        (self.rows, self.repeated) = (0, 0);
        self.writer.get_ref().restart()?;
        self.write_header()
    }

    fn record(&mut self, record: &Record) -> Result<(), SalesforceError> {
        if let (Some(met), Some(Value::String(id))) = (&mut self.met, record.get("Id"))
            && !met.insert(xxh3_128(id.as_bytes()))
        {
            self.repeated += 1;
            return Ok(());
        }
        self.note_user(record)?;
        let cells = self
            .headings
            .iter()
            .map(|heading| cell(record, heading))
            .collect::<Result<Vec<Cow<str>>, SalesforceError>>()?;
        let written = self.writer.write_record(cells.iter().map(|c| c.as_bytes()));
        written.map_err(|fault| self.fault(fault.into()))?;
        self.rows += 1;
        Ok(())
    }
}

/// The value at `Profile.UserLicense.Name`. Null, a missing key and a parent that is not there
/// are the empty cell.
fn cell<'a>(record: &'a Record, heading: &str) -> Result<Cow<'a, str>, SalesforceError> {
    let nonsense = || SalesforceError::protocol("a record of the answer has a list for a value");
    let mut object = record;
    let mut parts = heading.split('.').peekable();
    while let Some(part) = parts.next() {
        let value = object.get(part).or_else(|| {
            let mut entries = object.iter();
            entries.find_map(|(name, value)| name.eq_ignore_ascii_case(part).then_some(value))
        });
        return Ok(match (value, parts.peek()) {
            (None | Some(Value::Null), _) => Cow::Borrowed(""),
            (Some(Value::Object(parent)), Some(_)) => {
                object = parent;
                continue;
            }
            (Some(Value::String(text)), None) => Cow::Borrowed(text.as_str()),
            (Some(Value::Bool(true)), None) => Cow::Borrowed("true"),
            (Some(Value::Bool(false)), None) => Cow::Borrowed("false"),
            (Some(Value::Number(number)), None) => Cow::Owned(number.to_string()),
            (Some(_), _) => return Err(nonsense()),
        });
    }
    Ok(Cow::Borrowed(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::Class;
    use serde_json::json;

    fn record(json: Value) -> Record {
        json.as_object().unwrap().clone()
    }

    fn finish(table: Table) -> Written {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(table.finish()).unwrap()
    }

    fn headings(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn records_become_lines_with_parents_flattened_and_null_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("User.csv");
        let names = headings("Id Username IsActive Profile.Name Profile.UserLicense.Name Count");
        let mut table = Table::create(names, Some("Id"), true, &to).unwrap();
        for json in [
            json!({"attributes": {"type": "User"}, "Id": "005A", "Username": "a@example.com",
                "IsActive": true, "Profile": {"attributes": {}, "Name": "Ops, \"x\"\r\ny",
                "UserLicense": {"Name": "Salesforce"}}, "Count": 2.0, "Unasked": [1]}),
            json!({"Id": "005B", "username": "\u{0}\u{1b}[31m", "IsActive": false, "Profile": null}),
            json!({"Id": null, "Profile": {"Name": null, "UserLicense": null}, "Count": 66}),
        ] {
            table.record(&record(json)).unwrap();
        }
        assert_eq!(
            finish(table),
            Written {
                rows: 3,
                only_user: None,
                repeated: 0
            }
        );
        assert_eq!(
            std::fs::read_to_string(&to).unwrap(),
            "Id,Username,IsActive,Profile.Name,Profile.UserLicense.Name,Count\n\
             005A,a@example.com,true,\"Ops, \"\"x\"\"\r\ny\",Salesforce,2.0\n\
             005B,\u{0}\u{1b}[31m,false,,,\n\
             ,,,,,66\n"
        );
    }

    #[test]
    fn what_comes_again_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("User.csv");
        let mut table = Table::create(headings("Id Name"), None, true, &to).unwrap();
        let row = |id: &str| record(json!({"Id": id, "Name": "x"}));
        table.record(&row("1")).unwrap();
        table.record(&row("2")).unwrap();
        // The cursor was lost: from the beginning.
        table.begin().unwrap();
        for id in ["1", "2", "2", "3"] {
            table.record(&row(id)).unwrap();
        }
        let written = finish(table);
        assert_eq!((written.rows, written.repeated), (3, 1));
        assert_eq!(
            std::fs::read_to_string(&to).unwrap(),
            "Id,Name\n1,x\n2,x\n3,x\n"
        );
    }

    #[test]
    fn rows_of_one_user_only_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let only = |users: &[Option<&str>]| {
            let names = headings("UserId AppName");
            let to = dir.path().join("OauthToken.csv");
            let mut table = Table::create(names, Some("UserId"), false, &to).unwrap();
            table
                .record(&record(json!({"UserId": "of the first try"})))
                .unwrap();
            table.begin().unwrap();
            for user in users {
                table
                    .record(&record(json!({"Id": null, "UserId": user})))
                    .unwrap();
            }
            finish(table).only_user
        };
        assert_eq!(only(&[]), None);
        assert_eq!(only(&[Some("005A"), Some("005A")]), Some("005A".to_owned()));
        assert_eq!(only(&[Some("005A"), Some("005B"), Some("005A")]), None);
        assert_eq!(only(&[Some("005A"), None]), None);
    }

    #[test]
    fn a_list_for_a_value_is_an_answer_that_makes_no_sense() {
        for json in [
            json!({"Id": []}),
            json!({"Id": {}}),
            json!({"Id": {"Name": "x"}}),
        ] {
            assert_eq!(
                cell(&record(json), "Id").unwrap_err().class(),
                Class::Protocol
            );
        }
        let text = record(json!({"Profile": "x"}));
        assert_eq!(
            cell(&text, "Profile.Name").unwrap_err().class(),
            Class::Protocol
        );
    }
}
