//! What the org says of itself: the data sets of users, permissions and apps, how each is told
//! by its headings, and which columns it cannot do without.
//!
//! A file of a data set is a *snapshot*: what is not in it is not there any more. That is why a
//! file without the columns that give it its meaning is refused rather than read in part.

use super::load::{self, ExportRow};
use super::lookup::{self, Catalog};
use super::{EventType, LogFamily, trimmed_heading};

const COLUMNS: &str = include_str!("data/roster.csv");

/// How a data set is told from its headings. Headings are those of the catalogue; a file may
/// write any of their spellings.
struct DataSet {
    name: &'static str,
    family: LogFamily,
    /// Of each group one heading at least: then it is this data set. A heading that ends in `*`
    /// stands for all that begin so.
    signs: &'static [&'static [&'static str]],
    /// Of each group one heading at least, else the file is refused.
    needs: &'static [&'static [&'static str]],
}

/// The more telling signs first: the first data set whose signs are all there is it.
const DATA_SETS: [DataSet; 14] = [
    DataSet {
        name: lookup::VERIFICATION_HISTORY,
        family: LogFamily::VerificationHistory,
        signs: &[&["VerificationTime"], &["VerificationMethod"]],
        needs: &[&["Status"], &["UserId", "Username"]],
    },
    DataSet {
        name: "PermissionSetLicenseAssign",
        family: LogFamily::Roster,
        signs: &[
            &["AssigneeId", "Assignee.Username"],
            &[
                "PermissionSetLicenseId",
                "PermissionSetLicense.DeveloperName",
            ],
        ],
        needs: &[&["AssigneeId"], &["PermissionSetLicense.DeveloperName"]],
    },
    DataSet {
        name: "PermissionSetAssignment",
        family: LogFamily::Roster,
        signs: &[
            &["AssigneeId", "Assignee.Username"],
            &[
                "PermissionSetId",
                "PermissionSet.Name",
                "PermissionSetGroupId",
            ],
        ],
        needs: &[&["AssigneeId"], &["PermissionSetId"]],
    },
    DataSet {
        name: "SetupEntityAccess",
        family: LogFamily::Roster,
        signs: &[&["SetupEntityId", "SetupEntityType"]],
        needs: &[&["ParentId"], &["SetupEntityId"], &["SetupEntityType"]],
    },
    DataSet {
        name: "OauthToken",
        family: LogFamily::Roster,
        signs: &[
            &["AppName"],
            &["UserId", "User.Username", "UseCount", "LastUsedDate"],
        ],
        needs: &[&["UserId"]],
    },
    DataSet {
        name: "LoginIpRange",
        family: LogFamily::Roster,
        signs: &[&["StartAddress", "EndAddress"]],
        needs: &[
            &["StartAddress"],
            &["EndAddress"],
            &["ProfileId", "Profile.Name"],
        ],
    },
    DataSet {
        name: "ConnectedApplication",
        family: LogFamily::Roster,
        signs: &[&[
            "OptionsAllowAdminApprovedUsersOnly",
            "OptionsRefreshTokenValidityMetric",
            "OptionsHasSessionLevelPolicy",
            "OptionsAppIssueJwtTokenEnabled",
            "OptionsIsInternal",
        ]],
        needs: &[&["Id"], &["Name"], &["OptionsAllowAdminApprovedUsersOnly"]],
    },
    DataSet {
        name: "ExternalClientApplication",
        family: LogFamily::Roster,
        signs: &[&["externalClientApplication", "distributionState"]],
        needs: &[&["externalClientApplication", "fullName", "label"]],
    },
    DataSet {
        name: "ConnectedApp",
        family: LogFamily::Roster,
        signs: &[&["oauthPolicy.*", "oauthConfig.*"]],
        needs: &[&["label", "fullName"]],
    },
    DataSet {
        name: "UserLogin",
        family: LogFamily::Roster,
        signs: &[&["IsFrozen", "IsPasswordLocked"], &["UserId"]],
        needs: &[&["UserId"], &["IsFrozen"]],
    },
    DataSet {
        name: "User",
        family: LogFamily::Roster,
        signs: &[
            &["Username"],
            &[
                "IsActive",
                "ProfileId",
                "UserType",
                "LastPasswordChangeDate",
            ],
        ],
        needs: &[&["Id"], &["IsActive"], &["ProfileId"]],
    },
    DataSet {
        name: "PermissionSet",
        family: LogFamily::Roster,
        signs: &[
            &["Permissions*", "IsOwnedByProfile"],
            &[
                "IsOwnedByProfile",
                "PermissionSetGroupId",
                "Label",
                "Type",
                "IsCustom",
                "ProfileId",
            ],
        ],
        needs: &[&["Id"], &["Name"], &["Permissions*"]],
    },
    DataSet {
        name: "Profile",
        family: LogFamily::Roster,
        signs: &[&["Permissions*", "UserLicenseId", "UserLicense.Name"]],
        needs: &[&["Id"], &["Name"], &["Permissions*"]],
    },
    // Last and without signs of its own beside Name: a list of ids and names says nothing.
    DataSet {
        name: "ConnectedApplication",
        family: LogFamily::Roster,
        signs: &[&["refreshTokenValidityPeriod"]],
        needs: &[&["Id"], &["Name"], &["OptionsAllowAdminApprovedUsersOnly"]],
    },
];

/// What begins a heading about secrets and passwords that is not itself one.
const HARMLESS: [&str; 6] = [
    "permissions",
    "options",
    "is",
    "lastpassword",
    "userpreferences",
    "userpermissions",
];

/// The event types of this module, in no particular order.
pub(super) fn event_types() -> Vec<EventType> {
    let rows: Vec<ExportRow> = load::rows(COLUMNS);
    let mut events: Vec<EventType> = vec![];
    for set in &DATA_SETS {
        if events.iter().all(|event| event.name != set.name) {
            let table = match set.family {
                LogFamily::Roster => lookup::snake_case("roster_", set.name),
                _ => lookup::snake_case("", set.name),
            };
            events.push(load::export_type(&rows, set.name, &table, set.family));
        }
    }
    events
}

/// The data set that has these headings; an error says what it lacks. None: it is none of ours.
pub(super) fn recognise<'a>(
    catalog: &'a Catalog,
    headings: &[&str],
) -> Option<Result<&'a EventType, String>> {
    DATA_SETS.iter().find_map(|set| {
        let event = catalog.event_type(set.name)?;
        let all = |groups: &[&[&str]]| {
            groups
                .iter()
                .all(|group| group.iter().any(|name| named(event, headings, name)))
        };
        if !all(set.signs) {
            return None;
        }
        let lacking: Vec<String> = set
            .needs
            .iter()
            .filter(|group| !all(&[group]))
            .map(|group| {
                group
                    .join(" or ")
                    .replace("Permissions*", "its Permissions… columns")
            })
            .collect();
        Some(match lacking.is_empty() {
            true => Ok(event),
            false => Err(format!(
                "it looks like an export of {} without {}: add that to what is exported",
                set.name,
                lacking.join(" and ")
            )),
        })
    })
}

