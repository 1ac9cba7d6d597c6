//! The ledger's tables as Arrow batches, for SQL. Text is Utf8View, counts and ids are Int64,
//! times are Timestamp(ms, UTC). Schemas only ever grow at their end.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, RecordBatch,
    StringViewBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rusqlite::Row;

use super::Ledger;
use super::findings::columns;
use super::values::day_at;
use crate::catalog::timestamp_ms;
use crate::lake::error::Result;

/// A table of the ledger that SQL can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerTable {
    /// `file_id, name, event_type, interval, state, reason, size_bytes, unknown_columns,
    /// missing_columns` (headings, comma separated), `first_event_at, last_event_at, rows_read,
    /// rows_kept, rows_duplicate, rows_quarantined, repeated_headers, timestamp_fallbacks,
    /// unreadable_values, run_id, ingested_at, absent_columns` (headings, comma separated); by
    /// `file_id`.
    Files,
    /// `run_id, kind, started_at, finished_at, state, exit_code, summary` (JSON); by `run_id`.
    Runs,
    /// `file_id, file` (its name), `event_type, line_no, column_name, reason, user_id, ip`; by
    /// file and line.
    Quarantine,
    /// `finding_id, dedupe_key, rule_id, rule_version, severity, title, status, user_key,
    /// user_id, username, user_kind, bucket_start, first_seen, last_seen, count, expected,
    /// observed, evidence_json, attack` (comma separated), `suppressed_by, held_by,
    /// first_run, last_run, new_in_run, family, case_id, case_subject, raised_from,
    /// raised_because, gathered_by, held_at, held_severity, held_count` (what there was to see when
    /// a person set the status), `held_until, reopened_because`; by first sight and id. `severity`
    /// is the raised one.
    Findings,
    /// The life of each finding: `finding_id, at, from_status` (NULL: its birth), `to_status, who,
    /// why, by_hand` (Boolean), `run_id` (NULL: by hand); by finding, oldest step first.
    FindingEvents,
    /// `run_id, rule_id, version, status, reason, findings, elapsed_ms`; by run and rule.
    RuleRuns,
    /// The outbox without its messages: `outbox_id, run_id, created_at, message_id, recipients,
    /// subject, state, attempts, last_error, sent_at, response, reference, audience` (the group
    /// of people that it is for), `tried_at`; by `outbox_id`.
    Alerts,
    /// What became of each mail at each address: `outbox_id, recipient, state` (pending, sent,
    /// failed), `at, answer`; by mail and address.
    AlertRecipients,
    /// `part_id, event_type, day` (Date32), `path` (relative to the data folder), `rows, bytes,
    /// first_event_at, last_event_at, run_id, added_at`; visible ones, by event type, day, part.
    Parts,
    /// The suppressions of the configuration as the last run saw them: `suppression_id, rule,
    /// user_ref, conditions` (`column = value`, joined by `; `), `reason, owner, until,
    /// is_expired` (Boolean), `matched` (findings of that run that it hides, or would hide if it
    /// had not expired); in the order of the configuration.
    Suppressions,
    /// The last try of each rule's own positive case: `rule_id, case_name, state` (fired, silent,
    /// failed, silenced_by_settings), `reason, checked_at`; by rule.
    Canaries,
    /// Accounts that work like a machine by the logs alone: `user_key, role, reason, since,
    /// until` (the role counts for events from `since` on and before `until`; NULL: it still
    /// does), `last_seen`; by user and beginning.
    InferredRoles,
    /// Raw rows that are no longer in the lake: `event_type, day` (Date32), `reason` (retention,
    /// damage), `parts, rows, run_id, departed_at`; by event type, day and departure.
    DepartedRows,
    /// The findings of one subject and UTC day: `case_id, day` (Date32), `subject, severity` (the
    /// highest), `findings, rules` (comma separated), `first_at, last_at, status` (of the liveliest),
    /// `gathered` (findings that an alert only counts); by day, first sight and id.
    Cases,
    /// Event Log Files that the org listed: `log_file_id, created_at, length` (bytes, as the org
    /// says), `event_type, log_date, interval` (hourly, daily), `sequence, state` (listed, ingested,
    /// rejected, superseded, gone), `first_listed_at, attempts, tried_at, reason, run_id`; by
    /// creation and id.
    OrgLogFiles,
    /// The other data sets of the org: `name, state` (read, incomplete, unreadable, failed), `read_at,
    /// read_until, rows, tried_at, reason, permission, run_id`; by name.
    OrgDataSets,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Time,
    Day,
    Flag,
}

