//! The files of a new rule: small, complete, and passing lint and its own cases, so that the
//! first change is a change to something that works.

use super::error::RuleError;
use super::rule::{Origin, Rule};

const SQL: &str = include_str!("data/scaffold.sql");
const CASES: &str = include_str!("data/scaffold.cases.toml");

/// Two files, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    pub sql_name: String,
    pub sql: String,
    pub cases_name: String,
    pub cases: String,
}

/// The files of a rule of this id. The title is written into a TOML text and must fit there.
///
/// # Errors
/// An id or a title that no rule may have.
pub fn scaffold(id: &str, title: Option<&str>) -> Result<Scaffold, RuleError> {
    let title = title.unwrap_or("Failed logins of an integration user from one network");
    let sql_name = format!("{id}.sql");
    let unfit = title.contains(['"', '\\', '*', '\n']) || title.chars().any(char::is_control);
    if unfit {
        let what = "the title holds a quote, a backslash, an asterisk or a line's end";
        return Err(RuleError::new(&sql_name, 0, what).hint("write it in plain words"));
    }
    let sql = SQL
        .replacen("{id}", id, 1)
        .replacen("{title}", title.trim(), 1);
    let origin = Origin::Embedded {
        file: sql_name.clone(),
    };
    Rule::read(&sql, origin).map_err(|error| RuleError {
        file: sql_name.clone(),
        ..error
    })?;
    Ok(Scaffold {
        sql_name,
        sql,
        cases_name: format!("{id}.cases.toml"),
        cases: CASES.replace("{id}", id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_rule_has_its_id_and_title() {
        let made = scaffold("my-rule", Some(" What I watch ")).unwrap();
        assert!(made.sql.contains("id = \"my-rule\"") && made.sql.contains("= \"What I watch\""));
        assert_eq!(made.cases_name, "my-rule.cases.toml");
    }

    #[test]
    fn an_id_or_title_that_no_rule_may_have_is_refused() {
        for id in ["My-Rule", "", "../x", "a b", "x\"y"] {
            assert!(scaffold(id, None).is_err(), "{id}");
        }
        for title in ["", "a\"b", "a*/b", "a\\", "a\u{7}b"] {
            assert!(scaffold("ok", Some(title)).is_err(), "{title:?}");
        }
    }
}
