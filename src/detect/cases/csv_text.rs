//! Rows of a case as the CSV text that an org would export.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};

use super::format::{CaseInput, Content};
use crate::catalog::{Catalog, EventType, LogFamily, Treatment};

/// The CSV text of one input file.
pub fn csv_text(input: &CaseInput, catalog: &Catalog) -> Result<String, String> {
    let rows = match &input.content {
        Content::Raw(text) => return Ok(text.clone()),
        Content::Rows(rows) => rows,
    };
    let event = catalog.event_type(&input.event);
    let headings = headings(&input.event, event, rows);
    let times: Vec<&str> = match event {
        Some(event) => event
            .columns
            .iter()
            .filter(|column| column.treatment == Treatment::OccurredAt)
            .flat_map(|c| c.aliases.iter().map(String::as_str).chain([c.heading.as_str()]))
            .collect(),
        None => vec!["TIMESTAMP", "TIMESTAMP_DERIVED"],
    };

    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(vec![]);
    let failed = |e: csv::Error| format!("the CSV text cannot be made: {e}");
    writer.write_record(&headings).map_err(failed)?;
    for row in rows {
        for n in 0..input.repeat {
            let step = TimeDelta::seconds(input.step_seconds.saturating_mul(i64::from(n)));
            let cells = headings.iter().map(|heading| {
                let cell = row.get(heading).map_or("", String::as_str);
                let is_time = times.iter().any(|t| t.eq_ignore_ascii_case(heading));
                match cell {
                    // An export names its own type in every row.
                    "" if heading == "EVENT_TYPE" && !row.contains_key(heading) => {
                        input.event.clone()
                    }
                    _ if is_time && n > 0 && !step.is_zero() => moved(cell, step),
                    _ => cell.to_owned(),
                }
            });
            writer.write_record(cells).map_err(failed)?;
        }
    }
    let bytes = writer
        .into_inner()
        .map_err(|_| "the CSV text cannot be made")?;
    String::from_utf8(bytes).map_err(|_| "the CSV text is not UTF-8".into())
}

/// The catalogue's header in its order, then any other key of the rows.
fn headings(
    name: &str,
    event: Option<&EventType>,
    rows: &[BTreeMap<String, String>],
) -> Vec<String> {
    let mut headings: Vec<String> = match event {
        Some(event) => event
            .columns
            .iter()
            .map(|column| {
                // A case may use any spelling of a heading; the file has the one it used.
                let spelled = rows.iter().find_map(|row| {
                    let mut aliases = column.aliases.iter();
                    aliases.find(|alias| row.contains_key(*alias))
                });
                spelled.unwrap_or(&column.heading).clone()
            })
            .collect(),
        None => vec!["EVENT_TYPE".into()],
    };
    let is_log_file = event.is_none_or(|e| e.family == LogFamily::EventLogFile);
    if is_log_file && !headings.iter().any(|h| h == "EVENT_TYPE") {
        headings.insert(0, "EVENT_TYPE".into());
    }
    debug_assert!(event.is_none_or(|e| e.name.eq_ignore_ascii_case(name) || !e.aliases.is_empty()));
    for key in rows.iter().flat_map(BTreeMap::keys) {
        if !headings.contains(key) {
            headings.push(key.clone());
        }
    }
    headings
}

/// A time moved on, in the format in which it is written; any other text stays.
fn moved(cell: &str, step: TimeDelta) -> String {
    const ELF: &str = "%Y%m%d%H%M%S%.3f";
    if let Ok(at) = NaiveDateTime::parse_from_str(cell, ELF) {
        return (at + step).format(ELF).to_string();
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(cell) {
        let at = at.to_utc() + step;
        return at.to_rfc3339_opts(SecondsFormat::Millis, true);
    }
    if let Ok(at) = DateTime::parse_from_str(cell, "%Y-%m-%dT%H:%M:%S%.3f%z") {
        let at: DateTime<Utc> = at.to_utc() + step;
        return at.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string();
    }
    cell.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: &str, repeat: u32, row: &[(&str, &str)]) -> String {
        let row = row.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let input = CaseInput {
            event: event.into(),
            name: "x.csv".into(),
            repeat,
            step_seconds: 90,
            content: Content::Rows(vec![row.collect()]),
        };
        csv_text(&input, &Catalog::embedded()).unwrap()
    }

    fn cells(text: &str, heading: &str) -> Vec<String> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let at = reader.headers().unwrap().iter().position(|h| h == heading).unwrap();
        reader.records().map(|r| r.unwrap()[at].to_owned()).collect()
    }

    #[test]
    fn the_header_is_the_catalogues_and_extra_keys_come_last() {
        let text = text("Login", 1, &[("LOGIN_TYPE", "A"), ("NEW_COLUMN", "a \"b\"\nc")]);
        assert_eq!(cells(&text, "EVENT_TYPE"), ["Login"]);
        assert_eq!(cells(&text, "LOGIN_TYPE"), ["A"]);
        assert_eq!(cells(&text, "USER_ID"), [""]);
        assert_eq!(cells(&text, "NEW_COLUMN"), ["a \"b\"\nc"]);
        assert!(text.lines().next().unwrap().ends_with("\"NEW_COLUMN\""));
    }

    #[test]
    fn a_repeated_row_moves_all_its_times_on() {
        let row = [
            ("TIMESTAMP_DERIVED", "2026-01-15T23:59:00.000Z"),
            ("TIMESTAMP", "20260115235900.000"),
        ];
        let text = text("Login", 3, &row);
        assert_eq!(
            cells(&text, "TIMESTAMP_DERIVED"),
            [
                "2026-01-15T23:59:00.000Z",
                "2026-01-16T00:00:30.000Z",
                "2026-01-16T00:02:00.000Z"
            ]
        );
        assert_eq!(cells(&text, "TIMESTAMP")[2], "20260116000200.000");
    }

    #[test]
    fn an_event_type_that_the_catalogue_does_not_know_is_written_as_it_is() {
        let text = text("BrandNew", 1, &[("X", "1")]);
        assert_eq!(cells(&text, "EVENT_TYPE"), ["BrandNew"]);
    }
}
