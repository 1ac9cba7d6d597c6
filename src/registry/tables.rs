//! The registry as SQL tables.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::Registry;
use super::columns::{dates, flags, numbers, optional, optional_numbers, text, times};
use super::model::Validity;
use super::resolution::Resolution;

impl Registry {
    /// Tables for SQL, in this order. Text is Utf8View; times are Timestamp(ms, UTC), half-open
    /// and never NULL (0001-01-01 and 9999-12-31 where open); other columns may be NULL where
    /// marked `?`. A table without entries has its columns.
    ///
    /// | table | columns |
    /// |---|---|
    /// | `registry_users` | user_key, user_id?, username?, role, system?, owner?, networks_declared, apps_declared, flows_declared, allow_salesforce_ip, valid_from, valid_to, ticket?, mtls, cadence?, max_silence_minutes?, review_date? (Date32), tools_declared, endpoints_declared, hours_declared |
    /// | `registry_networks` | user_key, network, valid_from, valid_to |
    /// | `registry_apps` | user_key, app_id?, app_name?, valid_from, valid_to |
    /// | `registry_flows` | user_key, login_path, valid_from, valid_to |
    /// | `registry_windows` | kind, user_key, from_at, to_at, network? (NULL: everywhere), ticket? |
    /// | `registry_org_apps` | name, id?, vendor?, grant?, system?, mobile_sdk, valid_from, valid_to |
    /// | `registry_gateways` | user_key, network, valid_from, valid_to |
    /// | `registry_ui_paths` | user_key, path, valid_from, valid_to |
    /// | `registry_tools` | user_key, tool, valid_from, valid_to |
    /// | `registry_endpoints` | user_key, endpoint, valid_from, valid_to |
    /// | `registry_hours` | user_key, weekday (1 = Monday), from_minute, to_minute (half-open, UTC), valid_from, valid_to |
    /// | `registry_app_subjects` | app_name, app_id?, user_key |
    /// | `registry_base_profiles` | profile |
    /// | `registry_log_readers` | user_key |
    ///
    /// At any time `registry_users` has at most one row for a `user_key`: where entries by
    /// username and by id turn out to mean one user, the earlier in the file holds.
    pub fn tables(
        &self,
        resolution: &Resolution,
    ) -> Result<Vec<(&'static str, RecordBatch)>, ArrowError> {
        Ok(vec![
            ("registry_users", self.users_table(resolution)?),
            (
                "registry_networks",
                self.declared_table(resolution, "network", |user| {
                    user.networks
                        .iter()
                        .map(|net| (net.value.to_string(), net.valid))
                        .collect()
                })?,
            ),
            ("registry_apps", self.apps_table(resolution)?),
            (
                "registry_flows",
                self.declared_table(resolution, "login_path", |user| {
                    user.flows
                        .iter()
                        .map(|flow| (flow.value.to_owned(), flow.valid))
                        .collect()
                })?,
            ),
            ("registry_windows", self.windows_table(resolution)?),
            ("registry_org_apps", self.org_apps_table()?),
            (
                "registry_gateways",
                self.declared_table(resolution, "network", |user| {
                    user.gateway_networks
                        .iter()
                        .map(|net| (net.value.to_string(), net.valid))
                        .collect()
                })?,
            ),
            (
                "registry_ui_paths",
                self.declared_table(resolution, "path", |user| {
                    user.allow_ui_paths
                        .iter()
                        .map(|path| (path.value.clone(), path.valid))
                        .collect()
                })?,
            ),
            (
                "registry_tools",
                self.declared_table(resolution, "tool", |user| {
                    user.tools
                        .iter()
                        .map(|tool| (tool.value.clone(), tool.valid))
                        .collect()
                })?,
            ),
            (
                "registry_endpoints",
                self.declared_table(resolution, "endpoint", |user| {
                    user.endpoints
                        .iter()
                        .map(|endpoint| (endpoint.value.clone(), endpoint.valid))
                        .collect()
                })?,
            ),
            ("registry_hours", self.hours_table(resolution)?),
            (
                "registry_app_subjects",
                self.app_subjects_table(resolution)?,
            ),
            ("registry_base_profiles", self.base_profiles_table()?),
            ("registry_log_readers", self.log_readers_table(resolution)?),
        ])
    }

