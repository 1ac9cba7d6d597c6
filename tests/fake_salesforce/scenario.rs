//! Orgs to start with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::clock::{self, Clock, rest_time};
use super::faults::Faults;
use super::ids;
use super::journal::Journal;
use super::keys;
use super::log_files::{Blob, Rows};
use super::objects::Objects;
use super::quirks::Quirks;
use super::state::{Addresses, App, AppKind, Org, Permitted, State, User};
use super::token;

pub const USERNAME: &str = "orgwatch@example.com";
pub const CLIENT_ID: &str = "3MVG9.fake.consumer.key";
pub const CLIENT_SECRET: &str = "LEAK-CANARY-client-secret";
/// The one that apps of the vendor's own command line name as well.
pub const CALLBACK_URL: &str = "http://localhost:1717/OauthRedirect";
/// Eighteen characters, as the sample org's.
pub const ORG_ID: &str = "00D5e000000AcmEEAS";

pub struct Scenario {
    pub state: State,
}

impl Scenario {
    /// An org with its integration, which may read everything, and nothing else.
    pub fn empty() -> Self {
        let user = User {
            id: ids::id("005", 1),
            username: USERNAME.to_owned(),
            active: true,
            frozen: false,
            profile_id: ids::id("00e", 1),
            permissions: token::integration_permissions(),
            mutual_tls: false,
            logins: Vec::new(),
        };
        let app = App {
            consumer_key: CLIENT_ID.to_owned(),
            secret: CLIENT_SECRET.to_owned(),
            public_key: keys::jwt_public_pem().to_owned(),
            kind: AppKind::External,
            jwt: true,
            client_credentials: true,
            web_server: true,
            secret_required: false,
            pkce_required: true,
            callback_urls: BTreeSet::from([CALLBACK_URL.to_owned()]),
            permitted: Permitted::AdminApproved,
            approved: BTreeSet::from([USERNAME.to_owned()]),
            run_as: Some(USERNAME.to_owned()),
            scopes: "api refresh_token".to_owned(),
            session: TimeDelta::hours(2),
            address_refused: false,
        };
        let state = State {
            clock: Clock::at(clock::time(clock::START)),
            skew: TimeDelta::zero(),
            org: Org {
                id: ids::long(ORG_ID),
                versions: 31..=66,
                api_usage: 120,
                api_limit: 100_000,
                app_usage: None,
                hourly: true,
                retention: TimeDelta::days(30),
            },
            users: vec![user],
            apps: vec![app],
            tokens: Vec::new(),
            refresh_tokens: Vec::new(),
            codes: Vec::new(),
            verifiers: Vec::new(),
            log_files: Vec::new(),
            rows: BTreeMap::new(),
            objects: Objects::standard(),
            login_ip_ranges: BTreeMap::new(),
            cursors: VecDeque::new(),
            faults: Faults::default(),
            journal: Journal::default(),
            quirks: Quirks::default(),
            addresses: Addresses::default(),
            counter: 1000,
        };
        Self { state }
    }

    /// A small healthy org: three days of log files (Login, RestApi and a type that nobody knows,
    /// each daily; the last day of Login hourly too), logins, changes in Setup, and a roster.
    pub fn org() -> Self {
        let mut scenario = Self::empty();
        let state = &mut scenario.state;
        let midnight = clock::time("2026-01-31T00:00:00Z");
        for days in [3, 2, 1] {
            let day = midnight - TimeDelta::days(days);
            for (minutes, event_type) in [(70, "Login"), (75, "RestApi"), (75, "FrobnicateEvent")] {
                let created = day + TimeDelta::days(1) + TimeDelta::minutes(minutes);
                let body = generated(state, event_type, day, 20);
                state.add_log_file(event_type, day, 0, created, body);
            }
        }
        for hour in 20..23 {
            let start = midnight - TimeDelta::hours(24 - hour);
            let created = start + TimeDelta::hours(3) + TimeDelta::minutes(20);
            let body = generated(state, "Login", start, 5);
            state.add_log_file("Login", start, 1, created, body);
        }
        add_logins(state, midnight);
        add_roster(state, midnight);
        scenario
    }

