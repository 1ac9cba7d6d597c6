//! `orgwatch findings`: what was found, and one finding in full.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::cases::{CaseOf, by_case, case_rows, related, write_case};
use super::exit::Exit;
use super::gathering::Gathering;
use super::mailing::Teller;
use super::output::{Destination, Format, Rows, writer};
use super::telling::{instant, short, write_news};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{Global, HiddenNow, explain};
use crate::alert::{DigestFinding, News, wrap};
use crate::config::Severity;
use crate::detect::to_json;
use crate::lake::{Finding, FindingEvent, FindingFilter, FindingRow, Lake, Status};
use crate::privacy::printable;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch findings list --severity high
  orgwatch findings list --status new,ongoing --format jsonl
  orgwatch findings list --user erp@example.com --format csv --output erp.csv
  orgwatch findings list --by-case --severity high
  orgwatch findings list --case 0b1f7e24c9aa
  orgwatch findings show 3f2a91c04b7d";

#[derive(Debug, Subcommand)]
pub enum FindingsCommand {
    /// Findings, the gravest first
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// One finding in full, with its history and the line that shows its rows
    #[command(after_help = EXAMPLES)]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// This severity and above
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub severity: Option<Severity>,
    /// Only these statuses, comma-separated: new, ongoing, resolved, acknowledged, suppressed
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse_status)]
    pub status: Vec<Status>,
    /// Only this rule
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Only this user, by id or username
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only this case, by its id or as much of its beginning as is unique
    #[arg(long, value_name = "CASE")]
    pub case: Option<String>,
    /// A line for each case: the findings of one subject and day
    #[arg(long)]
    pub by_case: bool,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The finding's id, or as much of its beginning as is unique
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn parse_severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(&word.to_lowercase())
        .ok_or_else(|| "one of info, low, medium, high, critical".to_owned())
}

fn parse_status(word: &str) -> Result<Status, String> {
    Status::from_word(&word.to_lowercase())
        .ok_or_else(|| "one of new, ongoing, resolved, acknowledged, suppressed".to_owned())
}

pub fn run(
    command: &FindingsCommand,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        FindingsCommand::List(args) => list(args, global, terminal),
        FindingsCommand::Show(args) => show(args, global, terminal),
    }
}

fn list(args: &ListArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let lake = Lake::open_reader(place.data_dir())?;
    let filter = FindingFilter {
        statuses: args.status.clone(),
        rule_id: args.rule.clone(),
        min_severity: args.severity,
        user: args.user.clone(),
        case_id: args.case.clone(),
        ..FindingFilter::default()
    };
    let found = lake.ledger().findings(&filter)?;
    let listed: Vec<Listed> = found
        .into_iter()
        .map(|f| Listed {
            row: f.row,
            status: f.status,
        })
        .collect();
    if args.by_case {
        let cases = by_case(&listed);
        terminal.say(&format!(
            "{} in {}",
            counted(listed.len(), "finding"),
            counted(cases.len(), "case")
        ));
        print_items(
            Items::Cases(&cases),
            global,
            args.output.as_deref(),
            terminal,
        )?;
        return Ok(Exit::Done);
    }
    terminal.say(&counted(listed.len(), "finding"));
    print_list(&listed, global, args.output.as_deref(), terminal)?;
    Ok(Exit::Done)
}

/// A finding and where it stands.
pub struct Listed {
    pub row: FindingRow,
    pub status: Status,
}

/// The findings of an evaluation: in full for people, as a list in the other formats.
pub fn print_findings(
    listed: &[Listed],
    teller: &Teller<'_>,
    gathering: &Gathering,
    global: &Global,
    place: &Workplace<'_>,
) -> anyhow::Result<()> {
    if global.format.unwrap_or_default() != Format::Table {
        return print_list(listed, global, None, place.terminal);
    }
    let mut text = String::new();
    let open = |l: &&Listed| matches!(l.status, Status::New | Status::Ongoing);
    let shown: BTreeSet<&str> = listed
        .iter()
        .filter(open)
        .map(|l| l.row.finding_id.as_str())
        .collect();
    for item in listed.iter().filter(open) {
        let leader = gathering.leader_of(&item.row);
        if leader.is_some_and(|leader| shown.contains(leader.finding_id.as_str())) {
            continue;
        }
        let finding = gathering.tell(&item.row, &shown, teller);
        write_news(
            &mut text,
            &News {
                finding,
                others: Vec::new(),
            },
            place.terminal,
        )?;
        text.push('\n');
    }
    place.terminal.data(|out| out.write_all(text.as_bytes()))?;
    Ok(())
}

