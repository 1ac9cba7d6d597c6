//! Synthetic orgs: seeded, in the very files that Salesforce writes, with attacks and look-alikes
//! in them of which it is known what they are.
//!
//! ```text
//!  seed ─► org (who exists) ─► plan (attacks, stories: acts and changes) ─► registry.toml
//!                 │                        │                                orgwatch.toml
//!                 └─► life of a day ─► acts ─► rows ─► files of a night ─►  logs/<night>/…
//!                                           └─► what is counted of labels ─► labels.csv
//! ```
//!
//! A day is made, written and forgotten before the next one begins, so that memory is bounded by
//! the busiest day. Everything depends on the request alone: the same request writes the same
//! bytes, on every machine and in every release that does not say otherwise.

mod acts;
mod attacks;
mod book;
mod declare;
mod delivery;
mod draw;
mod error;
mod labels;
mod life;
mod moment;
mod mutate;
mod org;
mod plan;
mod roster;
mod rows;
mod size;
mod stories;
mod table;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

pub use book::Tier;
pub use error::SimulateError;
pub use plan::Wish;
pub use size::Size;

use crate::catalog::Catalog;
use book::Book;
use delivery::Delivery;
use moment::later;
use org::Org;
use plan::Plan;

/// What to write.
#[derive(Debug, Clone)]
pub struct Request {
    pub out: PathBuf,
    pub seed: u64,
    pub days: i64,
    /// The last day of which there are logs.
    pub end: NaiveDate,
    pub size: Size,
    pub tier: Tier,
    pub attacks: Vec<Wish>,
    pub stories: Vec<Wish>,
    pub mutation: Option<String>,
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    pub labels: usize,
    /// The first moment at which all files are there.
    pub complete_at: String,
    /// What was left out of `all`, and why.
    pub notes: Vec<String>,
}

/// What can be asked for: `attack`, `story` or `mutation`, the name, and a line about it.
pub fn offers() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let attacks = attacks::ALL.iter().map(|a| ("attack", a.name, a.line));
    let stories = stories::ALL.iter().map(|s| ("story", s.name, s.line));
    let mutations = mutate::ALL.iter().map(|m| ("mutation", m.name, m.line));
    attacks.chain(stories).chain(mutations)
}

/// Writes an org into an empty folder. `step` is told of each day that was written.
pub fn write(
    request: &Request,
    catalog: &Catalog,
    mut step: impl FnMut(NaiveDate),
) -> Result<Written, SimulateError> {
    let mutation = request.mutation.as_deref().map(|name| {
        mutate::by_name(name).ok_or_else(|| SimulateError::Unknown {
            what: "mutation",
            name: crate::privacy::printable(name, 60),
            hint: "see `orgwatch simulate --list`".to_owned(),
        })
    });
    let mutation = mutation.transpose()?;
    let first = later(request.end, 1 - request.days);
    let mut org = Org::cast(request.seed, request.size, first, request.end);
    let plan = plan::plan(
        &mut org,
        request.tier,
        &request.attacks,
        &request.stories,
        mutation,
    )?;

    claim(&request.out)?;
    put(
        &request.out.join("registry.toml"),
        declare::registry(&org, &plan.declared).as_bytes(),
    )?;
    put(
        &request.out.join("orgwatch.toml"),
        declare::config(&org).as_bytes(),
    )?;
    put(
        &request.out.join("networks.csv"),
        declare::networks(&org, &plan.declared).as_bytes(),
    )?;
    let tallies = days(request, &org, &plan, catalog, &mut step)?;

    let mut text = vec![];
    let path = request.out.join("labels.csv");
    let write = labels::write(&mut text, &org, request.tier, &plan.labels, &tallies);
    write.map_err(|source| SimulateError::Write {
        path: path.clone(),
        source,
    })?;
    put(&path, &text)?;
    Ok(Written {
        labels: plan.labels.len(),
        complete_at: format!("{}T03:00:00Z", later(request.end, 1)),
        notes: plan.notes,
    })
}

fn days(
    request: &Request,
    org: &Org,
    plan: &Plan,
    catalog: &Catalog,
    step: &mut dyn FnMut(NaiveDate),
) -> Result<Vec<book::Tally>, SimulateError> {
    let mut book = Book::new(org, catalog, request.tier, plan.labels.len());
    let logs = request.out.join("logs");
    let delivery = Delivery::new(&logs, org.seed, request.tier, &plan.irregular, org.last_day);
    let mut day = org.first_day;
    while day <= org.last_day {
        book.open(day);
        life::live(&mut book, &plan.asked, day);
        for (mark, act) in plan.acts.get(&day).into_iter().flatten() {
            book.put(act, *mark);
        }
        delivery.deliver(&mut book, day, plan.is_labelled(day))?;
        if request.tier == Tier::Shield && roster::is_due(org, day) {
            roster::write(org, &logs, day)?;
        }
        step(day);
        day = later(day, 1);
    }
    Ok(book.tallies().to_vec())
}

/// Makes the folder, which has to be a new one or empty.
fn claim(folder: &Path) -> Result<(), SimulateError> {
    let wrong = |source| SimulateError::Write {
        path: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(wrong)?;
    match fs::read_dir(folder).map_err(wrong)?.next() {
        None => Ok(()),
        Some(_) => Err(SimulateError::NotEmpty {
            path: folder.to_owned(),
        }),
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), SimulateError> {
    let mut file = delivery::create(path)?;
    let written = file.write_all(bytes).and_then(|()| file.flush());
    written.map_err(|source| SimulateError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
