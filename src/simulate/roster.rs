//! What the org says of itself: users, profiles, permissions, apps and tokens, as exported once a
//! week beside the logs. A tidy org: what is wrong in it, attacks and stories bring.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use ipnet::IpNet;

use super::acts::{Door, Text};
use super::declare::{machines, profile};
use super::delivery;
use super::error::SimulateError;
use super::moment::{DAY, HOUR, later, queried, start_of};
use super::org::{Org, Rhythm, Role, User, record_id};
use super::table::{Quoting, put_cell};
use crate::catalog::sf_id18;

const FLAGS: [&str; 11] = [
    "ApiEnabled",
    "ApiUserOnly",
    "ModifyAllData",
    "ViewAllData",
    "ManageUsers",
    "CustomizeApplication",
    "AuthorApex",
    "ViewSetup",
    "IsSsoEnabled",
    "PasswordNeverExpires",
    "ViewEventLogFiles",
];
const ADMIN: &str = "System Administrator";
const STANDARD: &str = "Standard User";
const GUEST: &str = "Help Site Profile";
const INTERNAL: &str = "Internal Owner";
const SALESFORCE: &str = "Salesforce";
const INTEGRATION: &str = "Salesforce Integration";

/// Days between two exports.
const EVERY: i64 = 7;

/// Whether the roster is exported in the night after that day.
pub fn is_due(org: &Org, day: NaiveDate) -> bool {
    (day - org.first_day).num_days() % EVERY == 0 || day == org.last_day
}

/// Writes the export of the night after `day` into that night's folder.
pub fn write(org: &Org, logs: &Path, day: NaiveDate) -> Result<(), SimulateError> {
    let night = later(day, 1);
    let export = Export {
        org,
        folder: logs.join(night.to_string()).join("roster"),
        night,
    };
    export.users()?;
    export.profiles()?;
    export.permission_sets()?;
    export.apps()?;
    export.ranges()?;
    export.tokens()
}

struct Export<'o> {
    org: &'o Org,
    folder: PathBuf,
    night: NaiveDate,
}

