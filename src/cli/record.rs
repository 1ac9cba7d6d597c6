//! What a night and an ingest say at their end, for machines: a record of what was counted, and
//! one for each thing that went wrong. Nothing unless the log is JSON.

use serde_json::{Value, json};
use tracing::Level;

use super::account::reasons_of;
use super::exit::Exit;
use super::summary::NightSummary;
use super::terminal::Terminal;
use crate::ingest::IngestReport;
use crate::lake::{CanaryState, FileState};

/// Records of one kind; how many there were stands in the last record of all.
const MAX_RECORDS: usize = 20;

/// A level for what ended so.
pub fn level_of(exit: Exit) -> Level {
    match exit {
        Exit::Done | Exit::Findings => Level::INFO,
        _ => Level::WARN,
    }
}

/// Files that were refused or cut off, and why rows were put aside.
pub fn record_input(terminal: &Terminal, ingest: &IngestReport, quarantine: &[(String, u64)]) {
    for (state, what) in [
        (FileState::Rejected, "input file rejected"),
        (FileState::Torn, "input file cut off"),
    ] {
        for (name, why) in reasons_of(ingest, state).iter().take(MAX_RECORDS) {
            terminal.record(Level::WARN, what, &json!({"file": name, "reason": why}));
        }
    }
    for (reason, rows) in quarantine.iter().take(MAX_RECORDS) {
        let fields = json!({"reason": reason, "rows": rows});
        terminal.record(Level::WARN, "rows quarantined", &fields);
    }
}

impl NightSummary<'_> {
    /// The night for machines; its findings are in the ledger and in the mail.
    pub fn record(&self) {
        let terminal = self.place.terminal;
        let health = &self.mailer.health;
        record_input(terminal, self.ingest, &self.quarantine);
        // Rules that failed were told when they did.
        for (level, what, rules) in [
            (Level::WARN, "rule blind", &health.rules_blind),
            (
                Level::INFO,
                "rule never had input",
                &health.rules_never_had_input,
            ),
        ] {
            for (rule, why) in rules {
                terminal.record(level, what, &json!({"rule": rule, "reason": why}));
            }
        }
        let canaries = self.canaries.iter().flat_map(|canaries| &canaries.list);
        for canary in canaries.filter(|c| c.state != CanaryState::Fired) {
            let state = canary.state.as_str();
            let fields = json!({"rule": canary.rule_id, "state": state, "reason": canary.reason});
            terminal.record(Level::WARN, "canary did not fire", &fields);
        }
        for remark in &health.remarks {
            terminal.record(Level::WARN, remark, &Value::Null);
        }
        for (recipient, answer) in self.deliveries.refused.iter().take(MAX_RECORDS) {
            let fields = json!({"recipient": recipient, "reason": answer});
            terminal.record(Level::WARN, "alert refused for good", &fields);
        }
        for why in &self.deliveries.reasons {
            let fields = json!({"reason": why});
            terminal.record(Level::WARN, "alert not delivered", &fields);
        }
        let told = self.to_json();
        let mut fields = in_counts(&told);
        fields["exit_reasons"] = told["exit_reasons"].clone();
        terminal.record(level_of(self.exit()), "run finished", &fields);
    }
}

/// The same with the length of each list in its place: a collector cuts a line that is too long.
fn in_counts(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.len().into(),
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| (key.clone(), in_counts(value)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_any_length_is_told_in_counts() {
        let told =
            json!({"files": {"read": 2, "rejected": [{"name": "a"}, {"name": "b"}]}, "at": "t"});
        let counts = json!({"files": {"read": 2, "rejected": 2}, "at": "t"});
        assert_eq!(in_counts(&told), counts);
    }
}
