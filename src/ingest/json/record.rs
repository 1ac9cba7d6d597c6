//! One record of an API answer as the cells of a CSV row.

use serde_json::{Map, Value};

/// Relationships within relationships that are followed.
const DEPTH_MAX: usize = 5;
/// Stands for every field whose name cannot be a field's name: it may be data.
const UNNAMED: &str = "(field without a name)";
/// Longest name of a field.
const NAME_CHARS_MAX: usize = 80;

/// What a record is, by its `attributes` or else by its fields.
pub const LOGIN_IP_RANGE: &str = "LoginIpRange";

/// Heading and text of each field, in the record's order.
pub type Cells = Vec<(String, String)>;

/// The rows that a record stands for, each with the data set that it names.
pub fn rows_of(record: Map<String, Value>) -> Vec<(String, Cells)> {
    let data_set = type_of(&record).unwrap_or_default().to_owned();
    let mut rows = vec![];
    let is_profile = data_set == "Profile"
        || record.contains_key("userPermissions")
        || record.contains_key("loginIpRanges");
    let settings = record.get("Metadata").and_then(Value::as_object);
    if is_profile && (settings.is_some() || record.contains_key("fullName")) {
        let ranges = settings.unwrap_or(&record).get("loginIpRanges");
        rows.extend(ranges_of(&record, ranges).map(|row| (LOGIN_IP_RANGE.to_owned(), row)));
        // Its permissions are there only if they were asked for.
        let has_permissions = record.keys().any(|k| k.starts_with("Permissions"));
        if !has_permissions {
            return rows;
        }
    }
    let mut cells = vec![];
    flatten("", record, 0, &mut cells);
    rows.push((data_set, cells));
    rows
}

fn type_of(record: &Map<String, Value>) -> Option<&str> {
    record.get("attributes")?.get("type")?.as_str()
}

/// The login IP ranges of a profile; one row without addresses where it has none.
fn ranges_of(
    profile: &Map<String, Value>,
    ranges: Option<&Value>,
) -> impl Iterator<Item = Cells> + use<> {
    let text_of = |keys: &[&str]| {
        let value = keys.iter().find_map(|key| profile.get(*key));
        value.map(text).unwrap_or_default()
    };
    let id = text_of(&["Id", "id"]);
    let name = text_of(&["Name", "fullName", "FullName"]);
    let ranges: Vec<Value> = match ranges {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(ranges)) => ranges.clone(),
        Some(one) => vec![one.clone()],
    };
    let address = |range: &Value, key: &str| range.get(key).map(text).unwrap_or_default();
    let row = move |start: String, end: String| {
        vec![
            ("ProfileId".to_owned(), id.clone()),
            ("Profile.Name".to_owned(), name.clone()),
            ("StartAddress".to_owned(), start),
            ("EndAddress".to_owned(), end),
        ]
    };
    let rows: Vec<Cells> = match ranges.is_empty() {
        true => vec![row(String::new(), String::new())],
        false => ranges
            .iter()
            .map(|r| {
                let start = address(r, "startAddress");
                // Something that is no range must not look like having none.
                let start = if start.is_empty() { "?".into() } else { start };
                row(start, address(r, "endAddress"))
            })
            .collect(),
    };
    rows.into_iter()
}

fn flatten(prefix: &str, record: Map<String, Value>, depth: usize, cells: &mut Cells) {
    for (key, value) in record {
        if key == "attributes" {
            continue;
        }
        let heading = match is_field_name(&key) {
            true => format!("{prefix}{key}"),
            false => UNNAMED.to_owned(),
        };
        match value {
            Value::Object(inner) if depth < DEPTH_MAX && !inner.contains_key("records") => {
                flatten(&format!("{heading}."), inner, depth + 1, cells);
            }
            value => cells.push((heading, text(&value))),
        }
    }
}

