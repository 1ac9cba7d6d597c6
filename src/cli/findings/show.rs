//! `orgwatch findings show`: one finding explained.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{ShowArgs, print_list};
use crate::alert::{DigestFinding, News, wrap};
use crate::cli::Global;
use crate::cli::cases::{related, write_case};
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::gathering::Gathering;
use crate::cli::mailing::Teller;
use crate::cli::output::Format;
use crate::cli::telling::{instant, short, write_news};
use crate::cli::terminal::Terminal;
use crate::cli::workplace::{Flags, Workplace};
use crate::detect::{Control, Rule, controls, rfc3339, to_json};
use crate::lake::{Finding, FindingEvent, GROWTH, Lake, Status};
use crate::privacy::{escape_json, printable};

/// Longest text, in characters.
const MAX_TEXT: usize = 2000;

pub fn run(args: &ShowArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let rules = place.rules()?;
    let lake = Lake::open_reader(place.data_dir())?;
    let finding = lake.ledger().finding(&args.id)?;
    let listed = std::slice::from_ref(&finding);
    let format = global.format.unwrap_or_default();
    if !matches!(format, Format::Table | Format::Json | Format::Jsonl) {
        print_list(listed, &lake, &place, global, None)?;
        return Ok(Exit::Done);
    }
    let teller = Teller::new(&lake, &rules, place.invocation())?;
    let related = related(&lake, &finding.row)?;
    // What a finding gathers belongs to its case.
    let gathering = Gathering::of(related.iter());
    let baseline = explain::deviations_of(listed, &lake, &place).unwrap_or_else(|error| {
        // What was found is shown even where the days behind it can no longer be read.
        terminal.warn(&printable(&format!("no baseline: {error:#}"), 1000));
        Default::default()
    });
    let rule = rules.get(&finding.row.rule_id);
    let explained = Explained {
        told: gathering.tell(&finding.row, &BTreeSet::new(), &teller),
        history: lake.ledger().finding_history(&finding.row.finding_id)?,
        baseline: baseline.values().flatten().map(explain::line).collect(),
        controls: controls_of(rule),
        rule,
        related,
        finding: &finding,
    };
    let text = match format {
        Format::Table => explained.text(terminal)?,
        // As a list of one, like every other list.
        Format::Json => escape_json(&json!([explained.json()]).to_string()) + "\n",
        _ => escape_json(&explained.json().to_string()) + "\n",
    };
    terminal.data(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}

/// What the rule enforces, as far as it is known.
fn controls_of(rule: Option<&Rule>) -> Vec<Control> {
    let enforces = |control: &Control| rule.is_some_and(|rule| rule.control.contains(&control.id));
    controls().into_iter().filter(enforces).collect()
}

/// A finding and all that explains it.
struct Explained<'a> {
    finding: &'a Finding,
    /// None where the rule is not there any more.
    rule: Option<&'a Rule>,
    told: DigestFinding,
    controls: Vec<Control>,
    /// A sentence for each series.
    baseline: Vec<String>,
    related: Vec<Finding>,
    history: Vec<FindingEvent>,
}