    /// An org in which a first run has much to do: so many small files over the last 29 days, and
    /// one of about so many bytes.
    pub fn big(files: u64, bytes: u64) -> Self {
        const TYPES: [&str; 5] = ["ApiTotalUsage", "Login", "RestApi", "URI", "API"];
        let mut scenario = Self::org();
        let state = &mut scenario.state;
        let midnight = clock::time("2026-01-31T00:00:00Z");
        let first = midnight - TimeDelta::days(29);
        let hours = 29 * 24;
        for number in 0..files.saturating_sub(1) {
            let start = first + TimeDelta::hours((number / TYPES.len() as u64 % hours) as i64);
            let event_type = TYPES[number as usize % TYPES.len()];
            let sequence = 1 + (number / (hours * TYPES.len() as u64)) as u32;
            let body = generated(state, event_type, start, 10);
            let created = start + TimeDelta::minutes(185);
            state.add_log_file(event_type, start, sequence, created.min(midnight), body);
        }
        let row = generated(state, "RestApi", first, 1);
        let rows = bytes / (row.length() / 2);
        let body = generated(state, "BulkApi", first, rows);
        state.add_log_file("BulkApi", first, 0, first + TimeDelta::days(1), body);
        scenario
    }

    /// Takes a permission of the integration away.
    pub fn without(mut self, permission: &str) -> Self {
        self.state.integration().permissions.remove(permission);
        self
    }

    /// Any other change.
    pub fn set(mut self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state);
        self
    }
}

/// Made rows of the integration, from `start` on.
pub fn generated(state: &mut State, event_type: &str, start: DateTime<Utc>, count: u64) -> Blob {
    let seed = state.next() as u32;
    Blob::Rows(Rows {
        event_type: event_type.to_owned(),
        organisation: state.org.id.clone(),
        user_id: state.users[0].id.clone(),
        start,
        count,
        seed,
    })
}

fn add_logins(state: &mut State, midnight: DateTime<Utc>) {
    let users = [
        state.users[0].id.clone(),
        ids::id("005", 2),
        ids::id("005", 3),
    ];
    for hour in 0..48 {
        let time = midnight - TimeDelta::hours(48 - hour) + TimeDelta::minutes(7);
        let id = state.new_id("0Ya");
        let row = json!({
            "Id": id,
            "UserId": users[hour as usize % 3],
            "LoginTime": rest_time(time),
            "LoginType": "Remote Access 2.0",
            "LoginSubType": null,
            "SourceIp": "198.51.100.7",
            "LoginUrl": "example.my.salesforce.com",
            "TlsProtocol": "TLS 1.3",
            "CipherSuite": "TLS_AES_256_GCM_SHA384",
            "Browser": "Unknown",
            "Platform": "Unknown",
            "Status": "Success",
            "Application": "ERP Sync",
            "ClientVersion": "N/A",
            "ApiType": "N/A",
            "ApiVersion": "N/A",
            "CountryIso": "US",
            "OptionsIsGet": false,
            "OptionsIsPost": true,
        });
        state.add_rows("LoginHistory", [row]);
    }
    for (hours, action) in [
        (30, "changedUserAdminVerifiedStatusVerified"),
        (5, "PermSetAssign"),
    ] {
        let id = state.new_id("0Ym");
        let row = json!({
            "Id": id,
            "Action": action,
            "Section": "Manage Users",
            "CreatedDate": rest_time(midnight - TimeDelta::hours(hours)),
            "CreatedById": users[1],
            "CreatedBy.Username": "admin@example.com",
            "Display": "Changed something of user erp@example.com",
            "DelegateUser": null,
            "CreatedByContext": null,
            "CreatedByIssuer": null,
            "ResponsibleNamespacePrefix": null,
        });
        state.add_rows("SetupAuditTrail", [row]);
    }
    let id = state.new_id("0ip");
    let row = json!({
        "Id": id,
        "VerificationTime": rest_time(midnight - TimeDelta::hours(6)),
        "EventGroup": null,
        "UserId": users[1],
        "VerificationMethod": "TotpCode",
        "Activity": "Login",
        "Policy": "TwoFactorAuthentication",
        "Status": "Succeeded",
        "SourceIp": "203.0.113.9",
    });
    state.add_rows("VerificationHistory", [row]);
}