fn is_field_name(key: &str) -> bool {
    key.len() <= NAME_CHARS_MAX
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

/// A value as a CSV cell of one line; a list of plain values is joined by semicolons. Anything
/// deeper has no meaning as a cell.
fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Object(_) => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains(['\r', '\n']) => text.replace(['\r', '\n'], " "),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let plain = values.iter().filter(|v| !v.is_array() && !v.is_object());
            plain.map(text).collect::<Vec<_>>().join(";")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: &str) -> Vec<(String, Cells)> {
        match serde_json::from_str(json).unwrap() {
            Value::Object(record) => rows_of(record),
            other => panic!("{other}"),
        }
    }

    fn shown(json: &str) -> Vec<String> {
        let each = rows(json).into_iter();
        each.map(|(data_set, cells)| {
            let cells: Vec<String> = cells.iter().map(|(h, c)| format!("{h}={c}")).collect();
            format!("{data_set}: {}", cells.join(" "))
        })
        .collect()
    }

    #[test]
    fn relationships_become_dotted_headings() {
        let json = r#"{"attributes":{"type":"User","url":"/x"},"Id":"005","IsActive":true,
            "Profile":{"attributes":{"type":"Profile"},"Name":"A\nB","UserLicense":{"Name":"L"}},
            "Manager":null,"Cases":{"totalSize":1,"records":[{"Subject":"x"}]}}"#;
        assert_eq!(
            shown(json),
            [
                "User: Id=005 IsActive=true Profile.Name=A B Profile.UserLicense.Name=L Manager= Cases="
            ]
        );
    }

    #[test]
    fn a_profile_with_its_settings_becomes_its_ranges() {
        let json = r#"{"attributes":{"type":"Profile"},"Id":"00e1","Name":"P","Metadata":{
            "loginIpRanges":[{"startAddress":"192.0.2.1","endAddress":"192.0.2.9","description":"x"}],
            "description":"y"}}"#;
        assert_eq!(
            shown(json),
            [
                "LoginIpRange: ProfileId=00e1 Profile.Name=P StartAddress=192.0.2.1 EndAddress=192.0.2.9"
            ]
        );
        for none in ["null", "[]"] {
            let json = format!(
                r#"{{"attributes":{{"type":"Profile"}},"Id":"00e1","Name":"P",
                    "Metadata":{{"loginIpRanges":{none}}}}}"#
            );
            assert_eq!(
                shown(&json),
                ["LoginIpRange: ProfileId=00e1 Profile.Name=P StartAddress= EndAddress="]
            );
        }
        let by_metadata_api = r#"{"fullName":"P","custom":"true","userPermissions":[],
            "loginIpRanges":{"startAddress":"192.0.2.1","endAddress":"192.0.2.9"}}"#;
        assert_eq!(
            shown(by_metadata_api),
            ["LoginIpRange: ProfileId= Profile.Name=P StartAddress=192.0.2.1 EndAddress=192.0.2.9"]
        );
    }

    #[test]
    fn settings_that_were_not_read_are_not_taken_for_no_ranges() {
        let json = r#"{"attributes":{"type":"Profile"},"Id":"00e1","Name":"P","Metadata":null}"#;
        assert!(
            shown(json)
                .iter()
                .all(|row| !row.starts_with(LOGIN_IP_RANGE))
        );
        let odd = r#"{"attributes":{"type":"Profile"},"Id":"1","Name":"P",
            "Metadata":{"loginIpRanges":["x"]}}"#;
        assert!(shown(odd)[0].contains("StartAddress=? "));
    }

    #[test]
    fn a_name_that_is_no_name_is_not_repeated() {
        let rows = rows(r#"{"Id":"1","jane@example.com":"x","":"y"}"#);
        let headings: Vec<&str> = rows[0].1.iter().map(|(h, _)| h.as_str()).collect();
        assert_eq!(headings, ["Id", UNNAMED, UNNAMED]);
    }

    #[test]
    fn the_settings_of_a_connected_app_keep_their_place() {
        let json = r#"{"fullName":"A","label":"A","oauthConfig":{"scopes":["Api","Full"],
            "isPkceRequired":false},"oauthPolicy":{"ipRelaxation":"ENFORCE"}}"#;
        assert_eq!(
            shown(json),
            [
                ": fullName=A label=A oauthConfig.scopes=Api;Full oauthConfig.isPkceRequired=false \
              oauthPolicy.ipRelaxation=ENFORCE"
            ]
        );
    }
}
