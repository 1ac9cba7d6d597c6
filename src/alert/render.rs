//! The two parts of a mail, rendered from one view.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use super::AlertError;
use super::view::View;
use super::wrap::wrap;

/// Width of the text part, in columns.
const TEXT_WIDTH: usize = 76;

pub struct Parts {
    pub text: String,
    pub html: String,
}

pub fn render(view: &View) -> Result<Parts, AlertError> {
    let environment = environment()?;
    let context = context! { mail => Value::from(Serde(view)) };
    Ok(Parts {
        text: environment
            .get_template("digest.txt")?
            .render(context.clone())?,
        html: environment.get_template("digest.html")?.render(context)?,
    })
}

fn environment() -> Result<Environment<'static>, AlertError> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name {
        "digest.txt" => AutoEscape::None,
        _ => AutoEscape::Html,
    });
    environment.add_filter("wrap", |text: String, indent: usize| {
        wrap(&text, TEXT_WIDTH, indent)
    });
    environment.add_template("digest.txt", include_str!("templates/digest.txt"))?;
    environment.add_template("digest.html", include_str!("templates/digest.html"))?;
    Ok(environment)
}
