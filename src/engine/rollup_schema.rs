//! Schemas of the rollups, which the views read and `rollup` writes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::catalog::timestamp_ms;

/// Event name under which the merged logins are kept in the lake.
pub const ROLLUP_LOGINS: &str = "rollup_logins";

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