fn add_roster(state: &mut State, midnight: DateTime<Utc>) {
    let made = rest_time(midnight - TimeDelta::days(400));
    let names = [USERNAME, "admin@example.com", "erp@example.com"];
    let profiles = ["API Base orgwatch", "System Administrator", "API Base erp"];
    for number in 1..=3u64 {
        let (user, profile) = (ids::id("005", number), ids::id("00e", number));
        let place = number as usize - 1;
        let integration = number != 2;
        let licence = if integration {
            "Salesforce Integration"
        } else {
            "Salesforce"
        };
        state.add_rows(
            "User",
            [json!({
                "Id": user,
                "Username": names[place],
                "Name": "LEAK-CANARY-name",
                "Email": "leak-canary@example.com",
                "IsActive": true,
                "UserType": "Standard",
                "ProfileId": profile,
                "Profile.Name": profiles[place],
                "Profile.UserLicense.Name": licence,
                "CreatedDate": made,
                "LastLoginDate": rest_time(midnight - TimeDelta::hours(1)),
                "LastPasswordChangeDate": null,
                "NumberOfFailedLogins": 0.0,
            })],
        );
        let id = state.new_id("0Yw");
        state.add_rows(
            "UserLogin",
            [json!({"Id": id, "UserId": user, "IsFrozen": false, "IsPasswordLocked": false})],
        );
        let mut row = json!({
            "Id": profile,
            "Name": profiles[place],
            "UserType": "Standard",
            "UserLicense.Name": licence,
            "CreatedDate": made,
        });
        let permissions = state
            .objects
            .get("Profile")
            .map(|object| object.fields.clone());
        for field in permissions.unwrap_or_default() {
            if field.name.starts_with("Permissions") {
                let held = !integration
                    || ["PermissionsApiEnabled", "PermissionsApiUserOnly"]
                        .contains(&field.name.as_str());
                row[field.name] = json!(held);
            }
        }
        let mut set = row.clone();
        state.add_rows("Profile", [row]);
        set["Id"] = json!(ids::id("0PS", number));
        set["Name"] = json!(format!("X{profile}"));
        set["Label"] = json!(profiles[place]);
        set["Type"] = json!("Profile");
        set["IsOwnedByProfile"] = json!(true);
        set["IsCustom"] = json!(false);
        set["ProfileId"] = json!(profile);
        set["Profile.Name"] = json!(profiles[place]);
        state.add_rows("PermissionSet", [set]);
        let id = state.new_id("0Pa");
        state.add_rows(
            "PermissionSetAssignment",
            [json!({
                "Id": id,
                "AssigneeId": user,
                "PermissionSetId": ids::id("0PS", number),
                "PermissionSetGroupId": null,
                "ExpirationDate": null,
                "IsActive": true,
            })],
        );
        if integration {
            let id = state.new_id("2LA");
            state.add_rows(
                "PermissionSetLicenseAssign",
                [json!({
                    "Id": id,
                    "AssigneeId": user,
                    "PermissionSetLicense.DeveloperName": "SalesforceAPIIntegrationPsl",
                })],
            );
            let range = (
                "198.51.100.0".to_owned(),
                "198.51.100.15".to_owned(),
                "office".to_owned(),
            );
            state.login_ip_ranges.insert(profile, vec![range]);
        }
    }
    let app = ids::id("0H4", 1);
    state.add_rows(
        "ConnectedApplication",
        [json!({
            "Id": app,
            "Name": "ERP Sync",
            "CreatedDate": made,
            "OptionsAllowAdminApprovedUsersOnly": true,
            "OptionsHasSessionLevelPolicy": false,
            "OptionsIsInternal": false,
            "OptionsAppIssueJwtTokenEnabled": false,
            "OptionsRefreshTokenValidityMetric": true,
            "RefreshTokenValidityPeriod": 30.0,
        })],
    );
    let id = state.new_id("0J0");
    state.add_rows(
        "SetupEntityAccess",
        [json!({
            "Id": id,
            "ParentId": ids::id("0PS", 3),
            "SetupEntityId": app,
            "SetupEntityType": "ConnectedApplication",
            "SystemModstamp": made,
        })],
    );
    state.add_rows(
        "OauthToken",
        [json!({
            "Id": null,
            "UserId": ids::id("005", 3),
            "AppName": "ERP Sync",
            "AppMenuItemId": null,
            "UseCount": 4021.0,
            "LastUsedDate": rest_time(midnight - TimeDelta::hours(1)),
            "AccessToken": "LEAK-CANARY-access-token",
            "DeleteToken": "LEAK-CANARY-delete-token",
            "RequestToken": "LEAK-CANARY-request-token",
        })],
    );
    let org = json!({
        "Id": state.org.id,
        "Name": "Example Org",
        "IsSandbox": false,
        "InstanceName": "EU99",
        "OrganizationType": "Enterprise Edition",
    });
    state.add_rows("Organization", [org]);
}
