//! What the strict reader promises of any TOML file.

use proptest::prelude::*;

use super::*;

fn moment(text: &str) -> Result<String, Fault> {
    let doc = Document::new("f.toml", &format!("at = {text}"));
    let table = doc.parse()?;
    let item = doc.root(&table, &["at"])?.require("at", "")?;
    Ok(item.moment()?.to_rfc3339())
}

#[test]
fn a_date_is_its_first_moment_in_utc_and_offsets_count() {
    for (text, moment_utc) in [
        ("2026-01-15", "2026-01-15T00:00:00+00:00"),
        ("\"2026-01-15\"", "2026-01-15T00:00:00+00:00"),
        ("2026-01-15T09:00:00+01:00", "2026-01-15T08:00:00+00:00"),
        ("2026-01-15 09:00:00.25Z", "2026-01-15T09:00:00.250+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
    ] {
        assert_eq!(moment(text).unwrap(), moment_utc, "{text}");
    }
    for text in [
        "2026-01-15T09:00:00",
        "09:00:00",
        "\"noon\"",
        "\"\"",
        "2026-02-30",
    ] {
        assert!(moment(text).is_err(), "{text}");
    }
}

#[test]
fn columns_count_characters_and_a_byte_order_mark_counts_for_nothing() {
    let doc = Document::new("f.toml", "\u{feff}a = 1\n\"\u{e4}\u{f6}\" = [1, \"\"]\n");
    let table = doc.parse().unwrap();
    let section = doc.root(&table, &["a", "\u{e4}\u{f6}"]).unwrap();
    let item = &section.get("\u{e4}\u{f6}").unwrap().list().unwrap()[1];
    assert_eq!(
        item.position(),
        Position {
            line: 2,
            column: 12
        }
    );
    assert_eq!(
        section.get("a").unwrap().position(),
        Position { line: 1, column: 5 }
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}=\"'.,#a-z0-9\n \u{e4}\u{feff}-]{0,60}") {
        let doc = Document::new("f.toml", &text);
        if let Ok(table) = doc.parse() && let Ok(section) = doc.root(&table, &["a", "b"]) {
            for item in section.items() {
                let _ = (item.text(), item.list(), item.moment(), item.plain(), item.position());
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("a = {}", "[".repeat(100_000));
    assert!(Document::new("f.toml", &text).parse().is_err());
}