impl Export<'_> {
    fn users(&self) -> Result<(), SimulateError> {
        let headings = "Id,Username,IsActive,UserType,ProfileId,Profile.Name,Profile.UserLicense.Name,\
            CreatedDate,LastLoginDate,LastPasswordChangeDate";
        let rows = self.org.users.iter().map(|user| {
            let profile = self.profile_of(user);
            let created = start_of(later(self.org.first_day, -400));
            vec![
                user.id18.to_string(),
                user.username.to_string(),
                "true".into(),
                match user.role {
                    Role::Guest => "Guest".into(),
                    Role::AutomatedProcess => "AutomatedProcess".into(),
                    _ => "Standard".into(),
                },
                profile.as_ref().map(|p| profile_id(p)).unwrap_or_default(),
                profile.clone().unwrap_or_default(),
                profile.map(|p| licence(&p).to_owned()).unwrap_or_default(),
                queried(created),
                self.last_login(user).map(queried).unwrap_or_default(),
                self.password_set(user).map(queried).unwrap_or_default(),
            ]
        });
        self.csv("User", headings, rows)?;
        let states = self.org.users.iter().enumerate().map(|(n, user)| {
            let id = sf_id18(&record_id("0Yw", n)).unwrap_or_default();
            vec![id, user.id18.to_string(), "false".into(), "false".into()]
        });
        self.csv("UserLogin", "Id,UserId,IsFrozen,IsPasswordLocked", states)?;
        let machines = self.machine_users();
        let rows = machines.iter().map(|user| {
            vec![
                user.id18.to_string(),
                "SalesforceAPIIntegrationPsl".to_owned(),
            ]
        });
        self.csv(
            "PermissionSetLicenseAssign",
            "AssigneeId,PermissionSetLicense.DeveloperName",
            rows,
        )
    }

    fn machine_users(&self) -> Vec<&User> {
        let users = self.org.users.iter();
        users
            .filter(|u| matches!(u.role, Role::Integration | Role::Ci | Role::LogReader))
            .collect()
    }

    fn profile_of(&self, user: &User) -> Option<String> {
        let n = self.org.users.iter().position(|u| u.id15 == user.id15)?;
        match user.role {
            Role::Integration | Role::Ci | Role::LogReader => Some(profile(self.org, n)),
            Role::Admin => Some(ADMIN.to_owned()),
            Role::Human => Some(STANDARD.to_owned()),
            Role::Guest => Some(GUEST.to_owned()),
            Role::InternalSystem => Some(INTERNAL.to_owned()),
            Role::AutomatedProcess => None,
        }
    }

    /// Close enough: nobody logs in at the same hour every day.
    fn last_login(&self, user: &User) -> Option<i64> {
        let idle = self.org.user(self.org.machines[self.org.dormant].user);
        match user.role {
            _ if user.id15 == idle.id15 => match self.org.machines[self.org.dormant].rhythm {
                Rhythm::Past { days } => {
                    Some(start_of(self.org.first_day) + (days - 1) * DAY + 9 * HOUR)
                }
                _ => None,
            },
            Role::Guest | Role::InternalSystem | Role::AutomatedProcess => None,
            _ => Some(start_of(later(self.night, -1)) + 9 * HOUR),
        }
    }

    fn password_set(&self, user: &User) -> Option<i64> {
        let soap = |u: &User| {
            machines(self.org)
                .any(|(_, m)| m.door == Door::Soap && self.org.user(m.user).id15 == u.id15)
        };
        match user.role {
            Role::Admin | Role::Human => Some(start_of(later(self.org.first_day, -30)) + 8 * HOUR),
            Role::Integration if soap(user) => {
                Some(start_of(later(self.org.first_day, -20)) + 8 * HOUR)
            }
            _ => None,
        }
    }

    /// Each profile with its permissions.
    fn all_profiles(&self) -> Vec<(String, Vec<&'static str>)> {
        let admin = FLAGS
            .iter()
            .copied()
            .filter(|f| !matches!(*f, "ApiUserOnly" | "PasswordNeverExpires"));
        let mut all = vec![
            (ADMIN.to_owned(), admin.collect()),
            (STANDARD.to_owned(), vec!["ApiEnabled"]),
            (GUEST.to_owned(), vec![]),
            (INTERNAL.to_owned(), vec!["ApiUserOnly"]),
        ];
        for (_, machine) in machines(self.org) {
            all.push((
                profile(self.org, machine.user),
                vec!["ApiEnabled", "ApiUserOnly"],
            ));
        }
        all
    }

    fn profiles(&self) -> Result<(), SimulateError> {
        let headings = format!("Id,Name,UserType,UserLicense.Name,{}", flag_names());
        let rows = self.all_profiles().into_iter().map(|(name, flags)| {
            let kind = if name == GUEST { "Guest" } else { "Standard" };
            let mut row = vec![
                profile_id(&name),
                name.clone(),
                kind.to_owned(),
                licence(&name).to_owned(),
            ];
            row.extend(flag_cells(&flags));
            row
        });
        self.csv("Profile", &headings, rows)
    }

    fn permission_sets(&self) -> Result<(), SimulateError> {
        let headings = format!(
            "Id,Name,Label,Type,IsOwnedByProfile,ProfileId,PermissionSetGroupId,{}",
            flag_names()
        );
        let own = self.all_profiles().into_iter().map(|(name, flags)| {
            let id = profile_id(&name);
            let hidden = format!("X{id}");
            let mut row = vec![
                set_id(&hidden),
                hidden.clone(),
                hidden,
                "Profile".into(),
                "true".into(),
                id,
                "".into(),
            ];
            row.extend(flag_cells(&flags));
            row
        });
        let mut reading = vec![
            set_id("Read_Logs"),
            "Read_Logs".into(),
            "Read Logs".into(),
            "Regular".into(),
            "false".into(),
            "".into(),
            "".into(),
        ];
        reading.extend(flag_cells(&["ApiEnabled", "ViewEventLogFiles"]));
        self.csv("PermissionSet", &headings, own.chain([reading]))?;
        let reader = self.org.users.iter().filter(|u| u.role == Role::LogReader);
        let rows = reader.map(|user| {
            let id = sf_id18(&record_id("0Pa", 1)).unwrap_or_default();
            vec![
                id,
                user.id18.to_string(),
                set_id("Read_Logs"),
                "".into(),
                "true".into(),
                "".into(),
            ]
        });
        self.csv(
            "PermissionSetAssignment",
            "Id,AssigneeId,PermissionSetId,PermissionSetGroupId,IsActive,ExpirationDate",
            rows,
        )
    }

    fn apps(&self) -> Result<(), SimulateError> {
        let headings = "Id,Name,CreatedDate,OptionsAllowAdminApprovedUsersOnly,ipRelaxation,\
            refreshTokenPolicy,scopes";
        let created = queried(start_of(later(self.org.first_day, -390)));
        let connected = self.org.apps.iter().filter(|app| app.id.starts_with("0H4"));
        let rows = connected.map(|app| {
            vec![
                app.id18(),
                app.name.to_string(),
                created.clone(),
                "true".into(),
                "ENFORCE_IP_RANGES".into(),
                "SPECIFIC_INACTIVITY".into(),
                "api refresh_token".into(),
            ]
        });
        self.csv("ConnectedApplication", headings, rows)
    }

    fn ranges(&self) -> Result<(), SimulateError> {
        let mut rows = vec![];
        for (_, machine) in machines(self.org) {
            let name = profile(self.org, machine.user);
            // The profile has the second site long before anybody moves there.
            let known = machine
                .sites
                .iter()
                .flat_map(|s| s.networks.iter().cloned());
            let networks: Vec<Text> = if machine.declared {
                known.collect()
            } else {
                vec![]
            };
            if networks.is_empty() {
                rows.push(vec![profile_id(&name), name.clone(), "".into(), "".into()]);
            }
            for network in networks {
                let (start, end) = ends(&network);
                rows.push(vec![profile_id(&name), name.clone(), start, end]);
            }
        }
        rows.push(vec![
            profile_id(INTERNAL),
            INTERNAL.to_owned(),
            "0.0.0.0".into(),
            "0.0.0.0".into(),
        ]);
        self.csv(
            "LoginIpRange",
            "ProfileId,Profile.Name,StartAddress,EndAddress",
            rows.into_iter(),
        )
    }

    /// As a query answers with `--json`.
    fn tokens(&self) -> Result<(), SimulateError> {
        let used = queried(start_of(self.night));
        let mut records = vec![];
        for machine in &self.org.machines {
            let app = machine.app.and_then(|n| self.org.apps.get(n));
            if let (Door::Refresh, Some(app)) = (machine.door, app) {
                records.push(serde_json::json!({
                    "attributes": { "type": "OauthToken" },
                    "UserId": &*self.org.user(machine.user).id18,
                    "AppName": &*app.name,
                    "UseCount": 4000 + machine.rows,
                    "LastUsedDate": used,
                }));
            }
        }
        let answer = serde_json::json!({
            "status": 0,
            "result": { "totalSize": records.len(), "done": true, "records": records },
        });
        let path = self.folder.join(format!("OauthToken_{}.json", self.night));
        let mut file = delivery::create(&path)?;
        let written = serde_json::to_writer_pretty(&mut file, &answer).map_err(io::Error::from);
        let written = written
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.flush());
        written.map_err(|source| SimulateError::Write { path, source })
    }

    fn csv(
        &self,
        name: &str,
        headings: &str,
        rows: impl Iterator<Item = Vec<String>>,
    ) -> Result<(), SimulateError> {
        let path = self.folder.join(format!("{name}_{}.csv", self.night));
        let mut file = delivery::create(&path)?;
        let headings: Vec<String> = headings.split(',').map(|h| h.trim().to_owned()).collect();
        let mut put = |row: &[String]| -> io::Result<()> {
            let mut line = vec![];
            for (n, cell) in row.iter().enumerate() {
                if n > 0 {
                    line.push(b',');
                }
                put_cell(cell.as_bytes(), Quoting::Always, &mut line);
            }
            line.push(b'\n');
            file.write_all(&line)
        };
        let written = put(&headings).and_then(|()| {
            for row in rows {
                put(&row)?;
            }
            Ok(())
        });
        let written = written.and_then(|()| file.flush());
        written.map_err(|source| SimulateError::Write { path, source })
    }
}

fn licence(profile: &str) -> &'static str {
    match profile {
        GUEST => "Guest User License",
        name if name.starts_with("API Base") => INTEGRATION,
        _ => SALESFORCE,
    }
}

fn profile_id(name: &str) -> String {
    named_id("00e", name)
}

fn set_id(name: &str) -> String {
    named_id("0PS", name)
}

/// An id that depends on nothing but the name.
fn named_id(prefix: &str, name: &str) -> String {
    let hash = blake3::hash(name.as_bytes());
    let number = hash.as_bytes()[..6]
        .iter()
        .fold(0usize, |n, byte| n << 8 | usize::from(*byte));
    sf_id18(&record_id(prefix, number)).unwrap_or_default()
}

fn flag_names() -> String {
    FLAGS.map(|flag| format!("Permissions{flag}")).join(",")
}

fn flag_cells(flags: &[&str]) -> Vec<String> {
    FLAGS
        .iter()
        .map(|flag| flags.contains(flag).to_string())
        .collect()
}

/// First and last address of a network.
fn ends(network: &str) -> (String, String) {
    match network.parse::<IpNet>() {
        Ok(net) => (net.network().to_string(), net.broadcast().to_string()),
        Err(_) => Default::default(),
    }
}
