//! Values bound to the `$name` places of a query. SQL text is never built from values.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::scalar::ScalarValue;

/// Named values of one query.
#[derive(Debug, Clone, Default)]
pub struct Params(BTreeMap<String, ScalarValue>);

impl Params {
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds `$name` (given without the dollar sign).
    pub fn set(&mut self, name: impl Into<String>, value: ScalarValue) -> &mut Self {
        self.0.insert(name.into(), value);
        self
    }

    /// [`Params::set`] for chains.
    pub fn with(mut self, name: impl Into<String>, value: ScalarValue) -> Self {
        self.set(name, value);
        self
    }

    /// Binds `$name` to a time, in the type of the lake's times.
    pub fn with_time(self, name: impl Into<String>, at: DateTime<Utc>) -> Self {
        let value =
            ScalarValue::TimestampMillisecond(Some(at.timestamp_millis()), Some("UTC".into()));
        self.with(name, value)
    }

    pub fn get(&self, name: &str) -> Option<&ScalarValue> {
        self.0.get(name)
    }

    pub(super) fn values(&self) -> ParamValues {
        ParamValues::Map(
            self.0
                .iter()
                .map(|(name, value)| (name.clone(), ScalarAndMetadata::from(value.clone())))
                .collect(),
        )
    }
}
