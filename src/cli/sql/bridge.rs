//! `--duckdb` and `--polars`: the text that opens the same files elsewhere. It names exactly the
//! Parquet files that the ledger shows, as they are at this moment.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::catalog::Catalog;
use crate::lake::{Lake, LakeError};

/// The Parquet files of each raw table, by its name in SQL.
type Tables = BTreeMap<String, Vec<String>>;

/// SQL for DuckDB: a view for each raw table.
pub fn duckdb(lake: &Lake, catalog: &Catalog) -> Result<String, LakeError> {
    let mut out =
        String::from("-- The visible files of the lake, for DuckDB: `duckdb -init FILE`\n");
    out.push_str("SET TimeZone = 'UTC';\n");
    for (table, files) in tables(lake, catalog)? {
        let files: Vec<String> = files
            .iter()
            .map(|file| format!("  '{}'", file.replace('\'', "''")))
            .collect();
        // Writing into a String cannot fail.
        let _ = write!(
            out,
            "CREATE OR REPLACE VIEW \"{table}\" AS SELECT * EXCLUDE (event) FROM read_parquet([\n{}\n], \
             union_by_name = true, hive_partitioning = true);\n",
            files.join(",\n")
        );
    }
    Ok(out)
}

/// Python for Polars: a lazy frame for each raw table.
pub fn polars(lake: &Lake, catalog: &Catalog) -> Result<String, LakeError> {
    let mut out = String::from(
        "# The visible files of the lake, for Polars\nimport polars as pl\n\n\
         def _open(files):\n    \
             frames = [pl.scan_parquet(file, hive_partitioning=True, try_parse_hive_dates=True) for file in files]\n    \
             return pl.concat(frames, how=\"diagonal_relaxed\").drop(\"event\")\n\n",
    );
    for (table, files) in tables(lake, catalog)? {
        // A JSON string is one of Python, too.
        let files: Vec<String> = files
            .iter()
            .map(|file| format!("    {}", serde_json::Value::from(file.as_str())))
            .collect();
        let _ = writeln!(out, "{table} = _open([\n{},\n])", files.join(",\n"));
    }
    Ok(out)
}

fn tables(lake: &Lake, catalog: &Catalog) -> Result<Tables, LakeError> {
    let mut tables = Tables::new();
    for name in lake.event_types()? {
        let known = catalog.event_type(&name).cloned();
        let Some(event) = known.or_else(|| catalog.unknown_event_type(&name)) else {
            continue;
        };
        // Rollups are how views are made quick, and no logs.
        if name.starts_with("rollup_") {
            continue;
        }
        let files = lake
            .parts(&name)?
            .into_iter()
            .map(|part| part.path.display().to_string());
        tables.entry(event.table).or_default().extend(files);
    }
    Ok(tables)
}
