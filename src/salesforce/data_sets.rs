//! What is asked of the org beside its log files: which columns of which object, and the
//! permission that this takes.

use std::collections::HashSet;

use super::Window;
use super::soql::Soql;
use crate::catalog::Catalog;

/// One list of the org, as the catalogue knows it.
#[derive(Debug)]
pub struct DataSet {
    /// The object's API name, which is the catalogue's name too.
    pub name: &'static str,
    /// What reading all of it needs, in Salesforce's own words.
    pub permission: &'static str,
    /// Without these it says nothing.
    pub(super) needed: &'static [&'static str],
    /// Left out where the org does not have them.
    pub(super) optional: &'static [&'static str],
    /// The column that windows are cut by.
    pub(super) time: Option<&'static str>,
    /// Column of the user that a row is of, where the rows are of several in any org.
    pub(super) user: Option<&'static str>,
    /// Rows are told apart by `Id`.
    pub(super) has_id: bool,
    /// Which `Permissions…` columns there are differs from org to org.
    pub(super) has_permissions: bool,
    /// Only rows with one of these values in this column.
    only: Option<(&'static str, &'static [&'static str])>,
    /// The org ends an answer at so many rows and does not say so: ask user by user.
    pub(super) cut_at: Option<u64>,
}

const PLAIN: DataSet = DataSet {
    name: "",
    permission: "View Setup and Configuration",
    needed: &[],
    optional: &[],
    time: None,
    user: None,
    has_id: true,
    has_permissions: false,
    only: None,
    cut_at: None,
};

/// Logins of the last six months.
pub const LOGIN_HISTORY: DataSet = DataSet {
    name: "LoginHistory",
    permission: "Manage Users or Monitor Login History",
    needed: &[
        "Id",
        "UserId",
        "LoginTime",
        "SourceIp",
        "LoginType",
        "Status",
    ],
    optional: &[
        "LoginSubType",
        "ForwardedForIp",
        "Application",
        "Browser",
        "Platform",
        "ClientVersion",
        "ApiType",
        "ApiVersion",
        "LoginUrl",
        "TlsProtocol",
        "CipherSuite",
        "OptionsIsGet",
        "OptionsIsPost",
        "AuthenticationServiceId",
        "AuthMethodReference",
        "LoginGeoId",
        "CountryIso",
        "NetworkId",
    ],
    time: Some("LoginTime"),
    user: Some("UserId"),
    ..PLAIN
};

/// Changes made in Setup in the last 180 days.
pub const SETUP_AUDIT_TRAIL: DataSet = DataSet {
    name: "SetupAuditTrail",
    needed: &[
        "Id",
        "CreatedDate",
        "CreatedById",
        "Action",
        "Section",
        "Display",
    ],
    optional: &[
        "CreatedBy.Username",
        "DelegateUser",
        "ResponsibleNamespacePrefix",
        "CreatedByContext",
        "CreatedByIssuer",
    ],
    time: Some("CreatedDate"),
    user: Some("CreatedById"),
    ..PLAIN
};

/// Identity verifications of the last six months.
pub const VERIFICATION_HISTORY: DataSet = DataSet {
    name: "VerificationHistory",
    permission: "Manage Users",
    needed: &[
        "Id",
        "VerificationTime",
        "UserId",
        "VerificationMethod",
        "Status",
    ],
    optional: &[
        "Activity",
        "Policy",
        "SourceIp",
        "LoginHistoryId",
        "ResourceId",
        "LoginGeoId",
    ],
    time: Some("VerificationTime"),
    user: Some("UserId"),
    ..PLAIN
};

/// What is asked for by time.
pub const HISTORIES: [DataSet; 3] = [LOGIN_HISTORY, VERIFICATION_HISTORY, SETUP_AUDIT_TRAIL];

/// The lists that say what the org is: users, permissions and apps.
pub const ROSTER: &[DataSet] = &[
    DataSet {
        name: "User",
        needed: &["Id", "Username", "IsActive", "ProfileId"],
        optional: &[
            "UserType",
            "Profile.Name",
            "Profile.UserLicense.Name",
            "UserRoleId",
            "ManagerId",
            "CreatedDate",
            "CreatedById",
            "LastModifiedDate",
            "LastModifiedById",
            "LastLoginDate",
            "LastPasswordChangeDate",
            "NumberOfFailedLogins",
        ],
        user: Some("Id"),
        ..PLAIN
    },
    DataSet {
        name: "UserLogin",
        permission: "Manage Users",
        needed: &["Id", "UserId", "IsFrozen"],
        optional: &["IsPasswordLocked", "LastModifiedDate", "LastModifiedById"],
        user: Some("UserId"),
        ..PLAIN
    },
    DataSet {
        name: "Profile",
        needed: &["Id", "Name"],
        optional: &[
            "UserType",
            "UserLicenseId",
            "UserLicense.Name",
            "CreatedDate",
            "CreatedById",
            "LastModifiedDate",
            "LastModifiedById",
        ],
        has_permissions: true,
        ..PLAIN
    },
    DataSet {
        name: "PermissionSet",
        needed: &["Id", "Name"],
        optional: &[
            "Label",
            "Type",
            "IsOwnedByProfile",
            "IsCustom",
            "ProfileId",
            "Profile.Name",
            "PermissionSetGroupId",
            "LicenseId",
            "NamespacePrefix",
            "HasActivationRequired",
            "CreatedDate",
            "CreatedById",
            "LastModifiedDate",
            "LastModifiedById",
        ],
        has_permissions: true,
        ..PLAIN
    },
    DataSet {
        name: "PermissionSetAssignment",
        needed: &["Id", "AssigneeId", "PermissionSetId"],
        optional: &[
            "PermissionSetGroupId",
            "PermissionSetGroup.DeveloperName",
            "IsActive",
            "ExpirationDate",
            "SystemModstamp",
        ],
        user: Some("AssigneeId"),
        ..PLAIN
    },
    DataSet {
        name: "PermissionSetLicenseAssign",
        needed: &["Id", "AssigneeId", "PermissionSetLicense.DeveloperName"],
        optional: &["PermissionSetLicenseId"],
        ..PLAIN
    },
    DataSet {
        name: "ConnectedApplication",
        needed: &["Id", "Name", "OptionsAllowAdminApprovedUsersOnly"],
        optional: &[
            "CreatedDate",
            "CreatedById",
            "LastModifiedDate",
            "LastModifiedById",
            "OptionsHasSessionLevelPolicy",
            "OptionsIsInternal",
            "OptionsAppIssueJwtTokenEnabled",
            "OptionsRefreshTokenValidityMetric",
            "RefreshTokenValidityPeriod",
        ],
        ..PLAIN
    },
    DataSet {
        name: "SetupEntityAccess",
        needed: &["Id", "ParentId", "SetupEntityId", "SetupEntityType"],
        optional: &["SystemModstamp"],
        only: Some((
            "SetupEntityType",
            &["ConnectedApplication", "ExternalClientApplication"],
        )),
        ..PLAIN
    },
    // Beside these it holds the tokens themselves, which are never asked for. `Id` is always
    // empty.
    DataSet {
        name: "OauthToken",
        permission: "Customize Application",
        needed: &["UserId", "AppName"],
        optional: &["AppMenuItemId", "UseCount", "LastUsedDate"],
        user: Some("UserId"),
        has_id: false,
        cut_at: Some(2500),
        ..PLAIN
    },
];

/// Who holds tokens, to ask for them user by user.
pub(super) const USER_IDS: DataSet = DataSet {
    name: "User",
    needed: &["Id"],
    ..PLAIN
};

/// What reading the login IP ranges of profiles needs.
pub const LOGIN_IP_RANGES_PERMISSION: &str = PLAIN.permission;

impl DataSet {
    /// The query of these columns.
    pub(super) fn soql(&self, columns: &[String], window: Option<Window>) -> Soql {
        let mut soql = self.narrowed(Soql::select(columns.iter().map(String::as_str), self.name));
        if let (Some(time), Some(window)) = (self.time, window) {
            soql = soql.since(time, window.from).before(time, window.to);
        }
        match self.time {
            Some(time) => soql.order_by(&[time]),
            None => soql,
        }
    }

    /// The query of how many rows there are.
    pub(super) fn count(&self) -> Soql {
        self.narrowed(Soql::count(self.name))
    }

    fn narrowed(&self, soql: Soql) -> Soql {
        match self.only {
            Some((column, values)) => soql.one_of(column, values),
            None => soql,
        }
    }

    /// The columns that every org has, as far as is known without asking it.
    pub(super) fn columns(&self) -> Vec<String> {
        let all = self.needed.iter().chain(self.optional);
        all.map(|c| c.to_string()).collect()
    }

    /// Of the columns that an org has, the permissions that the catalogue keeps. Of two names of
    /// one permission the first.
    pub(super) fn permissions(&self, described: &[&str]) -> Vec<String> {
        let catalog = Catalog::embedded();
        let Some(event) = catalog.event_type(self.name) else {
            return vec![];
        };
        let mut met = HashSet::new();
        let names = described.iter().filter(|name| {
            name.starts_with("Permissions")
                && event.column(name).is_some_and(|c| met.insert(&c.heading))
        });
        names.map(|name| name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Identified, PrivacyClass, Treatment};
    use crate::salesforce::soql::is_askable;

    fn all() -> impl Iterator<Item = &'static DataSet> {
        [
            &LOGIN_HISTORY,
            &SETUP_AUDIT_TRAIL,
            &VERIFICATION_HISTORY,
            &USER_IDS,
        ]
        .into_iter()
        .chain(ROSTER)
    }

    /// Every column that the query of a data set can have.
    fn widest(set: &DataSet) -> Vec<String> {
        let catalog = Catalog::embedded();
        let event = catalog.event_type(set.name).unwrap();
        let described: Vec<&str> = event
            .columns
            .iter()
            .flat_map(|c| std::iter::once(&c.heading).chain(&c.aliases))
            .map(String::as_str)
            .chain([
                "PermissionsOfTheFuture",
                "AccessToken",
                "DeleteToken",
                "Password",
            ])
            .collect();
        let mut columns = set.columns();
        if set.has_permissions {
            columns.extend(set.permissions(&described));
        }
        columns
    }

    #[test]
    fn no_query_can_ask_for_a_secret() {
        for set in all() {
            let window = Window {
                from: chrono::DateTime::UNIX_EPOCH,
                to: chrono::DateTime::UNIX_EPOCH,
            };
            let columns = widest(set);
            let text = set.soql(&columns, Some(window)).text();
            for secret in [
                "AccessToken",
                "RequestToken",
                "DeleteToken",
                "Secret",
                "Email",
            ] {
                assert!(!text.contains(secret), "{text}");
            }
            for word in text.split([' ', ',']).filter(|w| w.contains("Password")) {
                assert!(
                    [
                        "LastPasswordChangeDate",
                        "IsPasswordLocked",
                        "PermissionsPasswordNeverExpires",
                        "PermissionsResetPasswords",
                        "PermissionsManagePasswordPolicies",
                    ]
                    .contains(&word),
                    "{word}"
                );
            }
            // Nothing of ours is silently left out, and the address stays short enough.
            assert!(columns.iter().all(|c| is_askable(c)), "{}", set.name);
            assert!(text.len() < 8_000, "{}", text.len());
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_catalogue_knows_and_keeps() {
        let catalog = Catalog::embedded();
        for set in all().filter(|set| set.needed.len() > 1) {
            let columns = widest(set);
            let headings: Vec<&str> = columns.iter().map(String::as_str).collect();
            match catalog.identify(&headings) {
                Identified::Export(event) => assert_eq!(event.name, set.name),
                other => panic!("{}: {other:?}", set.name),
            }
            let event = catalog.event_type(set.name).unwrap();
            for column in &columns {
                let known = event.column(column);
                let known = known.unwrap_or_else(|| panic!("{} {column}", set.name));
                assert_ne!(known.treatment, Treatment::Drop, "{} {column}", set.name);
                assert!(
                    known.class != PrivacyClass::RecordData || column == "Display",
                    "{} {column}",
                    set.name
                );
            }
            for column in [set.time, set.user].into_iter().flatten() {
                assert!(set.needed.contains(&column), "{} {column}", set.name);
            }
            assert_eq!(set.has_id, set.needed.contains(&"Id"), "{}", set.name);
        }
    }

    #[test]
    fn the_needed_columns_alone_are_still_read() {
        let catalog = Catalog::embedded();
        for set in all().filter(|set| set.needed.len() > 1 && !set.has_permissions) {
            assert!(
                matches!(catalog.identify(set.needed), Identified::Export(e) if e.name == set.name),
                "{}",
                set.name
            );
        }
    }

    #[test]
    fn permissions_are_those_that_both_the_org_and_the_catalogue_have() {
        let profile = ROSTER.iter().find(|set| set.name == "Profile").unwrap();
        let found = profile.permissions(&[
            "Id",
            "PermissionsModifyAllData",
            "PermissionsCanApproveUninstalledApps",
            "PermissionsApproveUninstalledConnectedApps",
            "PermissionsOfTheFuture",
            "Description",
        ]);
        assert_eq!(
            found,
            [
                "PermissionsModifyAllData",
                "PermissionsCanApproveUninstalledApps"
            ]
        );
    }

    #[test]
    fn a_window_is_half_open_and_only_apps_are_asked_for() {
        let at = |text: &str| text.parse().unwrap();
        let window = Window {
            from: at("2026-01-01T00:00:00Z"),
            to: at("2026-01-02T00:00:00Z"),
        };
        assert_eq!(
            VERIFICATION_HISTORY
                .soql(&["Id".to_owned()], Some(window))
                .text(),
            "SELECT Id FROM VerificationHistory WHERE VerificationTime >= 2026-01-01T00:00:00.000Z \
             AND VerificationTime < 2026-01-02T00:00:00.000Z ORDER BY VerificationTime"
        );
        let access = ROSTER
            .iter()
            .find(|s| s.name == "SetupEntityAccess")
            .unwrap();
        assert_eq!(
            access.soql(&["Id".to_owned()], Some(window)).text(),
            "SELECT Id FROM SetupEntityAccess WHERE SetupEntityType IN \
             ('ConnectedApplication','ExternalClientApplication')"
        );
    }
}
