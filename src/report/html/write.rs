//! The page as bytes: the templates, and the one place where text becomes HTML.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{
    AutoEscape, Environment, Output, State, UndefinedBehavior, context, escape_formatter,
};
use sha2::{Digest, Sha256};

use super::ReportError;
use super::content::Content;
use super::page::Page;
use crate::privacy::printable;
use crate::words::grouped;

/// Longest text of one place, in characters: a command line has room.
const MAX_TEXT: usize = 4000;

const STYLE: &str = include_str!("templates/page.css");

const TEMPLATES: [(&str, &str); 7] = [
    ("page.html", include_str!("templates/page.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("findings.html", include_str!("templates/findings.html")),
    ("health.html", include_str!("templates/health.html")),
    ("users.html", include_str!("templates/users.html")),
    ("registry.html", include_str!("templates/registry.html")),
    ("coverage.html", include_str!("templates/coverage.html")),
];

/// The page: a whole HTML document.
pub fn render(content: &Content) -> Result<String, ReportError> {
    let environment = environment()?;
    let page = Page::of(content)?;
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    Ok(environment.get_template("page.html")?.render(context! {
        page => Value::from(Serde(&page)),
        style => Value::from_safe_string(STYLE.to_owned()),
        style_hash => Value::from_safe_string(hash),
        version => env!("CARGO_PKG_VERSION"),
    })?)
}

fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(write_text);
    environment.add_filter("n", |number: i64| grouped(number));
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    Ok(environment)
}

/// Whatever a template writes passes here: text is made printable, then escaped. What is safe is
/// the style sheet, charts, and what the templates' own macros have written.
fn write_text(out: &mut Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    match value.as_str() {
        Some(text) if value.kind() == ValueKind::String && !value.is_safe() => {
            escape_formatter(out, state, &Value::from(printable(text, MAX_TEXT)))
        }
        _ => escape_formatter(out, state, value),
    }
}