fn print_list(
    listed: &[Listed],
    global: &Global,
    output: Option<&std::path::Path>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    print_items(Items::Findings(listed), global, output, terminal)
}

/// What a list has on its lines.
enum Items<'a> {
    Findings(&'a [Listed]),
    Cases(&'a [CaseOf<'a>]),
}

impl Items<'_> {
    fn to_json(&self) -> Vec<serde_json::Value> {
        match self {
            Items::Findings(listed) => listed
                .iter()
                .map(|item| to_json(&item.row, item.status.as_str()))
                .collect(),
            Items::Cases(cases) => cases.iter().map(CaseOf::to_json).collect(),
        }
    }

    fn rows(&self, for_people: bool) -> Rows {
        match (self, for_people) {
            (Items::Findings(listed), true) => short_rows(listed),
            (Items::Findings(listed), false) => all_columns(listed),
            (Items::Cases(cases), _) => case_rows(cases, for_people),
        }
    }
}

fn print_items(
    items: Items<'_>,
    global: &Global,
    output: Option<&std::path::Path>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let format = global.format.unwrap_or_default();
    let destination = Destination::open(output, format, terminal)?;
    match format {
        Format::Json | Format::Jsonl => {
            let mut sink = destination.sink(terminal)?;
            write_json(&mut sink, items.to_json(), format)?;
            sink.flush()?;
        }
        _ => {
            let batch = items.rows(format == Format::Table).batch()?;
            let layout = destination.layout(terminal);
            let mut rows = writer(format, batch.schema(), layout, destination.sink(terminal)?)?;
            rows.write(&batch)?;
            rows.finish()?;
        }
    }
    destination.finish().context("cannot finish the output")?;
    Ok(())
}

fn write_json(
    sink: &mut dyn Write,
    items: Vec<serde_json::Value>,
    format: Format,
) -> std::io::Result<()> {
    let escape = super::output::escape_json;
    if format == Format::Jsonl {
        for item in items {
            writeln!(sink, "{}", escape(&item.to_string()))?;
        }
        return Ok(());
    }
    let all = serde_json::Value::from(items);
    writeln!(sink, "{}", escape(&all.to_string()))
}

fn short_rows(listed: &[Listed]) -> Rows {
    let rows = || listed.iter().map(|l| &l.row);
    let short_rows = Rows::new()
        .text("finding", rows().map(|r| Some(short(&r.finding_id))))
        .text("severity", rows().map(|r| Some(r.severity.as_str())))
        .text("status", listed.iter().map(|l| Some(l.status.as_str())))
        .text("rule", rows().map(|r| Some(r.rule_id.clone())))
        .text(
            "user",
            rows().map(|r| r.username.clone().or_else(|| r.user_key.clone())),
        )
        .time("last_seen", rows().map(|r| Some(r.last_seen)))
        .number("count", rows().map(|r| r.count))
        .text("observed", rows().map(|r| Some(r.observed.clone())));
    // What hides, raises or gathers a finding is of interest where something does.
    let mut short_rows = short_rows;
    if rows().any(|r| r.suppressed_by.is_some()) {
        short_rows = short_rows.text("suppressed_by", rows().map(|r| r.suppressed_by.clone()));
    }
    if rows().any(|r| r.correlation.raised_from.is_some()) {
        let from = |r: &FindingRow| r.correlation.raised_from.map(|s| s.as_str());
        short_rows = short_rows.text("raised_from", rows().map(from));
    }
    if rows().any(|r| r.correlation.gathered_by.is_some()) {
        let by = |r: &FindingRow| r.correlation.gathered_by.as_deref().map(short);
        short_rows = short_rows.text("gathered_by", rows().map(by));
    }
    short_rows
}

