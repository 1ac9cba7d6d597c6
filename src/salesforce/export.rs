//! A list of the org as a CSV file that the ingest reads.

use std::borrow::Cow;
use std::path::Path;

use serde_json::Value;

use super::query::Service;
use super::table::Table;
use super::{Class, Client, DataSet, Retry, SalesforceError, Window};
use crate::catalog::sf_id18;

/// Codes with which the org hides what the user may not see.
const RIGHTS: [&str; 3] = ["INVALID_TYPE", "INVALID_FIELD", "FUNCTIONALITY_NOT_ENABLED"];

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Without the header.
    pub rows: u64,
    /// The org has more than it gave: how much.
    pub cut_short: Option<String>,
    /// The one user that all rows are of: perhaps the org shows this user its own rows only.
    pub only_user: Option<String>,
    pub remarks: Vec<String>,
}

impl Client {
    /// Writes the records of a data set to `to`, header first: those of the half-open window, or
    /// all where the data set has no time or there is no window.
    ///
    /// # Errors
    /// [`Class::Unreadable`] names the permission that is missing, also where the org passes off
    /// the asking user's own rows as the whole of a list without a time; [`Class::TooLarge`] asks
    /// for a shorter window. Nothing is at `to` then that was not there before.
    pub async fn export(
        &self,
        what: &DataSet,
        window: Option<Window>,
        to: &Path,
    ) -> Result<Exported, SalesforceError> {
        let mut columns = what.columns();
        if what.has_permissions {
            columns.extend(self.permissions(what).await?);
        }
        let mut remarks = vec![];
        loop {
            let mut table = Table::create(columns.clone(), what.user, what.has_id, to)?;
            let soql = what.soql(&columns, window);
            let answered = match what.cut_at {
                Some(most) => self.query_whole(what, &soql, most, &mut table).await,
                None => {
                    let answered = self.query(Service::Data, &soql, &mut table).await;
                    answered.map(|a| (a, None))
                }
            };
            match answered {
                Ok((answered, cut_short)) => {
                    if what.time.is_none() && self.is_own(table.only_user()).await? {
                        let shown = "the asking user's own rows only";
                        return Err(hidden(what.name, what.permission, shown, None));
                    }
                    let written = table.finish().await?;
                    remarks.extend(answered.remark);
                    if written.repeated > 0 {
                        remarks.push(format!(
                            "{} rows of {} came more than once",
                            written.repeated, what.name
                        ));
                    }
                    return Ok(Exported {
                        rows: written.rows,
                        cut_short,
                        only_user: written.only_user,
                        remarks,
                    });
                }
                Err(fault) if fault.code() == Some("INVALID_FIELD") => {
                    let left_out = leave_out(&mut columns, what, &fault.to_string());
                    let says_nothing = what.has_permissions
                        && !columns.iter().any(|c| c.starts_with("Permissions"));
                    if left_out.is_empty() || says_nothing {
                        return Err(unreadable(what.name, what.permission, fault));
                    }
                    remarks.push(format!(
                        "this org's {} has no {}: left out",
                        what.name,
                        left_out.join(", ")
                    ));
                }
                Err(fault) => return Err(unreadable(what.name, what.permission, fault)),
            }
        }
    }

    /// Whether this is the user that the client is signed in as.
    async fn is_own(&self, user: Option<&str>) -> Result<bool, SalesforceError> {
        let Some(user) = user.and_then(sf_id18) else {
            return Ok(false);
        };
        Ok(self.sign_in().await?.user_id == user)
    }

