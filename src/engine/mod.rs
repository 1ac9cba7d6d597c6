//! A DataFusion session over the lake: one table per event type, the ledger's and the registry's
//! tables, the unified views, our functions, and limits on memory and threads. Only reads.

mod context;
mod damage;
mod dictionary_aggregates;
mod distinct_texts;
mod error;
mod exchanges;
mod expected;
mod extremes;
#[cfg(test)]
pub(crate) mod fixture;
mod functions;
mod grouped_distincts;
mod lags;
mod lake_table;
mod lazy;
mod limits;
mod memory;
mod numbered_groups;
mod numbers;
mod packed;
mod packed_input;
mod params;
mod parquet_scan;
mod patience;
mod per_dictionary;
mod per_distinct;
mod physical_rules;
mod prune;
mod read_only;
mod rollup_schema;
pub mod script;
mod session;
mod small_files;
mod stored_columns;
mod tables;
mod text_filters;
mod views;
mod workers;

pub use context::EngineOptions;
pub use error::{EngineError, SqlPlace};
pub use functions::{app_name_key, login, network_around};
pub use params::Params;
pub use patience::Stop;
pub use rollup_schema::{
    ACTIVITY_COUNTS, ACTIVITY_DISTINCT, ROLLUP_ACTIVITY, ROLLUP_LOGINS, ROLLUP_SIGHTINGS,
    activity_schema, login_attempt_schema, sighting_schema,
};
pub use session::{BatchStream, Prepared, Session};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_filters_tests;
