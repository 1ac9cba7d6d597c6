//! The ready questions of `orgwatch sql`: which there are, and one by its name.

use std::path::Path;

use super::exit::Exit;
use super::failure::UsageError;
use super::output::Rows;
use super::terminal::Terminal;
use super::{Global, print_rows};
use crate::config::nearest;
use crate::hunt::{Hunt, HuntSet};

pub fn list(dir: Option<&Path>, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let hunts = all(dir)?;
    let each = || hunts.iter();
    let batch = Rows::new()
        .text("name", each().map(|hunt| Some(hunt.id.clone())))
        .text("asks", each().map(|hunt| Some(hunt.title.clone())))
        .text("days", each().map(|hunt| Some(hunt.span())))
        .text("parameters", each().map(|hunt| Some(hunt.signature())))
        .batch()?;
    print_rows(&batch, global, terminal)?;
    Ok(Exit::Done)
}

pub fn one(dir: Option<&Path>, name: &str) -> anyhow::Result<Hunt> {
    let hunts = all(dir)?;
    if let Some(hunt) = hunts.get(name) {
        return Ok(hunt.clone());
    }
    let near = nearest(name, hunts.iter().map(|hunt| hunt.id.as_str()));
    let hint = near.map_or("`orgwatch sql --hunts` lists them".to_owned(), |near| {
        format!("did you mean `{near}`?")
    });
    Err(UsageError::new(format!("there is no hunt `{name}`"), hint).into())
}

fn all(dir: Option<&Path>) -> anyhow::Result<HuntSet> {
    let hunts = HuntSet::embedded()?;
    Ok(match dir {
        Some(dir) => hunts.with_dir(dir)?,
        None => hunts,
    })
}
