//! `orgwatch alert`: mails and posts to webhooks before, while and after they leave.

use std::fmt::Write;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use clap::{Args, Subcommand};

use super::delivery::{Courier, heartbeats_due, letterhead};
use super::exit::Exit;
use super::failure::UsageError;
use super::mailing::{Mailer, Teller};
use super::output::{Format, Rows};
use super::terminal::Terminal;
use super::told::MailHistory;
use super::workplace::{Flags, Workplace};
use super::{Global, HiddenNow, print_rows, print_rows_as};
use crate::alert::{Audience, Audiences, Digest, Letter, Outgoing, RunHealth};
use crate::lake::{FindingChanges, Lake, LedgerTable, MailState};
use crate::privacy::printable;
use crate::registry::Resolution;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch alert preview                       what the next run would mail of what is known now
  orgwatch alert preview --all --group erp     all that is open, as one group would be told
  orgwatch alert test --group default          a marked test alert, and what the server said
  orgwatch alert list --state pending,failed   what did not arrive, and why
  orgwatch alert send                          sends what waits
  orgwatch alert send --retry-failed 12        and once more what was refused for good

Exit codes:
  0 all that should go has gone   2 usage or configuration
  4 alerts not delivered          75 another run holds the lock";

/// Longest text shown, in characters.
const MAX_TEXT: usize = 600;

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// Shows the mails and posts that the next run would send if it found nothing new; sends nothing
    #[command(after_help = EXAMPLES)]
    Preview(PreviewArgs),
    /// Sends what waits in the outbox
    #[command(after_help = EXAMPLES)]
    Send(SendArgs),
    /// Sends a marked test to each group and webhook
    #[command(after_help = EXAMPLES)]
    Test(TestArgs),
    /// Lists the mails and posts of the outbox: pending, sent, failed, and why
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
}

#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// All open findings, as if nobody had been told of any
    #[arg(long)]
    pub all: bool,
    /// Only this group or webhook
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct SendArgs {
    /// Send one again that was refused for good, by its number in `alert list`; may be repeated
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub retry_failed: Vec<i64>,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only this group or webhook
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only these states, comma-separated: pending, sent, failed
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse_state)]
    pub state: Vec<MailState>,
    /// Only this group or webhook
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    #[command(flatten)]
    pub now: HiddenNow,
}

fn parse_state(word: &str) -> Result<MailState, String> {
    let words = MailState::ALL.map(MailState::as_str);
    MailState::from_word(word).ok_or_else(|| format!("one of: {}", words.join(", ")))
}

pub fn run(command: &AlertCommand, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let now = match command {
        AlertCommand::Preview(args) => args.now.now,
        AlertCommand::Send(args) => args.now.now,
        AlertCommand::Test(args) => args.now.now,
        AlertCommand::List(args) => args.now.now,
    };
    let place = Workplace::open(terminal, global, now, &Flags::default())?;
    match command {
        AlertCommand::Preview(args) => preview(args, &place, global),
        AlertCommand::Send(args) => send(args, &place, global),
        AlertCommand::Test(args) => test(args, &place, global),
        AlertCommand::List(args) => list(args, &place, global),
    }
}

fn preview(args: &PreviewArgs, place: &Workplace<'_>, global: &Global) -> anyhow::Result<Exit> {
    let email = &place.settings.email;
    let at = place.clock.now();
    let (registry, rules) = (place.registry()?, place.rules()?);
    let mut audiences = Audiences::of(email, &registry, at)?;
    let head = letterhead(place)?;
    let lake = Lake::open_reader(place.data_dir())?;
    audiences.resolve(&Resolution::new(&registry, lake.ledger().usernames()?));
    let chosen = chosen(&audiences.all, args.group.as_deref())?;
    let mut history = MailHistory::read(&lake)?;
    if args.all {
        history.forget_mails();
    }
    let coverage = place.coverage(&lake, &*place.catalog()?)?;
    let zone = *place.settings.org.timezone;
    let mailer = Mailer {
        teller: Teller::new(&lake, &rules, place.invocation())?,
        heartbeats: heartbeats_due(&lake, &chosen, *email.heartbeat, zone, at)?,
        audiences: &chosen,
        head: &head,
        org: place.org_name(),
        run_id: lake.ledger().runs()?.last().map_or(0, |run| run.run_id),
        at,
        data_day: coverage
            .last_day(at.date_naive())
            .unwrap_or(at.date_naive()),
        suppressed: 0,
        health: RunHealth {
            remarks: vec!["a preview: no run stands behind these numbers".to_owned()],
            ..RunHealth::default()
        },
    };
    let digests = mailer.digests(&FindingChanges::default(), &history);
    let mails = mailer.compose(&digests)?;
    match global.format {
        None | Some(Format::Table) => show_mails(&mails, place)?,
        Some(format) => print_rows_as(format, &mail_rows(&mails)?, place.terminal)?,
    }
    if mails.is_empty() {
        place
            .terminal
            .say("the next run would mail nothing of what is known now");
    }
    Ok(Exit::Done)
}