    /// The permissions that both this org and the catalogue have as columns of a data set.
    async fn permissions(&self, what: &DataSet) -> Result<Vec<String>, SalesforceError> {
        let path = format!("/sobjects/{}/describe", what.name);
        let answer = match self.get_json(&path, &[], &[]).await {
            Err(fault) if fault.code() == Some("NOT_FOUND") => {
                let shown = "nothing of it";
                return Err(hidden(what.name, what.permission, shown, fault.code()));
            }
            Err(fault) => return Err(unreadable(what.name, what.permission, fault)),
            Ok(answer) => answer,
        };
        let fields = answer.json.get("fields").and_then(Value::as_array);
        let Some(fields) = fields else {
            return Err(SalesforceError::protocol(format!(
                "the org describes {} without its fields",
                what.name
            )));
        };
        let names: Vec<&str> = fields
            .iter()
            .filter_map(|field| field.get("name")?.as_str())
            .collect();
        let permissions = what.permissions(&names);
        if permissions.is_empty() {
            let shown = "none of its permissions";
            return Err(hidden(what.name, what.permission, shown, None));
        }
        Ok(permissions)
    }
}

/// Takes out of the columns what the org says it does not have: the optional column that it
/// names, the optional ones below the parent that it names, or where it names none of them all
/// optional ones. Returns what went, which is nothing where a needed column is at fault.
fn leave_out(columns: &mut Vec<String>, what: &DataSet, refusal: &str) -> Vec<String> {
    let is_optional = |column: &str| !what.needed.contains(&column);
    let named: Vec<String> = match at_fault(refusal, what.name) {
        Some(fault) => {
            let all = columns.iter().filter(|column| fault.is(column));
            all.cloned().collect()
        }
        None => vec![],
    };
    let left_out: Vec<String> = match named.is_empty() {
        true => columns.iter().filter(|c| is_optional(c)).cloned().collect(),
        false if named.iter().all(|column| is_optional(column)) => named,
        false => vec![],
    };
    columns.retain(|column| !left_out.contains(column));
    left_out
}

/// What a refusal names.
#[derive(Debug, PartialEq, Eq)]
enum AtFault<'a> {
    /// A column as it was asked for.
    Own(&'a str),
    /// A column of a parent, by its last part.
    OfParent(&'a str),
    /// A parent.
    Parent(&'a str),
}

impl AtFault<'_> {
    fn is(&self, column: &str) -> bool {
        match (self, column.rsplit_once('.')) {
            (Self::Own(name), _) => column.eq_ignore_ascii_case(name),
            (Self::OfParent(name), Some((_, last))) => last.eq_ignore_ascii_case(name),
            (Self::Parent(name), Some((parents, _))) => {
                let name = name.rsplit('.').next().unwrap_or(name);
                parents.split('.').any(|p| p.eq_ignore_ascii_case(name))
            }
            _ => false,
        }
    }
}

/// `No such column 'X' on entity 'Y'`, `Didn't understand relationship 'X' in field path`.
fn at_fault<'a>(refusal: &'a str, object: &str) -> Option<AtFault<'a>> {
    if let Some((_, behind)) = refusal.split_once("No such column '") {
        let (name, behind) = behind.split_once('\'')?;
        let entity = behind
            .strip_prefix(" on entity '")
            .and_then(|rest| Some(rest.split_once('\'')?.0));
        return Some(match entity {
            Some(entity) if !entity.eq_ignore_ascii_case(object) => AtFault::OfParent(name),
            _ => AtFault::Own(name),
        });
    }
    let (_, behind) = refusal.split_once("relationship '")?;
    Some(AtFault::Parent(behind.split_once('\'')?.0))
}

/// A refusal that has its reason in what the user may see, with the permission that is missing.
/// Any other fault is what it was.
pub(super) fn unreadable(name: &str, permission: &str, fault: SalesforceError) -> SalesforceError {
    let is_about_rights = fault.class() == Class::Unreadable
        || fault
            .code()
            .is_some_and(|code| RIGHTS.contains(&code) || code.starts_with("INSUFFICIENT_ACCESS"));
    match fault {
        SalesforceError::Refused {
            status, what, code, ..
        } if is_about_rights => SalesforceError::Refused {
            class: Class::Unreadable,
            status,
            what: format!("{name} cannot be read: {what}"),
            code,
            fix: missing(permission),
            retry: Retry::Never,
        },
        fault => fault,
    }
}