fn all_columns(listed: &[Listed]) -> Rows {
    let rows = || listed.iter().map(|l| &l.row);
    Rows::new()
        .text("finding_id", rows().map(|r| Some(r.finding_id.clone())))
        .text("dedupe_key", rows().map(|r| Some(r.dedupe_key.clone())))
        .text("rule_id", rows().map(|r| Some(r.rule_id.clone())))
        .number(
            "rule_version",
            rows().map(|r| u64::try_from(r.rule_version).unwrap_or(0)),
        )
        .text("severity", rows().map(|r| Some(r.severity.as_str())))
        .text("title", rows().map(|r| Some(r.title.clone())))
        .text("user_id", rows().map(|r| r.user_id.clone()))
        .text("username", rows().map(|r| r.username.clone()))
        .text("user_kind", rows().map(|r| r.user_kind.clone()))
        .time("bucket_start", rows().map(|r| r.bucket_start))
        .time("first_seen", rows().map(|r| Some(r.first_seen)))
        .time("last_seen", rows().map(|r| Some(r.last_seen)))
        .number("count", rows().map(|r| r.count))
        .text("status", listed.iter().map(|l| Some(l.status.as_str())))
        .text("suppressed_by", rows().map(|r| r.suppressed_by.clone()))
        .text("evidence", rows().map(|r| Some(r.evidence_json.clone())))
        .text("expected", rows().map(|r| Some(r.expected.clone())))
        .text("observed", rows().map(|r| Some(r.observed.clone())))
        .text("attack", rows().map(|r| Some(r.attack.join(" "))))
        .text("family", rows().map(|r| r.family.map(|f| f.as_str())))
        .text("case_id", rows().map(|r| r.correlation.case_id.clone()))
        .text(
            "case_subject",
            rows().map(|r| r.correlation.case_subject.clone()),
        )
        .text(
            "raised_from",
            rows().map(|r| r.correlation.raised_from.map(|s| s.as_str())),
        )
        .text(
            "raised_because",
            rows().map(|r| r.correlation.raised_because.clone()),
        )
        .text(
            "gathered_by",
            rows().map(|r| r.correlation.gathered_by.clone()),
        )
}

fn show(args: &ShowArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let rules = place.rules()?;
    let lake = Lake::open_reader(place.data_dir())?;
    let finding = lake.ledger().finding(&args.id)?;
    let history = lake.ledger().finding_history(&finding.row.finding_id)?;
    let listed = [Listed {
        row: finding.row,
        status: finding.status,
    }];
    if !matches!(global.format.unwrap_or_default(), Format::Table) {
        print_list(&listed, global, None, terminal)?;
        return Ok(Exit::Done);
    }
    let [Listed { row, status }] = &listed;
    let teller = Teller::new(&lake, &rules, place.invocation())?;
    let related = related(&lake, row)?;
    // What a finding gathers belongs to its case.
    let gathering = Gathering::of(related.iter());
    let told = gathering.tell(row, &BTreeSet::new(), &teller);
    let baseline = explain::baseline_of(row, &lake, &place).unwrap_or_else(|error| {
        // What was found is shown even where the days behind it can no longer be read.
        terminal.warn(&printable(&format!("no baseline: {error:#}"), 1000));
        vec![]
    });
    let text = full_text(told, row, *status, &related, &history, &baseline, &place)?;
    terminal.data(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}

fn full_text(
    finding: DigestFinding,
    row: &FindingRow,
    status: Status,
    related: &[Finding],
    history: &[FindingEvent],
    baseline: &[String],
    place: &Workplace<'_>,
) -> Result<String, std::fmt::Error> {
    use std::fmt::Write;

    let text = |t: &str| wrap(&printable(t, 2000), 100, 12);
    let mut out = String::new();
    let (why, harmless, next) = (
        finding.description.clone(),
        finding.false_positives.clone(),
        finding.response.clone(),
    );
    let evidence = finding.evidence.clone();
    write_news(
        &mut out,
        &News {
            finding,
            others: Vec::new(),
        },
        place.terminal,
    )?;
    writeln!(out, "  status    {}", status.as_str())?;
    writeln!(out, "  id        {}", printable(&row.finding_id, 200))?;
    writeln!(out, "  dedupe    {}", printable(&row.dedupe_key, 200))?;
    if let Some(by) = &row.suppressed_by {
        writeln!(out, "  by        {}", text(by))?;
    }
    if !row.attack.is_empty() {
        writeln!(out, "  ATT&CK    {}", text(&row.attack.join(" ")))?;
    }
    for (label, said) in [("why", why), ("harmless", harmless), ("do next", next)] {
        if !said.trim().is_empty() {
            writeln!(out, "  {label:9} {}", text(&said))?;
        }
    }
    for line in baseline {
        writeln!(out, "  baseline  {}", text(line))?;
    }
    write_case(&mut out, row, related)?;
    writeln!(out, "  evidence")?;
    for line in &evidence {
        writeln!(out, "    {}", wrap(&printable(line, 2000), 100, 6))?;
    }
    writeln!(out, "  history")?;
    for event in history {
        let to = event.to.as_str();
        let step = match event.from {
            // Its severity changed, not its status.
            Some(from) if from == event.to => to.to_owned(),
            from => format!("{} -> {to}", from.map(Status::as_str).unwrap_or("-")),
        };
        writeln!(
            out,
            "    {}  {step}  {}: {}",
            instant(event.at),
            printable(&event.who, 100),
            printable(&event.why, 500)
        )?;
    }
    Ok(out)
}
