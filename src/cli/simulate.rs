//! `orgwatch simulate`: a synthetic org, with attacks and look-alikes of which the answer is known.

use std::path::PathBuf;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::terminal::Terminal;
use super::{Global, print_rows};
use crate::catalog::Catalog;
use crate::simulate::{self, Request, Size, Tier, Wish};
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch simulate --out synthetic --seed 7 --size tiny --days 60 --attack token-replay
  orgwatch simulate --out synthetic --seed 7 --attack all --story all --tier free
  orgwatch simulate --out synthetic --end 2025-08-31 --attack drift@2025-08-09 --mutate slower
  orgwatch simulate --list

The same seed writes the same bytes. Then: `orgwatch run --config synthetic/orgwatch.toml --now …`";

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The folder to write into: a new one, or an empty one
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    pub out: Option<PathBuf>,
    /// What everything is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Days of logs
    #[arg(long, value_name = "DAYS", default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=3660))]
    pub days: u16,
    /// The last day of logs
    #[arg(long, value_name = "DATE", default_value = "2026-06-30")]
    pub end: NaiveDate,
    /// How large the org is
    #[arg(long, value_enum, default_value_t = Size::Small)]
    pub size: Size,
    /// Which logs it has: the free ones only, or all of Event Monitoring
    #[arg(long, value_enum, default_value_t = TierWord::Shield)]
    pub tier: TierWord,
    /// An attack, on a day (2026-05-04, or 65 for the 65th) or wherever it fits; `all` for each;
    /// may be repeated
    #[arg(long, value_name = "NAME[@DAY]")]
    pub attack: Vec<String>,
    /// What looks like an attack and is none; as --attack
    #[arg(long, value_name = "NAME[@DAY]")]
    pub story: Vec<String>,
    /// How the attacks evade
    #[arg(long, value_name = "NAME")]
    pub mutate: Option<String>,
    /// Print the attacks, stories and mutations, and write nothing
    #[arg(long)]
    pub list: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TierWord {
    Free,
    Shield,
}

pub fn run(args: &SimulateArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.list {
        print_rows(&offers()?, global, terminal)?;
        return Ok(Exit::Done);
    }
    let request = request(args);
    let days = u64::from(args.days);
    let progress = terminal.steps(days);
    let written = simulate::write(&request, &Catalog::embedded(), |day| {
        progress.set_message(day.to_string());
        progress.inc(1);
    })?;
    progress.finish_and_clear();
    written.notes.iter().for_each(|note| terminal.warn(note));
    let folder = crate::privacy::printable(&request.out.display().to_string(), 500);
    terminal.say(&format!(
        "Wrote {} of logs with {} into {folder}",
        counted(days, "day"),
        counted(written.labels as u64, "label")
    ));
    terminal.say(&format!(
        "hint: orgwatch run --config {folder}/orgwatch.toml --now {}",
        written.complete_at
    ));
    Ok(Exit::Done)
}

fn request(args: &SimulateArgs) -> Request {
    let wishes = |texts: &[String]| texts.iter().map(|text| Wish::parse(text)).collect();
    Request {
        // Required unless --list is given.
        out: args.out.clone().unwrap_or_default(),
        seed: args.seed,
        days: i64::from(args.days),
        end: args.end,
        size: args.size,
        tier: match args.tier {
            TierWord::Free => Tier::Free,
            TierWord::Shield => Tier::Shield,
        },
        attacks: wishes(&args.attack),
        stories: wishes(&args.story),
        mutation: args.mutate.clone(),
    }
}

fn offers() -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows: Vec<_> = simulate::offers().collect();
    let column = |pick: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
        std::sync::Arc::new(StringArray::from_iter_values(rows.iter().map(pick))) as ArrayRef
    };
    RecordBatch::try_from_iter([
        ("kind", column(|row| row.0)),
        ("name", column(|row| row.1)),
        ("what", column(|row| row.2)),
    ])
}