impl Explained<'_> {
    /// The finding as lists give it, with what explains it.
    fn json(&self) -> Value {
        let mut shown = to_json(&self.finding.row, self.finding.status.as_str());
        let event = |event: &FindingEvent| {
            json!({
                "at": rfc3339(event.at),
                "from": event.from.map(Status::as_str),
                "to": event.to.as_str(),
                "who": event.who,
                "why": event.why,
                "run_id": event.run_id,
            })
        };
        let control = |control: &Control| json!({"id": control.id, "text": control.text});
        let hold = self.finding.hold.as_ref().map(|hold| {
            json!({
                "by": hold.by,
                "at": rfc3339(hold.at),
                "severity": hold.severity.as_str(),
                "count": hold.count,
                "until": hold.until.map(rfc3339),
            })
        });
        let reopened = self.finding.reopened.as_ref();
        shown["control"] = self.controls.iter().map(control).collect();
        shown["description"] = json!(self.rule.map(|rule| &rule.description));
        shown["false_positives"] = json!(self.rule.map(|rule| &rule.false_positives));
        shown["response"] = json!(self.rule.map(|rule| &rule.response));
        shown["references"] = json!(self.rule.map(|rule| &rule.references));
        shown["baseline"] = json!(self.baseline);
        shown["rows_command"] = json!(self.told.rows_command);
        shown["held"] = json!(hold);
        shown["reopened_because"] = json!(reopened.map(|reopened| &reopened.because));
        let related = self.related.iter().map(|other| &other.row.finding_id);
        shown["related"] = json!(related.collect::<Vec<_>>());
        shown["history"] = self.history.iter().map(event).collect();
        shown
    }

    fn text(&self, terminal: &Terminal) -> Result<String, std::fmt::Error> {
        let row = &self.finding.row;
        let mut out = String::new();
        let news = News {
            finding: self.told.clone(),
            others: Vec::new(),
        };
        write_news(&mut out, &news, terminal)?;
        self.write_state(&mut out)?;
        writeln!(out, "  id        {}", printable(&row.finding_id, 200))?;
        writeln!(out, "  dedupe    {}", printable(&row.dedupe_key, 200))?;
        for control in &self.controls {
            let said = format!("{} {} ({})", control.id, control.text, control.source);
            writeln!(out, "  control   {}", wrapped(&said))?;
        }
        if !row.attack.is_empty() {
            writeln!(out, "  ATT&CK    {}", wrapped(&row.attack.join(" ")))?;
        }
        for (label, said) in [
            ("why", &self.told.description),
            ("harmless", &self.told.false_positives),
            ("do next", &self.told.response),
        ] {
            if !said.trim().is_empty() {
                writeln!(out, "  {label:9} {}", wrapped(said))?;
            }
        }
        for line in &self.baseline {
            writeln!(out, "  baseline  {}", wrapped(line))?;
        }
        write_case(&mut out, row, &self.related)?;
        writeln!(out, "  evidence")?;
        for line in &self.told.evidence {
            writeln!(out, "    {}", wrap(&printable(line, MAX_TEXT), 100, 6))?;
        }
        self.write_history(&mut out)?;
        Ok(out)
    }

    /// Where it stands, and what holds it there.
    fn write_state(&self, out: &mut String) -> std::fmt::Result {
        let finding = self.finding;
        writeln!(out, "  status    {}", finding.status.as_str())?;
        if let Some(by) = &finding.row.suppressed_by {
            writeln!(out, "  by        {}", wrapped(by))?;
        }
        if let Some(reopened) = &finding.reopened {
            writeln!(out, "  reopened  {}", wrapped(&reopened.because))?;
        }
        let Some(hold) = &finding.hold else {
            return Ok(());
        };
        let until = match (finding.status, hold.until) {
            (Status::Acknowledged, _) => format!(
                "until graver than {} or {} events",
                hold.severity,
                hold.count.max(1).saturating_mul(GROWTH)
            ),
            (Status::Suppressed, Some(until)) => {
                format!("until {} or graver than {}", instant(until), hold.severity)
            }
            (Status::Suppressed, None) => format!("until graver than {}", hold.severity),
            _ => "until there is more to see".to_owned(),
        };
        let said = format!("by {} at {}, {until}", hold.by, instant(hold.at));
        writeln!(out, "  held      {}", wrapped(&said))
    }

    fn write_history(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "  history")?;
        for event in &self.history {
            let to = event.to.as_str();
            let step = match event.from {
                // Its severity changed, or the same was decided again.
                Some(from) if from == event.to => to.to_owned(),
                from => format!("{} -> {to}", from.map(Status::as_str).unwrap_or("-")),
            };
            let line = format!(
                "{}  {step}  {}: {}",
                instant(event.at),
                printable(&event.who, 100),
                printable(&event.why, 1000)
            );
            writeln!(out, "    {}", wrap(&line, 100, 6))?;
        }
        let id = short(&self.finding.row.finding_id);
        writeln!(
            out,
            "  decide    orgwatch findings ack|resolve|reopen|suppress {id} --why \"…\""
        )
    }
}

fn wrapped(text: &str) -> String {
    wrap(&printable(text, MAX_TEXT), 100, 12)
}