    fn users_table(&self, resolution: &Resolution) -> Result<RecordBatch, ArrowError> {
        let mut taken: HashMap<String, Vec<Validity>> = HashMap::new();
        let mut rows = vec![];
        for user in &self.users {
            for key in resolution.keys(user) {
                let taken = taken.entry(key.clone()).or_default();
                let mut free = vec![user.valid];
                for other in taken.iter() {
                    free = free.iter().flat_map(|span| span.without(other)).collect();
                }
                taken.extend(&free);
                rows.extend(free.into_iter().map(|valid| (key.clone(), user, valid)));
            }
        }
        let id = |key: &str| (!key.contains('@')).then(|| key.to_owned());
        let username = |key: &str, own: &Option<String>| {
            own.clone()
                .or_else(|| resolution.username(key).map(str::to_owned))
        };
        RecordBatch::try_from_iter_with_nullable([
            ("user_key", text(rows.iter().map(|r| r.0.clone())), false),
            ("user_id", optional(rows.iter().map(|r| id(&r.0))), true),
            (
                "username",
                optional(rows.iter().map(|r| username(&r.0, &r.1.username))),
                true,
            ),
            (
                "role",
                text(rows.iter().map(|r| r.1.role.as_str().to_owned())),
                false,
            ),
            (
                "system",
                optional(rows.iter().map(|r| r.1.system.clone())),
                true,
            ),
            (
                "owner",
                optional(rows.iter().map(|r| r.1.owner.clone())),
                true,
            ),
            (
                "networks_declared",
                flags(rows.iter().map(|r| !r.1.networks.is_empty())),
                false,
            ),
            (
                "apps_declared",
                flags(rows.iter().map(|r| !r.1.apps.is_empty())),
                false,
            ),
            (
                "flows_declared",
                flags(rows.iter().map(|r| !r.1.flows.is_empty())),
                false,
            ),
            (
                "allow_salesforce_ip",
                flags(rows.iter().map(|r| r.1.allow_salesforce_ip)),
                false,
            ),
            ("valid_from", times(rows.iter().map(|r| r.2.from_ms)), false),
            ("valid_to", times(rows.iter().map(|r| r.2.to_ms)), false),
            (
                "ticket",
                optional(rows.iter().map(|r| r.1.ticket.clone())),
                true,
            ),
            ("mtls", flags(rows.iter().map(|r| r.1.mtls)), false),
            (
                "cadence",
                optional(
                    rows.iter()
                        .map(|r| r.1.cadence.map(|c| c.as_str().to_owned())),
                ),
                true,
            ),
            (
                "max_silence_minutes",
                optional_numbers(rows.iter().map(|r| r.1.max_silence_minutes)),
                true,
            ),
            ("review_date", dates(rows.iter().map(|r| r.1.review)), true),
            (
                "tools_declared",
                flags(rows.iter().map(|r| !r.1.tools.is_empty())),
                false,
            ),
            (
                "endpoints_declared",
                flags(rows.iter().map(|r| !r.1.endpoints.is_empty())),
                false,
            ),
            (
                "hours_declared",
                flags(rows.iter().map(|r| !r.1.hours.is_empty())),
                false,
            ),
        ])
    }

    /// One row for each key and declared value.
    fn declared_table(
        &self,
        resolution: &Resolution,
        column: &str,
        values: impl Fn(&super::RegistryUser) -> Vec<(String, Validity)>,
    ) -> Result<RecordBatch, ArrowError> {
        let mut rows = vec![];
        for user in &self.users {
            for key in resolution.keys(user) {
                rows.extend(
                    values(user)
                        .into_iter()
                        .map(|(value, valid)| (key.clone(), value, valid)),
                );
            }
        }
        RecordBatch::try_from_iter_with_nullable([
            ("user_key", text(rows.iter().map(|r| r.0.clone())), false),
            (column, text(rows.iter().map(|r| r.1.clone())), false),
            ("valid_from", times(rows.iter().map(|r| r.2.from_ms)), false),
            ("valid_to", times(rows.iter().map(|r| r.2.to_ms)), false),
        ])
    }

    fn apps_table(&self, resolution: &Resolution) -> Result<RecordBatch, ArrowError> {
        let mut rows = vec![];
        for user in &self.users {
            for key in resolution.keys(user) {
                rows.extend(user.apps.iter().map(|app| (key.clone(), app)));
            }
        }
        RecordBatch::try_from_iter_with_nullable([
            ("user_key", text(rows.iter().map(|r| r.0.clone())), false),
            (
                "app_id",
                optional(rows.iter().map(|r| r.1.value.id.clone())),
                true,
            ),
            (
                "app_name",
                optional(rows.iter().map(|r| r.1.value.name.clone())),
                true,
            ),
            (
                "valid_from",
                times(rows.iter().map(|r| r.1.valid.from_ms)),
                false,
            ),
            (
                "valid_to",
                times(rows.iter().map(|r| r.1.valid.to_ms)),
                false,
            ),
        ])
    }

