//! Coded fields: `session_type`, `known_code`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::logical_expr::ScalarUDF;

use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::codes::{self, CodedField};

const TEXT: DataType = DataType::Utf8View;

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![session_type(), known_code()]
}

/// `session_type(raw)`: the canonical name of a session type's letter or older text form, or
/// `unmapped`; NULL for NULL.
fn session_type() -> ScalarUDF {
    RowFunction::udf("session_type", vec![TEXT], TEXT, |args| {
        let raw = text(args, 0);
        Ok(text_rows(raw.len(), |row| {
            Some(codes::session_type(cell(raw, row)?).unwrap_or("unmapped"))
        }))
    })
}

/// `known_code(field, value)`: whether the catalogue knows the value of a coded field
/// (`login_type`, `login_sub_type`, `login_status`, `session_type`, `user_type`, `api_type`,
/// `tls_protocol`, `api_family`, `job_status`). Empty text is no unknown value. NULL for NULL;
/// a field of which the catalogue keeps no list is an error of the query.
fn known_code() -> ScalarUDF {
    RowFunction::udf("known_code", vec![TEXT, TEXT], DataType::Boolean, |args| {
        let (fields, values) = (text(args, 0), text(args, 1));
        let mut known: HashMap<(&str, &str), bool> = HashMap::new();
        let mut answers = BooleanBuilder::with_capacity(values.len());
        for row in 0..values.len() {
            let (Some(name), Some(value)) = (cell(fields, row), cell(values, row)) else {
                answers.append_null();
                continue;
            };
            let Some(field) = CodedField::from_name(name) else {
                return exec_err!("known_code: {name} is not the name of a coded field");
            };
            let answer = known
                .entry((name, value))
                .or_insert_with(|| codes::known(field, value));
            answers.append_value(*answer);
        }
        Ok(Arc::new(answers.finish()))
    })
}