fn named(event: &EventType, headings: &[&str], name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(start) => headings
            .iter()
            .any(|h| begins_with(trimmed_heading(h), start)),
        None => headings
            .iter()
            .any(|h| event.column(h).is_some_and(|c| c.heading == name)),
    }
}

fn begins_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// Why a file with these headings is refused because one of its columns holds secrets. Says
/// which column by its number: without a header row the "heading" may be the secret.
pub(super) fn secret_column(headings: &[&str]) -> Option<String> {
    let at = headings.iter().position(|heading| {
        let heading = trimmed_heading(heading).to_ascii_lowercase();
        let own = heading.rsplit('.').next().unwrap_or_default();
        (own.contains("secret") || own.contains("password"))
            && !HARMLESS.iter().any(|start| own.starts_with(start))
            && own.len() <= HEADING_MAX
    })?;
    Some(format!(
        "by its heading, column {} holds secrets or passwords; export the file without it, and \
         delete this one",
        at + 1
    ))
}

/// A longer text is no heading, whatever words it has.
const HEADING_MAX: usize = 80;

impl Catalog {
    /// The roster data sets.
    pub fn roster(&self) -> impl Iterator<Item = &EventType> {
        self.event_types().iter().filter(|event| event.is_roster())
    }

    /// Whether an event type of this name is a roster data set.
    pub fn is_roster(&self, name: &str) -> bool {
        self.event_type(name).is_some_and(EventType::is_roster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ColumnKind, Identified};

    fn found(headings: &[&str]) -> Result<String, String> {
        match Catalog::embedded().identify(headings) {
            Identified::Export(event) => Ok(event.name.clone()),
            Identified::Refused { reason } => Err(reason),
            Identified::EventLogFile => Err("EventLogFile".into()),
        }
    }

    #[test]
    fn every_data_set_is_known_by_its_whole_header_in_either_case() {
        for event in event_types() {
            let plain: Vec<&str> = event.columns.iter().map(|c| c.heading.as_str()).collect();
            assert_eq!(found(&plain), Ok(event.name.clone()));
            let upper: Vec<String> = plain.iter().map(|h| h.to_uppercase()).collect();
            let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
            assert_eq!(found(&upper), Ok(event.name.clone()));
        }
    }

    #[test]
    fn every_data_set_is_known_by_what_people_select() {
        for (name, select) in [
            ("User", "Id Username IsActive ProfileId"),
            (
                "User",
                "Id Username Name Email IsActive UserType ProfileId Profile.Name",
            ),
            ("UserLogin", "UserId IsFrozen IsPasswordLocked"),
            ("Profile", "Id Name UserLicense.Name PermissionsApiUserOnly"),
            ("Profile", "Id Name PermissionsModifyAllData"),
            ("PermissionSet", "Id Name Label PermissionsModifyAllData"),
            (
                "PermissionSet",
                "Id Name IsOwnedByProfile ProfileId PermissionsFutureThing",
            ),
            ("PermissionSetAssignment", "AssigneeId PermissionSetId"),
            (
                "PermissionSetAssignment",
                "Id AssigneeId Assignee.Username PermissionSetId PermissionSet.Name PermissionSetGroupId ExpirationDate IsActive",
            ),
            (
                "PermissionSetLicenseAssign",
                "AssigneeId PermissionSetLicense.DeveloperName",
            ),
            (
                "ConnectedApplication",
                "Id Name OptionsAllowAdminApprovedUsersOnly",
            ),
            (
                "ConnectedApp",
                "fullName label oauthConfig.scopes oauthPolicy.ipRelaxation",
            ),
            (
                "ExternalClientApplication",
                "externalClientApplication ipRelaxationPolicyType permittedUsersPolicyType",
            ),
            (
                "SetupEntityAccess",
                "ParentId SetupEntityId SetupEntityType",
            ),
            ("OauthToken", "AppName UserId LastUsedDate UseCount"),
            ("LoginIpRange", "Profile.Name StartAddress EndAddress"),
            ("LoginIpRange", "ProfileId IpStartAddress IpEndAddress"),
            (
                "VerificationHistory",
                "VerificationTime UserId VerificationMethod Status Remarks",
            ),
        ] {
            let headings: Vec<&str> = select.split(' ').collect();
            assert_eq!(found(&headings), Ok(name.to_owned()), "{select}");
        }
    }

    #[test]
    fn a_data_set_without_what_gives_it_its_meaning_is_refused_and_says_what_to_add() {
        for (select, lacking) in [
            ("Id Username UserType", "IsActive and ProfileId"),
            ("UserId IsPasswordLocked", "IsFrozen"),
            ("Id Name UserLicense.Name", "Permissions"),
            (
                "Assignee.Username PermissionSet.Name",
                "AssigneeId and PermissionSetId",
            ),
            (
                "AssigneeId PermissionSetLicenseId",
                "PermissionSetLicense.DeveloperName",
            ),
            ("StartAddress EndAddress", "ProfileId or Profile.Name"),
            (
                "Id Name RefreshTokenValidityPeriod",
                "OptionsAllowAdminApprovedUsersOnly",
            ),
            ("VerificationTime VerificationMethod UserId", "Status"),
        ] {
            let headings: Vec<&str> = select.split(' ').collect();
            let reason = found(&headings).unwrap_err();
            assert!(reason.contains(lacking), "{select}: {reason}");
        }
    }

    #[test]
    fn a_column_of_secrets_refuses_the_file_without_repeating_its_heading() {
        for heading in [
            "ConsumerSecret",
            "oauthConfig.consumerSecret",
            "CLIENT_SECRET",
            "Password",
            "NewPassword",
        ] {
            let reason = found(&["Id", "Name", "OptionsAllowAdminApprovedUsersOnly", heading]);
            let reason = reason.unwrap_err();
            assert!(
                reason.contains("column 4") && !reason.contains(heading),
                "{reason}"
            );
        }
    }

    #[test]
    fn settings_about_secrets_and_passwords_are_no_secrets() {
        for heading in [
            "LastPasswordChangeDate",
            "PermissionsPasswordNeverExpires",
            "IsPasswordLocked",
            "oauthConfig.isConsumerSecretOptional",
            "oauthConfig.isSecretRequiredForRefreshToken",
            "Profile.PermissionsPasswordNeverExpires",
        ] {
            assert_eq!(secret_column(&["Id", heading]), None, "{heading}");
        }
    }

    #[test]
    fn what_names_a_person_is_dropped() {
        let catalog = Catalog::embedded();
        let user = catalog.event_type("User").unwrap();
        for heading in ["Name", "FirstName", "Email", "Phone", "Street", "Title"] {
            let column = user.column(heading).unwrap();
            assert_eq!(
                column.treatment,
                crate::catalog::Treatment::Drop,
                "{heading}"
            );
        }
    }

    #[test]
    fn every_permission_is_a_flag_of_profiles_and_of_permission_sets() {
        let catalog = Catalog::embedded();
        let flags = |name: &str| -> Vec<String> {
            let event = catalog.event_type(name).unwrap();
            let columns = event.columns.iter();
            columns
                .filter(|c| c.heading.starts_with("Permissions") && c.kind == ColumnKind::Boolean)
                .map(|c| c.heading.clone())
                .collect()
        };
        assert!(flags("Profile").len() > 70);
        assert_eq!(flags("Profile"), flags("PermissionSet"));
    }
}