    fn hours_table(&self, resolution: &Resolution) -> Result<RecordBatch, ArrowError> {
        let mut rows = vec![];
        for user in &self.users {
            for key in resolution.keys(user) {
                rows.extend(user.hours.iter().flat_map(|hours| {
                    let spans = hours.value.spans().into_iter();
                    let key = key.clone();
                    spans.map(move |span| (key.clone(), span, hours.valid))
                }));
            }
        }
        RecordBatch::try_from_iter_with_nullable([
            ("user_key", text(rows.iter().map(|r| r.0.clone())), false),
            ("weekday", numbers(rows.iter().map(|r| r.1.0)), false),
            ("from_minute", numbers(rows.iter().map(|r| r.1.1)), false),
            ("to_minute", numbers(rows.iter().map(|r| r.1.2)), false),
            ("valid_from", times(rows.iter().map(|r| r.2.from_ms)), false),
            ("valid_to", times(rows.iter().map(|r| r.2.to_ms)), false),
        ])
    }

    fn windows_table(&self, resolution: &Resolution) -> Result<RecordBatch, ArrowError> {
        let mut rows = vec![];
        for window in &self.windows {
            let nets: Vec<Option<String>> = match window.networks.as_slice() {
                [] => vec![None],
                nets => nets.iter().map(|net| Some(net.to_string())).collect(),
            };
            for key in resolution.keys_of(&window.user) {
                rows.extend(nets.iter().map(|net| (key.clone(), window, net.clone())));
            }
        }
        RecordBatch::try_from_iter_with_nullable([
            (
                "kind",
                text(rows.iter().map(|r| r.1.kind.as_str().to_owned())),
                false,
            ),
            ("user_key", text(rows.iter().map(|r| r.0.clone())), false),
            (
                "from_at",
                times(rows.iter().map(|r| r.1.valid.from_ms)),
                false,
            ),
            ("to_at", times(rows.iter().map(|r| r.1.valid.to_ms)), false),
            ("network", optional(rows.iter().map(|r| r.2.clone())), true),
            (
                "ticket",
                optional(rows.iter().map(|r| r.1.ticket.clone())),
                true,
            ),
        ])
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::util::pretty::pretty_format_batches;

    use super::*;

    fn table(text: &str, name: &str) -> RecordBatch {
        let registry = Registry::parse(text, "registry.toml").unwrap();
        let known = [(
            "005000000000001AAA".to_owned(),
            "erp@example.com".to_owned(),
        )];
        let tables = registry.tables(&Resolution::new(&registry, known)).unwrap();
        tables.into_iter().find(|(own, _)| *own == name).unwrap().1
    }

    fn shown(text: &str, name: &str) -> String {
        pretty_format_batches(&[table(text, name)])
            .unwrap()
            .to_string()
    }

    const ERP: &str = r#"
[[user]]
username = "ERP@example.com"
role = "integration"
system = "ERP"
networks = ["198.51.100.0/28", "2001:db8:10::/48"]
apps = ["ERP Sync", { id = "0H4000000000001AAA", valid_to = 2026-02-01 }]
flows = ["oauth_bearer"]
allow_salesforce_ip = true
ticket = "CHG-1"
"#;

    #[test]
    fn an_entry_becomes_rows_under_the_id_that_the_logs_know() {
        let users = shown(ERP, "registry_users");
        for cell in [
            "005000000000001AAA",
            "erp@example.com",
            "integration",
            "CHG-1",
            "0001-01-01T00:00:00Z",
            "9999-12-31T00:00:00Z",
        ] {
            assert!(users.contains(cell), "{cell}\n{users}");
        }
        assert_eq!(table(ERP, "registry_networks").num_rows(), 2);
        assert_eq!(table(ERP, "registry_flows").num_rows(), 1);
        let apps = shown(ERP, "registry_apps");
        assert!(
            apps.contains("0H4000000000001CAA") && apps.contains("2026-02-01T00:00:00Z"),
            "{apps}"
        );
    }

    #[test]
    fn a_registry_without_entries_has_all_tables_with_their_columns() {
        let tables = Registry::empty().tables(&Resolution::default()).unwrap();
        let columns: Vec<_> = tables
            .iter()
            .map(|(name, t)| (*name, t.num_rows(), t.num_columns()))
            .collect();
        assert_eq!(
            columns,
            [
                ("registry_users", 0, 20),
                ("registry_networks", 0, 4),
                ("registry_apps", 0, 5),
                ("registry_flows", 0, 4),
                ("registry_windows", 0, 6),
                ("registry_org_apps", 0, 8),
                ("registry_gateways", 0, 4),
                ("registry_ui_paths", 0, 4),
                ("registry_tools", 0, 4),
                ("registry_endpoints", 0, 4),
                ("registry_hours", 0, 6),
                ("registry_app_subjects", 0, 3),
                ("registry_base_profiles", 0, 1),
                ("registry_log_readers", 0, 1),
            ]
        );
    }

    #[test]
    fn the_way_a_machine_works_becomes_columns_and_rows() {
        let text = format!(
            "{ERP}tools = [\"Data Loader\", {{ tool = \"Postman\", valid_to = 2026-02-01 }}]
endpoints = [\"/services/apexrest/CaseCreation/*\"]
hours = [\"mon-fri 06:00-20:00\", {{ hours = \"sun 22:00-02:00\", valid_from = 2026-01-01 }}]
mtls = true
cadence = \"daily\"
max_silence = \"7h\"
review = 2026-06-30
"
        );
        let users = shown(&text, "registry_users");
        for cell in ["daily", "420", "2026-06-30"] {
            assert!(users.contains(cell), "{cell}\n{users}");
        }
        let mtls = |text: &str| {
            let users = table(text, "registry_users");
            users.column_by_name("mtls").unwrap().as_boolean().value(0)
        };
        assert!(mtls(&text) && !mtls(ERP));
        let tools = shown(&text, "registry_tools");
        assert!(
            tools.contains("Postman") && tools.contains("2026-02-01T00:00:00Z"),
            "{tools}"
        );
        assert_eq!(table(&text, "registry_endpoints").num_rows(), 1);
        let hours = shown(&text, "registry_hours");
        for line in [
            "| 5       | 360         | 1200 ",
            "| 7       | 1320        | 1440 ",
            "| 1       | 0           | 120 ",
        ] {
            assert!(hours.contains(line), "{line}\n{hours}");
        }
        assert_eq!(table(&text, "registry_hours").num_rows(), 7);
    }

    #[test]
    fn what_holds_for_the_org_becomes_tables() {
        let text = format!(
            "{ERP}[[app]]\nname = \"ERP Sync\"\nid = \"0H4000000000001\"\nsystem = \"ERP\"\nmobile_sdk = true\nvalid_to = 2026-02-01\nsubjects = [\"erp@example.com\", \"new@example.com\"]
[org]\nbase_profiles = [\"API Base\"]\nlog_readers = [\"erp@example.com\", \"new@example.com\"]\n"
        );
        let apps = shown(&text, "registry_org_apps");
        for cell in ["ERP ", "true", "2026-02-01T00:00:00Z"] {
            assert!(apps.contains(cell), "{cell}\n{apps}");
        }
        for name in ["registry_app_subjects", "registry_log_readers"] {
            let shown = shown(&text, name);
            assert!(
                shown.contains("005000000000001AAA") && shown.contains("new@example.com"),
                "{shown}"
            );
        }
        assert!(shown(&text, "registry_base_profiles").contains("API Base"));
    }

    #[test]
    fn a_window_has_a_row_for_each_network_or_one_for_all() {
        let window = "[[window]]\nkind = \"consent\"\nuser = \"erp@example.com\"\nfrom = 2026-01-15\nto = 2026-01-16\n";
        assert_eq!(table(window, "registry_windows").column(4).null_count(), 1);
        let two = format!("{window}networks = [\"198.51.100.0/28\", \"192.0.2.1\"]");
        assert_eq!(table(&two, "registry_windows").num_rows(), 2);
    }

    #[test]
    fn one_user_named_twice_has_one_row_at_any_time() {
        let text = format!("{ERP}[[user]]\nid = \"005000000000001\"\nrole = \"human\"\n");
        assert_eq!(table(&text, "registry_users").num_rows(), 1);
        let text = "[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"\nvalid_from = 2026-01-10\nvalid_to = 2026-01-20
            [[user]]\nid = \"005000000000001\"\nrole = \"human\"";
        assert_eq!(table(text, "registry_users").num_rows(), 3);
    }
}