use Kind::{Day, Flag, Integer, Text, Time};

type Columns = &'static [(&'static str, Kind)];

impl LedgerTable {
    pub const ALL: [LedgerTable; 16] = [
        LedgerTable::Files,
        LedgerTable::Runs,
        LedgerTable::Quarantine,
        LedgerTable::Findings,
        LedgerTable::FindingEvents,
        LedgerTable::RuleRuns,
        LedgerTable::Alerts,
        LedgerTable::AlertRecipients,
        LedgerTable::Parts,
        LedgerTable::Suppressions,
        LedgerTable::Canaries,
        LedgerTable::InferredRoles,
        LedgerTable::DepartedRows,
        LedgerTable::Cases,
        LedgerTable::OrgLogFiles,
        LedgerTable::OrgDataSets,
    ];

    /// Name of the SQL table.
    pub fn name(self) -> &'static str {
        match self {
            LedgerTable::Files => "files",
            LedgerTable::Runs => "runs",
            LedgerTable::Quarantine => "quarantine",
            LedgerTable::Findings => "findings",
            LedgerTable::FindingEvents => "finding_events",
            LedgerTable::RuleRuns => "rule_runs",
            LedgerTable::Alerts => "alerts",
            LedgerTable::AlertRecipients => "alert_recipients",
            LedgerTable::Parts => "parts",
            LedgerTable::Suppressions => "suppressions",
            LedgerTable::Canaries => "canaries",
            LedgerTable::InferredRoles => "inferred_roles",
            LedgerTable::DepartedRows => "departed_rows",
            LedgerTable::Cases => "cases",
            LedgerTable::OrgLogFiles => "org_log_files",
            LedgerTable::OrgDataSets => "org_data_sets",
        }
    }

    /// The table of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Version of the ledger that brought it.
    fn since(self) -> i64 {
        match self {
            LedgerTable::Suppressions | LedgerTable::Canaries | LedgerTable::InferredRoles => 2,
            LedgerTable::Cases => 3,
            LedgerTable::AlertRecipients => 4,
            LedgerTable::OrgLogFiles | LedgerTable::OrgDataSets => 5,
            _ => 1,
        }
    }

    /// Schema of [`Ledger::snapshot`]. Every column is nullable.
    pub fn schema(self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns()
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.data_type(), true))
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn columns(self) -> Columns {
        match self {
            LedgerTable::Files => &[
                ("file_id", Integer),
                ("name", Text),
                ("event_type", Text),
                ("interval", Text),
                ("state", Text),
                ("reason", Text),
                ("size_bytes", Integer),
                ("unknown_columns", Text),
                ("missing_columns", Text),
                ("first_event_at", Time),
                ("last_event_at", Time),
                ("rows_read", Integer),
                ("rows_kept", Integer),
                ("rows_duplicate", Integer),
                ("rows_quarantined", Integer),
                ("repeated_headers", Integer),
                ("timestamp_fallbacks", Integer),
                ("unreadable_values", Integer),
                ("run_id", Integer),
                ("ingested_at", Time),
                ("absent_columns", Text),
            ],
            LedgerTable::Runs => &[
                ("run_id", Integer),
                ("kind", Text),
                ("started_at", Time),
                ("finished_at", Time),
                ("state", Text),
                ("exit_code", Integer),
                ("summary", Text),
            ],
            LedgerTable::Quarantine => &[
                ("file_id", Integer),
                ("file", Text),
                ("event_type", Text),
                ("line_no", Integer),
                ("column_name", Text),
                ("reason", Text),
                ("user_id", Text),
                ("ip", Text),
            ],
            LedgerTable::Findings => &[
                ("finding_id", Text),
                ("dedupe_key", Text),
                ("rule_id", Text),
                ("rule_version", Integer),
                ("severity", Text),
                ("title", Text),
                ("status", Text),
                ("user_key", Text),
                ("user_id", Text),
                ("username", Text),
                ("user_kind", Text),
                ("bucket_start", Time),
                ("first_seen", Time),
                ("last_seen", Time),
                ("count", Integer),
                ("expected", Text),
                ("observed", Text),
                ("evidence_json", Text),
                ("attack", Text),
                ("suppressed_by", Text),
                ("held_by", Text),
                ("first_run", Integer),
                ("last_run", Integer),
                ("new_in_run", Integer),
                ("family", Text),
                ("case_id", Text),
                ("case_subject", Text),
                ("raised_from", Text),
                ("raised_because", Text),
                ("gathered_by", Text),
                ("held_at", Time),
                ("held_severity", Text),
                ("held_count", Integer),
                ("held_until", Time),
                ("reopened_because", Text),
            ],
            LedgerTable::FindingEvents => &[
                ("finding_id", Text),
                ("at", Time),
                ("from_status", Text),
                ("to_status", Text),
                ("who", Text),
                ("why", Text),
                ("by_hand", Flag),
                ("run_id", Integer),
            ],
            LedgerTable::RuleRuns => &[
                ("run_id", Integer),
                ("rule_id", Text),
                ("version", Integer),
                ("status", Text),
                ("reason", Text),
                ("findings", Integer),
                ("elapsed_ms", Integer),
            ],
            LedgerTable::Alerts => &[
                ("outbox_id", Integer),
                ("run_id", Integer),
                ("created_at", Time),
                ("message_id", Text),
                ("recipients", Text),
                ("subject", Text),
                ("state", Text),
                ("attempts", Integer),
                ("last_error", Text),
                ("sent_at", Time),
                ("response", Text),
                ("reference", Text),
                ("audience", Text),
                ("tried_at", Time),
            ],
            LedgerTable::AlertRecipients => &[
                ("outbox_id", Integer),
                ("recipient", Text),
                ("state", Text),
                ("at", Time),
                ("answer", Text),
            ],
            LedgerTable::Parts => &[
                ("part_id", Integer),
                ("event_type", Text),
                ("day", Day),
                ("path", Text),
                ("rows", Integer),
                ("bytes", Integer),
                ("first_event_at", Time),
                ("last_event_at", Time),
                ("run_id", Integer),
                ("added_at", Time),
            ],
            LedgerTable::Suppressions => &[
                ("suppression_id", Text),
                ("rule", Text),
                ("user_ref", Text),
                ("conditions", Text),
                ("reason", Text),
                ("owner", Text),
                ("until", Time),
                ("is_expired", Flag),
                ("matched", Integer),
            ],
            LedgerTable::Canaries => &[
                ("rule_id", Text),
                ("case_name", Text),
                ("state", Text),
                ("reason", Text),
                ("checked_at", Time),
            ],
            LedgerTable::InferredRoles => &[
                ("user_key", Text),
                ("role", Text),
                ("reason", Text),
                ("since", Time),
                ("until", Time),
                ("last_seen", Time),
            ],
            LedgerTable::DepartedRows => &[
                ("event_type", Text),
                ("day", Day),
                ("reason", Text),
                ("parts", Integer),
                ("rows", Integer),
                ("run_id", Integer),
                ("departed_at", Time),
            ],
            LedgerTable::Cases => &[
                ("case_id", Text),
                ("day", Day),
                ("subject", Text),
                ("severity", Text),
                ("findings", Integer),
                ("rules", Text),
                ("first_at", Time),
                ("last_at", Time),
                ("status", Text),
                ("gathered", Integer),
            ],
            LedgerTable::OrgLogFiles => &[
                ("log_file_id", Text),
                ("created_at", Time),
                ("length", Integer),
                ("event_type", Text),
                ("log_date", Time),
                ("interval", Text),
                ("sequence", Integer),
                ("state", Text),
                ("first_listed_at", Time),
                ("attempts", Integer),
                ("tried_at", Time),
                ("reason", Text),
                ("run_id", Integer),
            ],
            LedgerTable::OrgDataSets => &[
                ("name", Text),
                ("state", Text),
                ("read_at", Time),
                ("read_until", Time),
                ("rows", Integer),
                ("tried_at", Time),
                ("reason", Text),
                ("permission", Text),
                ("run_id", Integer),
            ],
        }
    }

    /// Selects every column under its name, of a ledger of this version.
    fn select(self, version: i64) -> String {
        let select = match self {
            LedgerTable::Files if version < 2 => {
                "SELECT *, NULL AS absent_columns FROM files ORDER BY file_id"
            }
            LedgerTable::Files => "SELECT * FROM files ORDER BY file_id",
            LedgerTable::Runs => "SELECT * FROM runs ORDER BY run_id",
            LedgerTable::Quarantine => {
                "SELECT q.*, f.name AS file FROM quarantine AS q JOIN files AS f USING (file_id)
                 ORDER BY q.file_id, q.line_no, q.quarantine_id"
            }
            LedgerTable::Findings => {
                let columns = columns(version);
                return format!("SELECT {columns} FROM findings ORDER BY first_seen, finding_id");
            }
            LedgerTable::FindingEvents => {
                "SELECT *, run_id IS NULL AS by_hand FROM finding_events
                 ORDER BY finding_id, event_id"
            }
            LedgerTable::RuleRuns => "SELECT * FROM rule_runs ORDER BY run_id, rule_id",
            LedgerTable::Alerts if version < 4 => {
                "SELECT outbox_id, run_id, created_at, message_id,
                        replace(recipients, char(10), ', ') AS recipients, subject, state,
                        attempts, last_error, sent_at, response, reference,
                        'default' AS audience, NULL AS tried_at
                 FROM outbox ORDER BY outbox_id"
            }
            LedgerTable::Alerts => {
                "SELECT outbox_id, run_id, created_at, message_id,
                        replace(recipients, char(10), ', ') AS recipients, subject, state,
                        attempts, last_error, sent_at, response, reference, audience, tried_at
                 FROM outbox ORDER BY outbox_id"
            }
            LedgerTable::AlertRecipients => {
                "SELECT * FROM outbox_recipients ORDER BY outbox_id, recipient"
            }
            LedgerTable::Parts => {
                "SELECT * FROM parts WHERE state = 'visible' ORDER BY event_type, day, part_id"
            }
            LedgerTable::Suppressions => "SELECT * FROM suppressions ORDER BY position",
            LedgerTable::Canaries => "SELECT * FROM canaries ORDER BY rule_id",
            LedgerTable::InferredRoles => "SELECT * FROM inferred_roles ORDER BY user_key, since",
            LedgerTable::DepartedRows => {
                "SELECT * FROM departed_rows ORDER BY event_type, day, departed_at, reason"
            }
            LedgerTable::Cases => include_str!("cases.sql"),
            LedgerTable::OrgLogFiles => {
                "SELECT * FROM org_log_files ORDER BY created_at, log_file_id, length"
            }
            LedgerTable::OrgDataSets => "SELECT * FROM org_data_sets ORDER BY name",
        };
        select.to_owned()
    }
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Text => DataType::Utf8View,
            Integer => DataType::Int64,
            Time => timestamp_ms(),
            Day => DataType::Date32,
            Flag => DataType::Boolean,
        }
    }

    fn builder(self) -> Builder {
        match self {
            Text => Builder::Text(StringViewBuilder::new()),
            Integer => Builder::Integer(Int64Builder::new()),
            Time => {
                Builder::Time(TimestampMillisecondBuilder::new().with_data_type(timestamp_ms()))
            }
            Day => Builder::Day(Date32Builder::new()),
            Flag => Builder::Flag(BooleanBuilder::new()),
        }
    }
}

