//! The `orgwatch sql` line that shows the rows behind a finding.
//!
//! The line is meant to be pasted into a shell, so nothing that a log's author could choose
//! enters it unchecked: users go in by their id or by a plainly spelled name, times as times.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// How the reader starts this program against the same lake: `orgwatch`, with the `--config` or
/// `--data-dir` of this run.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    pub config: Option<String>,
    pub data_dir: Option<String>,
}

/// Tables that carry `occurred_at` and the subject, with the column that names it.
const SUBJECT_TABLES: [(&str, &str); 7] = [
    ("logins", "user_key"),
    ("logouts", "user_key"),
    ("api_calls", "user_key"),
    ("ui_activity", "user_key"),
    ("bulk_jobs", "user_key"),
    ("unmapped_values", "user_key"),
    ("elf_sites", "user_id"),
];

/// The view that shows rows of an event type; of one that is in no view, its own table.
pub fn view_of(event_type: &str) -> &'static str {
    match event_type {
        "Login" | "LoginHistory" => "logins",
        "Logout" => "logouts",
        "BulkApi" | "BulkApi2" => "bulk_jobs",
        "URI" | "LightningPageView" | "AuraRequest" | "VisualforceRequest" | "Report"
        | "ReportExport" => "ui_activity",
        "Sites" => "elf_sites",
        _ => "api_calls",
    }
}

/// The command that shows the rows of a finding: those of its user in the first of `inputs` that
/// is a view, between its first and last event. A finding about no single user is shown itself, or
/// the ledger table that it is about.
pub fn rows_command(
    invocation: &Invocation,
    inputs: &[String],
    finding_id: &str,
    user_key: Option<&str>,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
) -> String {
    let view = inputs
        .iter()
        .find_map(|i| SUBJECT_TABLES.iter().find(|(table, _)| table == i));
    let user = user_key.filter(|key| is_plain(key));
    let sql = match (view, user) {
        (Some((view, column)), user) => {
            let who = user
                .map(|key| format!("{column} = '{key}' AND "))
                .unwrap_or_default();
            format!(
                "SELECT * FROM {view} WHERE {who}occurred_at >= '{}' AND occurred_at < '{}' ORDER BY occurred_at",
                instant(first_seen),
                instant(last_seen + TimeDelta::milliseconds(1)),
            )
        }
        (None, _) if inputs.iter().any(|i| i == "quarantine") => {
            "SELECT * FROM quarantine ORDER BY file_id, line_no".to_owned()
        }
        (None, _) if inputs.iter().any(|i| i == "files") => {
            "SELECT * FROM files ORDER BY file_id".to_owned()
        }
        (None, _) => {
            let id: String = finding_id
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect();
            format!("SELECT * FROM findings WHERE finding_id = '{id}'")
        }
    };
    format!("{} \"{sql}\"", invocation.command("sql"))
}

impl Invocation {
    /// `orgwatch <subcommand>` with the options that lead to the same lake.
    pub fn command(&self, subcommand: &str) -> String {
        let mut line = format!("orgwatch {subcommand}");
        for (option, value) in [("--config", &self.config), ("--data-dir", &self.data_dir)] {
            if let Some(value) = value {
                line.push_str(&format!(" {option} {}", shell_word(value)));
            }
        }
        line
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 100
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "@._+-".contains(c))
}

fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._+-/:=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(inputs: &[&str], user_key: Option<&str>) -> String {
        let inputs: Vec<String> = inputs.iter().map(|i| (*i).to_owned()).collect();
        let seen = "2026-01-30T02:11:00Z".parse().expect("test time");
        rows_command(
            &Invocation::default(),
            &inputs,
            "ab12",
            user_key,
            seen,
            seen,
        )
    }

    #[test]
    fn the_rows_of_a_user_are_asked_by_id_and_time() {
        assert_eq!(
            command(&["registry_users", "logins"], Some("005000000000001AAA")),
            "orgwatch sql \"SELECT * FROM logins WHERE user_key = '005000000000001AAA' AND \
             occurred_at >= '2026-01-30T02:11:00.000Z' AND occurred_at < '2026-01-30T02:11:00.001Z' \
             ORDER BY occurred_at\""
        );
    }

    #[test]
    fn a_username_that_would_run_in_a_shell_stays_out_of_the_line() {
        for evil in [
            "$(reboot)",
            "`id`",
            "a\"; id; \"",
            "x' OR '1'='1",
            "a\nb",
            "!!",
            "a\\",
        ] {
            let line = command(&["logins"], Some(evil));
            assert!(!line.contains(evil), "{line}");
            assert!(!line.contains("user_key"), "{line}");
        }
    }

    #[test]
    fn a_finding_about_no_user_shows_its_table_or_itself() {
        assert!(command(&["files", "quarantine"], None).contains("FROM quarantine"));
        assert!(command(&["files"], None).contains("FROM files"));
        assert!(command(&["registry_users"], None).contains("finding_id = 'ab12'"));
    }

    #[test]
    fn every_event_type_of_a_view_is_shown_by_it() {
        for event_type in [
            "URI",
            "LightningPageView",
            "AuraRequest",
            "VisualforceRequest",
            "Report",
            "ReportExport",
        ] {
            assert_eq!(view_of(event_type), "ui_activity", "{event_type}");
        }
        let line = command(&[view_of("Sites")], Some("005000000000001AAA"));
        assert!(
            line.contains("FROM elf_sites WHERE user_id = '005000000000001AAA'"),
            "{line}"
        );
    }

    #[test]
    fn the_line_leads_to_the_same_lake() {
        let invocation = Invocation {
            config: Some("my conf/it's.toml".into()),
            data_dir: Some("/srv/ow".into()),
        };
        assert_eq!(
            invocation.command("sql"),
            r"orgwatch sql --config 'my conf/it'\''s.toml' --data-dir /srv/ow"
        );
    }
}