/// That the org answered and yet hid what was asked for.
pub(super) fn hidden(
    name: &str,
    permission: &str,
    shown: &str,
    code: Option<&str>,
) -> SalesforceError {
    SalesforceError::Refused {
        class: Class::Unreadable,
        status: 200,
        what: format!("{name} cannot be read: the org shows {shown}"),
        code: code.map(str::to_owned),
        fix: missing(permission),
        retry: Retry::Never,
    }
}

fn missing(permission: &str) -> Cow<'static, str> {
    Cow::Owned(format!(
        "give the user that orgwatch signs in as the permission {permission}; without it the \
         rules that need this list are blind"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::{LOGIN_HISTORY, ROSTER};

    fn left_out(what: &DataSet, refusal: &str) -> Vec<String> {
        let mut columns = what.columns();
        let all = columns.len();
        let left_out = leave_out(&mut columns, what, refusal);
        assert_eq!(columns.len() + left_out.len(), all);
        left_out
    }

    #[test]
    fn a_column_that_the_org_lacks_is_left_out_and_no_other() {
        let user = &ROSTER[0];
        let found = |refusal| left_out(user, refusal);
        let refusal = "ERROR at Row:1:Column:8 No such column 'LastPasswordChangeDate' on entity \
                       'User'. If you are attempting to use a custom field, be sure to …";
        assert_eq!(found(refusal), ["LastPasswordChangeDate"]);
        assert_eq!(
            found("No such column 'Profile.Name' on entity 'User'."),
            ["Profile.Name"]
        );
        assert_eq!(
            found("No such column 'Name' on entity 'UserLicense'"),
            ["Profile.Name", "Profile.UserLicense.Name"]
        );
        for parent in ["UserLicense", "Profile.UserLicense"] {
            let refusal = format!("Didn't understand relationship '{parent}' in field path.");
            assert_eq!(left_out(user, &refusal), ["Profile.UserLicense.Name"]);
        }
    }

    #[test]
    fn where_no_column_is_named_the_needed_ones_are_left() {
        let found = left_out(&LOGIN_HISTORY, "something about a field");
        assert_eq!(found, LOGIN_HISTORY.optional);
        let found = left_out(
            &LOGIN_HISTORY,
            "No such column 'Unasked' on entity 'LoginHistory'",
        );
        assert_eq!(found, LOGIN_HISTORY.optional);
    }

    #[test]
    fn a_data_set_without_a_needed_column_is_not_read() {
        let refusal = "No such column 'Status' on entity 'LoginHistory'.";
        assert!(left_out(&LOGIN_HISTORY, refusal).is_empty());
    }

    #[test]
    fn a_refusal_of_rights_names_the_permission_and_another_fault_stays() {
        let refused = |code: &str, class| SalesforceError::Refused {
            class,
            status: 400,
            what: "sObject type 'OauthToken' is not supported.".into(),
            code: Some(code.to_owned()),
            fix: "".into(),
            retry: Retry::Never,
        };
        for code in [
            "INVALID_TYPE",
            "INSUFFICIENT_ACCESS",
            "FUNCTIONALITY_NOT_ENABLED",
        ] {
            let fault = refused(code, Class::Protocol);
            let fault = unreadable("OauthToken", "Customize Application", fault);
            assert_eq!(
                (fault.class(), fault.code()),
                (Class::Unreadable, Some(code))
            );
            assert!(fault.fix().contains("the permission Customize Application"));
            assert!(
                fault
                    .to_string()
                    .starts_with("OauthToken cannot be read: sObject")
            );
        }
        let fault = unreadable(
            "X",
            "Y",
            refused("REQUEST_LIMIT_EXCEEDED", Class::Throttled),
        );
        assert_eq!(fault.class(), Class::Throttled);
        assert_eq!(
            unreadable("X", "Y", refused("NOT_FOUND", Class::Gone)).class(),
            Class::Gone
        );
    }
}