enum Builder {
    Text(StringViewBuilder),
    Integer(Int64Builder),
    Time(TimestampMillisecondBuilder),
    Day(Date32Builder),
    Flag(BooleanBuilder),
}

impl Builder {
    fn append(&mut self, row: &Row<'_>, column: &str) -> rusqlite::Result<()> {
        match self {
            Builder::Text(b) => b.append_option(row.get::<_, Option<String>>(column)?),
            Builder::Integer(b) => b.append_option(row.get(column)?),
            Builder::Time(b) => b.append_option(row.get(column)?),
            Builder::Day(b) => match row.get::<_, Option<String>>(column)? {
                Some(_) => b.append_value(day_at(row, column)?.to_epoch_days()),
                None => b.append_null(),
            },
            Builder::Flag(b) => b.append_option(row.get(column)?),
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        let mut boxed: Box<dyn ArrayBuilder> = match self {
            Builder::Text(b) => Box::new(b),
            Builder::Integer(b) => Box::new(b),
            Builder::Time(b) => Box::new(b),
            Builder::Day(b) => Box::new(b),
            Builder::Flag(b) => Box::new(b),
        };
        boxed.finish()
    }
}

impl Ledger {
    /// A table of the ledger as it is now; schema and order as [`LedgerTable`] says.
    pub fn snapshot(&self, table: LedgerTable) -> Result<RecordBatch> {
        let columns = table.columns();
        if self.version < table.since() {
            return Ok(RecordBatch::new_empty(table.schema()));
        }
        let mut builders: Vec<Builder> = columns.iter().map(|(_, kind)| kind.builder()).collect();
        let mut statement = self.conn.prepare(&table.select(self.version))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for ((name, _), builder) in columns.iter().zip(&mut builders) {
                builder.append(row, name)?;
            }
        }
        let arrays = builders.into_iter().map(Builder::finish).collect();
        Ok(RecordBatch::try_new(table.schema(), arrays)?)
    }
}