fn show_mails(mails: &[(Digest, Outgoing)], place: &Workplace<'_>) -> anyhow::Result<()> {
    let line = "=".repeat(76);
    let mut out = String::new();
    for (digest, mail) in mails {
        writeln!(out, "{line}")?;
        writeln!(out, "Group    {}", printable(&digest.audience, MAX_TEXT))?;
        let to = mail.recipients.join(", ");
        writeln!(out, "To       {}", printable(&to, MAX_TEXT))?;
        writeln!(out, "Subject  {}", printable(&mail.subject, MAX_TEXT))?;
        writeln!(out, "{line}\n{}", mail.text)?;
    }
    Ok(place.terminal.data(|sink| sink.write_all(out.as_bytes()))?)
}

fn mail_rows(mails: &[(Digest, Outgoing)]) -> anyhow::Result<RecordBatch> {
    let each = || mails.iter();
    Ok(Rows::new()
        .text("group", each().map(|(d, _)| Some(d.audience.clone())))
        .text("to", each().map(|(_, m)| Some(m.recipients.join(", "))))
        .text("severity", each().map(|(d, _)| Some(d.severity().as_str())))
        .text("subject", each().map(|(_, m)| Some(m.subject.clone())))
        .text(
            "message_id",
            each().map(|(_, m)| Some(m.message_id.clone())),
        )
        .text("text", each().map(|(_, m)| Some(m.text.clone())))
        .batch()?)
}

/// The groups, or the one of that name; a group of owners stands for each of them.
fn chosen(all: &[Audience], name: Option<&str>) -> Result<Vec<Audience>, UsageError> {
    let Some(name) = name else {
        return Ok(all.to_vec());
    };
    let is_chosen = |group: &&Audience| {
        let of = group.name.split_once('/').map(|(of, _)| of);
        group.name == name || of == Some(name)
    };
    let chosen: Vec<_> = all.iter().filter(is_chosen).cloned().collect();
    if chosen.is_empty() {
        let known: Vec<_> = all.iter().map(|group| group.name.as_str()).collect();
        return Err(UsageError::new(
            format!("no group is called `{}`", printable(name, 60)),
            format!("known here: {}", known.join(", ")),
        ));
    }
    Ok(chosen)
}

fn send(args: &SendArgs, place: &Workplace<'_>, global: &Global) -> anyhow::Result<Exit> {
    let mut courier = Courier::open(place)?;
    // A writer would make a lake where there is none.
    Lake::open_reader(place.data_dir())?;
    let mut lake = Lake::open_writer(place.data_dir())?;
    for id in &args.retry_failed {
        lake.ledger_mut().outbox_retry(*id)?;
    }
    let deliveries = courier.deliver(&mut lake)?;
    let mut out = String::new();
    match global.format {
        None | Some(Format::Table) => deliveries.write(&mut out)?,
        Some(Format::Json | Format::Jsonl) => {
            writeln!(out, "{}", deliveries.to_json())?;
        }
        Some(_) => {
            return Err(UsageError::new(
                "`alert send` prints lines, as `table` or `json`",
                "`orgwatch alert list` has the mails in every format",
            )
            .into());
        }
    }
    place.terminal.data(|sink| sink.write_all(out.as_bytes()))?;
    if deliveries.is_empty() {
        place.terminal.say("nothing waits");
    }
    Ok(exit_of(&deliveries.not_delivered(), place))
}

fn exit_of(why: &[String], place: &Workplace<'_>) -> Exit {
    if why.is_empty() {
        return Exit::Done;
    }
    place.terminal.say(&why.join("; "));
    Exit::NotDelivered
}

