//! A user's own additions to the catalogue: event types and columns that it does not know yet.
//!
//! A TOML file:
//!
//! ```toml
//! [[event]]
//! name = "LightningLogger"          # EVENT_TYPE; a known type gains the columns below
//! aliases = ["LightningLog"]        # optional, other spellings
//!
//! [[event.column]]
//! heading = "LOG_LEVEL"             # as in the CSV's header row
//! class = "metadata"                # metadata | identifier | token
//! kind = "text"                     # optional: text (the default), integer, decimal, boolean, time
//! description = "Level of the line" # optional
//! unit = ""                         # optional: of a number, as in "ms"
//! ```
//!
//! A new type has the common columns by itself. Text is kept up to
//! [`CUT_CHARS`](super::CUT_CHARS) characters, a `token` as a keyed digest only. What is not
//! listed stays dropped, so there is no class `record-data` here; and a heading that the
//! catalogue holds for record data, in whatever type, cannot be made anything else. Added columns
//! take no part in a row's identity: files from before the addition still count their rows once.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::lookup::{Catalog, CatalogError, is_event_name};
use super::{Column, ColumnKind, EventType, LogFamily, PrivacyClass, Treatment};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    #[serde(default)]
    event: Vec<EventEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventEntry {
    name: Spanned<String>,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    #[serde(default)]
    column: Vec<ColumnEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnEntry {
    heading: Spanned<String>,
    class: Spanned<String>,
    kind: Option<Spanned<String>>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    unit: String,
}

/// Names that the lake itself gives to columns of every table.
const LAKE_COLUMNS: [&str; 17] = [
    "occurred_at",
    "user_id",
    "ip",
    "ip_key",
    "ip_kind",
    "query_object",
    "query_shape",
    "query_classes",
    "actions",
    "action_count",
    "actions_malformed",
    "file_id",
    "line_no",
    "row_key",
    "event_type",
    "event",
    "day",
];

impl Catalog {
    /// This catalogue with the additions of a TOML text; `file` is its name in messages.
    pub fn extended(mut self, text: &str, file: &Path) -> Result<Self, CatalogError> {
        let source = Source { text, file };
        let extension: Extension = toml::from_str(text).map_err(|e| {
            let problem = e.message().replace('\n', " ");
            let hint = "an entry is `[[event]]` with `name`, then `[[event.column]]` with \
                        `heading` and `class`";
            source.invalid(e.span().unwrap_or(0..0), problem, hint)
        })?;
        for entry in extension.event {
            self.add(entry, &source)?;
        }
        Ok(self)
    }

    fn add(&mut self, entry: EventEntry, source: &Source) -> Result<(), CatalogError> {
        let name = entry.name.get_ref().trim();
        let known = self.event_type(name).cloned();
        let Some(mut event) = known.or_else(|| self.unknown_event_type(name)) else {
            return Err(source.invalid(
                entry.name.span(),
                format!("`{name}` cannot be the name of an event type"),
                "letters, digits and underscores, a letter first, at most 64 characters, not \
                 beginning with `rollup_`",
            ));
        };
        for alias in entry.aliases {
            self.add_alias(&mut event, alias, source)?;
        }
        for column in entry.column {
            let column = self.new_column(&event, column, source)?;
            event.columns.push(column);
        }
        self.put(event);
        Ok(())
    }

    fn add_alias(
        &self,
        event: &mut EventType,
        alias: Spanned<String>,
        source: &Source,
    ) -> Result<(), CatalogError> {
        let text = alias.get_ref().trim();
        if !is_event_name(text) {
            return Err(source.invalid(
                alias.span(),
                format!("`{text}` cannot be the name of an event type"),
                "letters, digits and underscores, a letter first, at most 64 characters",
            ));
        }
        if let Some(other) = self.event_type(text)
            && other.name != event.name
        {
            return Err(source.invalid(
                alias.span(),
                format!("`{text}` already names the event type `{}`", other.name),
                "remove the alias",
            ));
        }
        event.aliases.push(text.to_owned());
        Ok(())
    }

    fn new_column(
        &self,
        event: &EventType,
        entry: ColumnEntry,
        source: &Source,
    ) -> Result<Column, CatalogError> {
        let heading = entry.heading.get_ref().trim().to_owned();
        let invalid =
            |problem: String, hint| Err(source.invalid(entry.heading.span(), problem, hint));
        let name = heading.to_ascii_lowercase().replace([' ', '-', '.'], "_");
        if name.is_empty()
            || name.len() > 128
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            return invalid(
                "a heading must consist of ASCII letters, digits and underscores".to_owned(),
                "write it as it stands in the CSV's header row",
            );
        }
        if event.column(&heading).is_some() || event.columns.iter().any(|c| c.name == name) {
            return invalid(
                format!("`{}` already has the column `{heading}`", event.name),
                "the class of a known column cannot be changed; remove the entry",
            );
        }
        if LAKE_COLUMNS.contains(&name.as_str()) {
            return invalid(
                format!("`{name}` is a column of every table"),
                "remove the entry",
            );
        }
        if event.family == LogFamily::EventLogFile && self.is_record_data_anywhere(&heading) {
            return invalid(
                format!("`{heading}` holds record data, which is never kept"),
                "remove the entry",
            );
        }
        let class = class(&entry.class, source)?;
        let kind = kind(entry.kind.as_ref(), source)?;
        Ok(Column {
            name,
            aliases: vec![],
            treatment: match (class, kind) {
                (PrivacyClass::Token, _) => Treatment::Digest,
                (_, ColumnKind::Text) => Treatment::Cut,
                _ => Treatment::Keep,
            },
            kind: if class == PrivacyClass::Token {
                ColumnKind::Text
            } else {
                kind
            },
            class,
            identity: false,
            description: entry.description,
            unit: entry.unit,
            heading,
        })
    }
}

