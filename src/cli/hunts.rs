//! The ready questions of `orgwatch sql`: which there are, and one by its name.

use std::path::Path;

use super::exit::Exit;
use super::failure::UsageError;
use super::output::{Format, Rows};
use super::terminal::Terminal;
use super::{Global, print_rows};
use crate::config::nearest;
use crate::hunt::{Hunt, HuntSet};
use crate::privacy::printable;

/// Longest note shown, in characters.
const MAX_NOTES: usize = 1000;

pub fn list(dir: Option<&Path>, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let hunts = all(dir)?;
    let notes = || hunts.iter().map(|hunt| Some(hunt.notes.clone()));
    let for_people = global.format.unwrap_or_default() == Format::Table;
    let rows = match for_people {
        // A column of sentences would leave the others no room.
        true => rows(&hunts),
        false => rows(&hunts).text("notes", notes()),
    };
    print_rows(&rows.batch()?, global, terminal)?;
    for hunt in hunts
        .iter()
        .filter(|hunt| for_people && !hunt.notes.is_empty())
    {
        let note = format!("{}: {}", hunt.id, hunt.notes);
        terminal.say(&printable(&note, MAX_NOTES));
    }
    Ok(Exit::Done)
}

/// What each asks, over which days and with which parameters.
pub fn rows(hunts: &HuntSet) -> Rows {
    let each = || hunts.iter();
    Rows::new()
        .text("name", each().map(|hunt| Some(hunt.id.clone())))
        .text("asks", each().map(|hunt| Some(hunt.title.clone())))
        .text("days", each().map(|hunt| Some(hunt.span())))
        .text("parameters", each().map(|hunt| Some(hunt.signature())))
}

pub fn one(hunts: &HuntSet, name: &str) -> Result<Hunt, UsageError> {
    if let Some(hunt) = hunts.get(name) {
        return Ok(hunt.clone());
    }
    let near = nearest(name, hunts.iter().map(|hunt| hunt.id.as_str()));
    let hint = near.map_or("`orgwatch sql --hunts` lists them".to_owned(), |near| {
        format!("did you mean `{near}`?")
    });
    Err(UsageError::new(format!("there is no hunt `{name}`"), hint))
}

/// The hunts compiled in, and those of a folder.
pub fn all(dir: Option<&Path>) -> anyhow::Result<HuntSet> {
    let hunts = HuntSet::embedded()?;
    Ok(match dir {
        Some(dir) => hunts.with_dir(dir)?,
        None => hunts,
    })
}