fn test(args: &TestArgs, place: &Workplace<'_>, global: &Global) -> anyhow::Result<Exit> {
    let email = &place.settings.email;
    let at = place.clock.now();
    let audiences = Audiences::of(email, &place.registry()?, at)?;
    let head = letterhead(place)?;
    let courier = Courier::open(place)?;
    for remark in &audiences.remarks {
        place.terminal.say(remark);
    }
    // Group, recipient, state, answer.
    let mut answers: Vec<(String, String, MailState, String)> = Vec::new();
    for audience in chosen(&audiences.all, args.group.as_deref())? {
        let org = place.org_name();
        let mail = audience.channel.test(&org, &audience.name, at, &head)?;
        let letter = Letter {
            message_id: &mail.message_id,
            to: &mail.recipients,
            bytes: &mail.bytes,
        };
        let group = &audience.name;
        match courier.hand_over(&letter) {
            Ok(verdicts) => answers.extend(
                verdicts
                    .into_iter()
                    .map(|v| (group.clone(), v.recipient, v.state, v.answer)),
            ),
            Err(trouble) => {
                let why = trouble.to_string();
                answers.extend(
                    mail.recipients
                        .iter()
                        .map(|to| (group.clone(), to.clone(), MailState::Pending, why.clone())),
                );
            }
        }
    }
    let word = |state: MailState| match state {
        MailState::Sent => "accepted",
        MailState::Pending => "not now",
        MailState::Failed => "refused",
    };
    match global.format {
        None | Some(Format::Table) => {
            let mut out = String::new();
            for (group, to, state, answer) in &answers {
                let shown = |text: &str| printable(text, MAX_TEXT);
                let (group, to) = (shown(group), shown(to));
                writeln!(out, "{}  {group}  {to}: {}", word(*state), shown(answer))?;
            }
            place.terminal.data(|sink| sink.write_all(out.as_bytes()))?;
        }
        Some(format) => {
            let each = || answers.iter();
            let rows = Rows::new()
                .text("group", each().map(|a| Some(a.0.clone())))
                .text("recipient", each().map(|a| Some(a.1.clone())))
                .text("state", each().map(|a| Some(word(a.2))))
                .text("answer", each().map(|a| Some(a.3.clone())))
                .batch()?;
            print_rows_as(format, &rows, place.terminal)?;
        }
    }
    let all_accepted = answers.iter().all(|a| a.2 == MailState::Sent);
    Ok(match all_accepted {
        true => Exit::Done,
        false => Exit::NotDelivered,
    })
}

/// Column of the table `alerts` → heading of the list.
const LISTED: [(&str, &str); 10] = [
    ("outbox_id", "id"),
    ("state", "state"),
    ("created_at", "created_at"),
    ("audience", "group"),
    ("recipients", "to"),
    ("subject", "subject"),
    ("attempts", "attempts"),
    ("tried_at", "tried_at"),
    ("response", "answer"),
    ("last_error", "why"),
];

fn list(args: &ListArgs, place: &Workplace<'_>, global: &Global) -> anyhow::Result<Exit> {
    let lake = Lake::open_reader(place.data_dir())?;
    let alerts = lake.ledger().snapshot(LedgerTable::Alerts)?;
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (name, heading) in LISTED {
        let schema = alerts.schema_ref();
        let index = schema.index_of(name)?;
        let data_type = schema.field(index).data_type().clone();
        fields.push(Field::new(heading, data_type, true));
        columns.push(alerts.column(index).clone());
    }
    let table = RecordBatch::try_new(Schema::new(fields).into(), columns)?;
    let texts = |heading: &str| -> anyhow::Result<Vec<String>> {
        let index = table.schema_ref().index_of(heading)?;
        let column = table.column(index).as_string_view();
        Ok((0..column.len())
            .map(|n| column.value(n).to_owned())
            .collect())
    };
    let (states, groups) = (texts("state")?, texts("group")?);
    let wanted = |state: &String, group: &String| {
        let of_state = args.state.is_empty() || args.state.iter().any(|s| s.as_str() == state);
        of_state && args.group.as_ref().is_none_or(|name| name == group)
    };
    let mask: BooleanArray = states
        .iter()
        .zip(&groups)
        .map(|(state, group)| Some(wanted(state, group)))
        .collect();
    print_rows(&filter_record_batch(&table, &mask)?, global, place.terminal)?;
    Ok(Exit::Done)
}