fn class(word: &Spanned<String>, source: &Source) -> Result<PrivacyClass, CatalogError> {
    match word.get_ref().as_str() {
        "metadata" => Ok(PrivacyClass::Metadata),
        "identifier" => Ok(PrivacyClass::Identifier),
        "token" => Ok(PrivacyClass::Token),
        "record-data" => Err(source.invalid(
            word.span(),
            "`record-data` is the class of every column that is not listed".to_owned(),
            "remove the entry: the column is dropped without it",
        )),
        other => Err(source.invalid(
            word.span(),
            format!("unknown class `{other}`"),
            "one of metadata, identifier, token",
        )),
    }
}

fn kind(word: Option<&Spanned<String>>, source: &Source) -> Result<ColumnKind, CatalogError> {
    let Some(word) = word else {
        return Ok(ColumnKind::Text);
    };
    match word.get_ref().as_str() {
        "text" => Ok(ColumnKind::Text),
        "integer" => Ok(ColumnKind::Integer),
        "decimal" => Ok(ColumnKind::Decimal),
        "boolean" => Ok(ColumnKind::Boolean),
        "time" => Ok(ColumnKind::Time),
        other => Err(source.invalid(
            word.span(),
            format!("unknown kind `{other}`"),
            "one of text, integer, decimal, boolean, time",
        )),
    }
}

struct Source<'a> {
    text: &'a str,
    file: &'a Path,
}

impl Source<'_> {
    fn invalid(&self, at: Range<usize>, problem: String, hint: &str) -> CatalogError {
        let before = self.text.as_bytes().iter().take(at.start);
        CatalogError::Invalid {
            file: self.file.to_owned(),
            line: 1 + before.filter(|b| **b == b'\n').count(),
            problem,
            hint: hint.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(text: &str) -> Result<Catalog, CatalogError> {
        Catalog::embedded().extended(text, Path::new("own.toml"))
    }

    fn error(text: &str) -> String {
        extended(text).unwrap_err().to_string()
    }

    #[test]
    fn a_new_type_has_the_common_columns_and_the_listed_ones() {
        let catalog = extended(
            r#"
            [[event]]
            name = "LightningLogger"
            aliases = ["LightningLog"]
            [[event.column]]
            heading = "LOG_LEVEL"
            class = "metadata"
            [[event.column]]
            heading = "TRACE_KEY"
            class = "token"
            kind = "integer"
            "#,
        )
        .unwrap();
        let event = catalog.event_type("lightninglog").unwrap();
        assert_eq!(event.table, "elf_lightning_logger");
        assert_eq!(event.column("LOG_LEVEL").unwrap().treatment, Treatment::Cut);
        assert_eq!(
            event.column("TRACE_KEY").unwrap().treatment,
            Treatment::Digest
        );
        assert_eq!(event.column("TRACE_KEY").unwrap().kind, ColumnKind::Text);
        assert!(event.column("CLIENT_IP").is_some());
    }

    #[test]
    fn a_known_type_gains_columns_without_a_change_of_row_identity() {
        let text = "[[event]]\nname = \"login\"\n[[event.column]]\nheading = \"NEW_FLAG\"\n\
                    class = \"metadata\"\nkind = \"boolean\"\n";
        let catalog = extended(text).unwrap();
        let login = catalog.event_type("Login").unwrap();
        assert!(!login.column("NEW_FLAG").unwrap().identity);
        assert!(login.column("LOGIN_STATUS").is_some());
        assert_eq!(
            catalog.event_types().len(),
            Catalog::embedded().event_types().len()
        );
    }

    #[test]
    fn record_data_cannot_be_upgraded() {
        for event in ["RestApi", "BrandNew"] {
            let text = format!(
                "[[event]]\nname = \"{event}\"\n[[event.column]]\nheading = \"Query\"\n\
                 class = \"metadata\"\n"
            );
            assert!(extended(&text).is_err(), "{event}");
        }
        let text = "[[event]]\nname = \"X\"\n[[event.column]]\nheading = \"Y\"\n\
                    class = \"record-data\"\n";
        assert!(error(text).contains("line 5"), "{}", error(text));
    }

    #[test]
    fn an_error_names_file_line_and_hint() {
        let shown = error(
            "[[event]]\nname = \"Login\"\n[[event.column]]\nheading = \"A\"\nclass = \"secret\"\n",
        );
        assert_eq!(
            shown,
            "`own.toml` line 5: unknown class `secret`\nhint: one of metadata, identifier, token"
        );
        assert!(error("[[event]]\nname = \"A\"\nfoo = 1\n").contains("line 3"));
        assert!(error("[[event]]\nname = \"../x\"\n").contains("line 2"));
    }

    #[test]
    fn a_column_cannot_take_the_name_of_a_lake_column() {
        for heading in ["IP", "row_key", "occurred_at"] {
            let text = format!(
                "[[event]]\nname = \"New\"\n[[event.column]]\nheading = \"{heading}\"\n\
                 class = \"metadata\"\n"
            );
            assert!(extended(&text).is_err(), "{heading}");
        }
    }
}
