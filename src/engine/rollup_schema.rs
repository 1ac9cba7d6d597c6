//! Schemas of the rollups, which the views read and `rollup` writes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::catalog::timestamp_ms;

/// Event name under which the merged logins are kept in the lake.
pub const ROLLUP_LOGINS: &str = "rollup_logins";
/// Event name of what each account was seen with, day by day. Outlives the raw rows.
pub const ROLLUP_SIGHTINGS: &str = "rollup_sightings";
/// Event name of what each account did, hour by hour. Outlives the raw rows.
pub const ROLLUP_ACTIVITY: &str = "rollup_activity";

/// One login attempt, from the EventLogFile, from LoginHistory or from both. NULL says "not
/// told by a source that is there".
///
/// | column | what |
/// |---|---|
/// | `occurred_at` | the EventLogFile's time, else LoginHistory's (whole seconds) |
/// | `user_key` | `user_id`, else the username in lower case |
/// | `source` | elf, login_history, both |
/// | `merge_quality` | exact, nearest, ambiguous, elf_only, lh_only |
/// | `outcome`, `fail_class` | see the functions of these names |
/// | `status` … `login_sub_type` | raw, from the EventLogFile where it is there |
/// | `login_path` … `is_deprecated` | the catalogue's verdict on all of the above |
/// | `app` | LoginHistory's Application; NULL when the merge is ambiguous |
/// | `lh_*` | raw, from LoginHistory |
/// | `file_id`, `line_no`, `row_key` | the row that proves it; `lh_file_id`, `lh_line_no` the other |
pub fn login_attempt_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let always = |name: &str| Field::new(name, DataType::Utf8View, false);
    let flag = |name: &str| Field::new(name, DataType::Boolean, false);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![
        Field::new("occurred_at", timestamp_ms(), false),
        text("user_key"),
        text("user_id"),
        text("username"),
        text("ip"),
        Field::new("ip_key", DataType::FixedSizeBinary(16), true),
        always("ip_kind"),
        always("source"),
        always("merge_quality"),
        always("outcome"),
        text("fail_class"),
        text("status"),
        text("login_type"),
        text("login_sub_type"),
        always("login_path"),
        always("path_certainty"),
        flag("is_ui"),
        flag("is_connected_app"),
        flag("is_password_based"),
        flag("is_deprecated"),
        text("app"),
        text("lh_login_type"),
        text("lh_login_sub_type"),
        text("source_ip"),
        text("client_ip"),
        text("forwarded_for_ip"),
        text("login_url"),
        text("browser"),
        always("ua_family"),
        text("platform"),
        text("uri"),
        text("api_type"),
        text("api_version"),
        text("use_api_token"),
        text("tls_protocol"),
        text("cipher_suite"),
        text("country"),
        text("auth_method"),
        text("auth_service_id"),
        text("login_key"),
        text("session_key"),
        text("request_id"),
        text("user_type"),
        number("run_time"),
        Field::new("file_id", DataType::Int64, false),
        Field::new("line_no", DataType::Int64, false),
        number("lh_file_id"),
        number("lh_line_no"),
        Field::new("row_key", DataType::Int64, false),
    ]))
}

/// One value that an account showed on one UTC day, of one app where the log names one.
///
/// | column | what |
/// |---|---|
/// | `occurred_at`, `last_at` | first and last time on that day |
/// | `user_key` | `user_id`, else the username in lower case |
/// | `user_type` | as written, of the account's rows of that day the one that tells most |
/// | `app_id`, `app_name` | of the row itself; the name as `app_name_key` gives it |
/// | `kind`, `value` | see the view `sightings` |
/// | `events` | rows of the logs |
pub fn sighting_schema() -> SchemaRef {
    let mut fields = account_fields(false);
    fields.push(Field::new("kind", DataType::Utf8View, false));
    fields.push(Field::new("value", DataType::Utf8View, false));
    fields.push(Field::new("events", DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// What one account did in one hour, of one app where the log names one. `occurred_at` is the
/// beginning of the hour, `last_at` the last row in it; `user_key` is NULL where the logs name
/// nobody. The counts are those of [`ACTIVITY_COUNTS`].
pub fn activity_schema() -> SchemaRef {
    let mut fields = account_fields(true);
    let counts = ACTIVITY_COUNTS.iter().chain(&ACTIVITY_DISTINCT);
    fields.extend(counts.map(|name| Field::new(*name, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

/// What `rollup_activity` sums up.
pub const ACTIVITY_COUNTS: [&str; 11] = [
    "logins",
    "failed_logins",
    "calls",
    "limit_calls",
    "call_errors",
    "rows_read",
    "rows_unknown",
    "bytes",
    "deletes",
    "hard_deletes",
    "exports",
];

/// What `rollup_activity` counts distinct values of.
pub const ACTIVITY_DISTINCT: [&str; 2] = ["networks", "objects"];

fn account_fields(nobody: bool) -> Vec<Field> {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    vec![
        Field::new("occurred_at", timestamp_ms(), false),
        Field::new("last_at", timestamp_ms(), false),
        Field::new("user_key", DataType::Utf8View, nobody),
        text("user_id"),
        text("username"),
        text("user_type"),
        text("app_id"),
        text("app_name"),
    ]
}
