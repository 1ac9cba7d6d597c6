//! From where the users of a profile may log in: in no object, but in the metadata of the
//! profile, which the org tells of one profile per call.

use std::path::Path;

use serde_json::Value;

use super::export::{hidden, unreadable};
use super::query::{Collected, Record, Service};
use super::soql::Soql;
use super::table::Table;
use super::{Client, Exported, LOGIN_IP_RANGES_PERMISSION, SalesforceError};
use crate::words::counted;

const NAME: &str = "LoginIpRange";
const HEADINGS: [&str; 4] = ["ProfileId", "Profile.Name", "StartAddress", "EndAddress"];

/// First and last address.
type Range<'a> = (&'a str, &'a str);

impl Client {
    /// Writes the login IP ranges of these profiles (by id) to `to`: a line per range, and one
    /// without addresses for a profile that has none. A profile that is not in the file was not
    /// read.
    ///
    /// # Errors
    /// [`Class::Unreadable`](super::Class::Unreadable) where of all profiles none can be read.
    pub async fn login_ip_ranges(
        &self,
        profiles: &[String],
        to: &Path,
    ) -> Result<Exported, SalesforceError> {
        let headings = HEADINGS.map(str::to_owned).to_vec();
        let mut table = Table::create(headings, None, false, to)?;
        let mut unread = 0;
        for id in profiles {
            let soql = Soql::select(["Id", "Name", "Metadata"], "Profile").equal("Id", id);
            let mut found = Collected::default();
            self.query(Service::Tooling, &soql, &mut found)
                .await
                .map_err(|fault| unreadable(NAME, LOGIN_IP_RANGES_PERMISSION, fault))?;
            match found.0.first().and_then(metadata) {
                Some(metadata) => write(&mut table, id, &found.0[0], &ranges(metadata)?)?,
                None => unread += 1,
            }
        }
        if unread > 0 && unread == profiles.len() {
            let shown = "no profile's metadata";
            return Err(hidden(NAME, LOGIN_IP_RANGES_PERMISSION, shown, None));
        }
        let written = table.finish().await?;
        let remarks = match unread {
            0 => vec![],
            _ => vec![format!(
                "the login IP ranges of {} cannot be read",
                counted(unread, "profile")
            )],
        };
        Ok(Exported {
            rows: written.rows,
            cut_short: None,
            only_user: None,
            remarks,
        })
    }
}

/// What the org tells of a profile beside its columns; null where it does not.
fn metadata(profile: &Record) -> Option<&Record> {
    profile.get("Metadata")?.as_object()
}

/// The ranges of a profile's metadata: a list, where there is one range perhaps that alone, and
/// nothing or null where there is none.
fn ranges(metadata: &Record) -> Result<Vec<Range<'_>>, SalesforceError> {
    let nonsense = || SalesforceError::protocol("a login IP range of a profile has no addresses");
    let range = |range| -> Option<Range<'_>> {
        let address = |name| -> Option<&str> {
            let text = Value::as_str(Value::get(range, name)?)?.trim();
            (!text.is_empty()).then_some(text)
        };
        Some((address("startAddress")?, address("endAddress")?))
    };
    match metadata.get("loginIpRanges") {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::Array(list)) => list.iter().map(|r| range(r).ok_or_else(nonsense)).collect(),
        Some(one) => Ok(vec![range(one).ok_or_else(nonsense)?]),
    }
}

fn write(
    table: &mut Table,
    id: &str,
    profile: &Record,
    ranges: &[Range<'_>],
) -> Result<(), SalesforceError> {
    let name = profile
        .get("Name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if ranges.is_empty() {
        table.row(&[id, name, "", ""])?;
    }
    for (start, end) in ranges {
        table.row(&[id, name, start, end])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ranges_are_read_where_there_are_none_one_or_many() {
        let read = |json: Value| {
            let record = json.as_object().unwrap().clone();
            ranges(&record).map(|ranges| ranges.len())
        };
        let range = json!({"startAddress": "2001:db8::", "endAddress": "2001:db8::ff",
            "description": null});
        for (json, found) in [
            (json!({}), 0),
            (json!({"loginIpRanges": null}), 0),
            (json!({"loginIpRanges": []}), 0),
            (json!({"loginIpRanges": range}), 1),
            (json!({"loginIpRanges": [range, range], "custom": true}), 2),
        ] {
            assert_eq!(read(json.clone()).unwrap(), found, "{json}");
        }
        for json in [
            json!({"loginIpRanges": [{"startAddress": "192.0.2.1"}]}),
            json!({"loginIpRanges": [{"startAddress": "192.0.2.1", "endAddress": ""}]}),
            json!({"loginIpRanges": "192.0.2.1"}),
        ] {
            assert!(read(json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_profile_without_metadata_was_not_read() {
        for json in [json!({"Id": "00e"}), json!({"Metadata": null})] {
            assert_eq!(metadata(json.as_object().unwrap()), None);
        }
    }
}
