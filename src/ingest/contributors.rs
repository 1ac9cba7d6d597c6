//! SecurityEventData of a Threat Detection event: which features made the score. A feature's value
//! may be a network, a report or a text, and is never kept.

use serde::Deserialize;

/// Most names kept of one event.
const NAMES: usize = 20;

/// Longest cell that is read, in bytes: many times Salesforce's own limit.
const CELL_BYTES: usize = 1 << 20;

/// Longest text that is taken for a feature's name.
const NAME_CHARS: usize = 60;

const PLACEHOLDER: &str = "{name}";

#[derive(Deserialize)]
struct Feature {
    #[serde(rename = "featureName")]
    name: Option<String>,
}

/// Appends the names of the contributing features, in the order in which they stand (the largest
/// contribution first), separated by semicolons, each once. False where there is none, or the cell
/// is no JSON list of features.
pub fn names(cell: &[u8], out: &mut Vec<u8>) -> bool {
    if cell.len() > CELL_BYTES {
        return false;
    }
    let features: Vec<Feature> = serde_json::from_slice(cell.trim_ascii())
        .or_else(|_| serde_json::from_slice(cell.trim_ascii()).map(|one: Feature| vec![one]))
        .unwrap_or_default();
    let mut names: Vec<&str> = vec![];
    for name in features.iter().filter_map(|f| f.name.as_deref()) {
        let name = if is_name(name) { name } else { PLACEHOLDER };
        if !names.contains(&name) && names.len() < NAMES {
            names.push(name);
        }
    }
    out.extend_from_slice(names.join(";").as_bytes());
    !names.is_empty()
}

/// `rowCount`, `autonomousSystem`, …
fn is_name(text: &str) -> bool {
    text.len() <= NAME_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().filter(u8::is_ascii_digit).count() <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cell: &str) -> Option<String> {
        let mut out = vec![];
        names(cell.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn features_are_kept_by_name_and_never_by_value() {
        let cell = r#"[
            {"featureName":"rowCount","featureValue":"1937568","featureContribution":"95.00 %"},
            {"featureName":"autonomousSystem","featureValue":"Bigleaf Networks, Inc.",
             "featureContribution":"1.62 %"},
            {"featureName":"userAgent","previousValue":"a\"featureName\":\"Jane\"","currentValue":7},
            {"featureName":"rowCount"},{"featureName":null},{"other":1}]"#;
        assert_eq!(
            text(cell).as_deref(),
            Some("rowCount;autonomousSystem;userAgent")
        );
        assert_eq!(
            text(r#"{"featureName":"rowCount"}"#).as_deref(),
            Some("rowCount")
        );
    }

    #[test]
    fn a_name_that_is_data_becomes_a_placeholder() {
        for data in [
            "jane@example.com",
            "Jane Doe",
            "0015e000003abcdAAA",
            "",
            "a4111111111",
        ] {
            let cell = serde_json::json!([{ "featureName": data }]).to_string();
            assert_eq!(text(&cell).as_deref(), Some("{name}"), "{data}");
        }
    }

    #[test]
    fn what_is_no_list_of_features_gives_nothing() {
        let deep = "[".repeat(100_000);
        for odd in [
            "",
            "null",
            "7",
            "\"x\"",
            "[1]",
            "[{\"featureName\":",
            "{}",
            deep.as_str(),
        ] {
            assert_eq!(text(odd), None);
        }
    }
}
