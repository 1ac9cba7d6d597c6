//! The score as tables, for people.

use super::peers::PeerScore;
use super::ratio::Ratio;
use super::score::{Found, Rate, Score, Tally};
use crate::words::counted;

/// A table with its title, and what to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub title: &'static str,
    pub remark: String,
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// Rows of a list of single cases that people are shown; a result file has all.
const SHOWN: usize = 60;

pub fn sections(score: &Score) -> Vec<Section> {
    let mut all = vec![
        overview(score),
        found("Recall by attack", &score.recall.by_attack),
        found("Recall by mutation", &score.recall.by_mutation),
        found(
            "Recall by attack that evades",
            &score.recall.by_attack_evading,
        ),
        tallies("Precision by family", &score.precision.by_family),
        tallies("Precision by severity", &score.precision.by_severity),
        tallies("Precision by rule", &score.precision.by_rule),
        peers(&score.comparators),
        peers_by_attack(&score.comparators),
        rates("Clean nights by severity", &score.clean.by_severity),
        rates("Clean nights by rule", &score.clean.by_rule),
        above(score),
        missed("Missed labels", score, false),
        missed("Missed in silence", score, true),
        false_alarms(score),
    ];
    all.retain(|section| !section.rows.is_empty());
    all
}

/// `96.2 % (88.1–99.0), 51 of 53`.
pub fn share(ratio: &Ratio) -> String {
    let percent = |x: f64| format!("{:.1}", x * 100.0);
    match (ratio.value, ratio.low, ratio.high) {
        (Some(value), Some(low), Some(high)) => format!(
            "{} % ({}–{}), {} of {}",
            percent(value),
            percent(low),
            percent(high),
            ratio.hits,
            ratio.of
        ),
        _ => "–".to_owned(),
    }
}

fn of(ratio: &Ratio) -> String {
    match ratio.of {
        0 => "–".to_owned(),
        of => format!("{} of {of}", ratio.hits),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

fn overview(score: &Score) -> Section {
    let recall = &score.recall;
    let clean = &score.clean;
    let mut rows = vec![];
    let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    row(
        "what was judged",
        format!(
            "{}, {}, {} of them clean, {}",
            counted(score.orgs, "org"),
            counted(score.nights, "night"),
            score.clean_nights,
            counted(score.integrations, "integration user")
        ),
    );
    row("precision", share(&score.precision.claims.precision));
    row(
        "  of high and critical",
        share(&score.precision.high.precision),
    );
    row(
        "  with look-alikes as wrong",
        share(&score.precision.claims.strict),
    );
    row("recall of labels, plain", share(&recall.plain.labels));
    row("recall of labels that evade", share(&recall.evading.labels));
    row("campaigns found, plain", share(&recall.plain.campaigns));
    row("  on their first night", share(&recall.plain.first_night));
    row("campaigns that evade", share(&recall.evading.campaigns));
    row("  on their first night", share(&recall.evading.first_night));
    row("nights to detect, plain", nights(&recall.plain));
    row(
        "stories told too gravely",
        format!("{} of {}", score.stories.above.len(), score.stories.told),
    );
    row(
        "high and above per 100 integrations and clean night",
        format!(
            "{} (budget {}: {}); {} without hygiene",
            number(clean.high.high_per_100),
            clean.budget,
            clean.verdict,
            number(clean.high_claims.high_per_100)
        ),
    );
    row(
        "missed in silence",
        format!("{} of {} missed", score.silent.len(), score.missed.len()),
    );
    Section {
        title: "Evaluation",
        remark: "Shares with Wilson's 95 % interval.".to_owned(),
        headings: vec!["measure", "value"],
        rows,
    }
}

fn nights(found: &Found) -> String {
    match (found.nights_median, found.nights_max) {
        (Some(median), Some(max)) => format!("median {median}, at most {max}"),
        _ => "–".to_owned(),
    }
}

fn found(title: &'static str, found: &[Found]) -> Section {
    let rows = found.iter().map(|found| {
        vec![
            found.name.clone(),
            share(&found.labels),
            of(&found.free),
            of(&found.shield),
            of(&found.campaigns),
            of(&found.first_night),
            nights(found),
        ]
    });
    Section {
        title,
        remark: String::new(),
        headings: vec![
            "name",
            "labels told",
            "free tier",
            "shield",
            "campaigns",
            "on the first night",
            "nights",
        ],
        rows: rows.collect(),
    }
}

fn tallies(title: &'static str, tallies: &[Tally]) -> Section {
    let some = tallies.iter().filter(|tally| tally.findings > 0);
    let rows = some.map(|tally| {
        vec![
            tally.name.clone(),
            tally.findings.to_string(),
            tally.answers.to_string(),
            tally.look_alikes.to_string(),
            tally.hygiene.to_string(),
            tally.false_alarms.to_string(),
            share(&tally.precision),
        ]
    });
    Section {
        title,
        remark: String::new(),
        headings: vec![
            "name",
            "findings",
            "answers",
            "look-alikes",
            "hygiene",
            "false alarms",
            "precision",
        ],
        rows: rows.collect(),
    }
}

fn rates(title: &'static str, rates: &[Rate]) -> Section {
    let rows = rates.iter().filter(|rate| rate.findings > 0).map(|rate| {
        vec![
            rate.name.clone(),
            rate.findings.to_string(),
            number(rate.per_100),
            rate.high.to_string(),
            number(rate.high_per_100),
        ]
    });
    Section {
        title,
        remark: "Per 100 integration users and clean night.".to_owned(),
        headings: vec!["name", "findings", "per 100", "high+", "high+ per 100"],
        rows: rows.collect(),
    }
}

fn peers(peers: &[PeerScore]) -> Section {
    let rows = peers.iter().map(|peer| {
        vec![
            peer.id.clone(),
            peer.tier.clone(),
            peer.alerts.to_string(),
            share(&peer.precision),
            share(&peer.labels),
            of(&peer.campaigns),
            number(peer.clean_per_100),
            number(peer.clean_high_per_100),
            match (peer.failed, &peer.why) {
                (failed, Some(why)) => format!("failed on {}: {why}", counted(failed, "org")),
                _ => peer.title.clone(),
            },
        ]
    });
    Section {
        title: "Comparators",
        remark: "What others have published, asked of the same logs. Any alert of an attack's \
                 subject and days counts as right; alerts are per 100 integration users and clean \
                 night."
            .to_owned(),
        headings: vec![
            "name",
            "tier",
            "alerts",
            "precision",
            "labels told",
            "campaigns",
            "per 100",
            "high+ per 100",
            "what",
        ],
        rows: rows.collect(),
    }
}

/// Campaigns found, attack by attack: by the program, and by each comparator that found any.
fn peers_by_attack(peers: &[PeerScore]) -> Section {
    let (own, others) = peers.split_at(peers.len().min(1));
    let found = |peer: &PeerScore, attack: &str| {
        let mut all = peer.by_attack.iter();
        all.find(|(name, _)| name == attack)
            .map(|(_, ratio)| *ratio)
    };
    let attacks = own.iter().flat_map(|own| &own.by_attack);
    let rows = attacks.map(|(attack, told)| {
        let others = others.iter().filter_map(|peer| {
            let ratio = found(peer, attack).filter(|ratio| ratio.hits > 0)?;
            Some(format!("{} {}", peer.id, of(&ratio)))
        });
        let others: Vec<String> = others.collect();
        vec![attack.clone(), of(told), others.join(", ")]
    });
    Section {
        title: "Comparators by attack",
        remark: "Campaigns found.".to_owned(),
        headings: vec!["name", "orgwatch", "others"],
        rows: rows.collect(),
    }
}

fn above(score: &Score) -> Section {
    let rows = score.stories.above.iter().map(|story| {
        vec![
            story.org.clone(),
            story.label.clone(),
            story.night.to_string(),
            story.subject.clone().unwrap_or_default(),
            story.above.map_or("", |s| s.as_str()).to_owned(),
        ]
    });
    Section {
        title: "Stories told too gravely",
        remark: String::new(),
        headings: vec!["org", "label", "night", "subject", "told as"],
        rows: shown(rows.collect()),
    }
}

fn missed(title: &'static str, score: &Score, silent: bool) -> Section {
    let list = if silent { &score.silent } else { &score.missed };
    let rows = list.iter().map(|label| {
        vec![
            label.org.clone(),
            label.label.clone(),
            label.mutation.clone(),
            label.tier.clone(),
            label.night.to_string(),
            label.subject.clone().unwrap_or_default(),
            if label.told_at_all { "yes" } else { "no" }.to_owned(),
            label.blind_by.join(" "),
        ]
    });
    Section {
        title,
        remark: match silent {
            true => "Evaded, and no finding of the family coverage says that something could not \
                     be seen: each is a defect."
                .to_owned(),
            false => String::new(),
        },
        headings: vec![
            "org",
            "label",
            "mutation",
            "tier",
            "night",
            "subject",
            "other rules",
            "blind by",
        ],
        rows: shown(rows.collect()),
    }
}

fn false_alarms(score: &Score) -> Section {
    let rows = score.false_alarms.iter().map(|alarm| {
        vec![
            alarm.org.clone(),
            alarm.day.to_string(),
            alarm.severity.as_str().to_owned(),
            alarm.rule.clone(),
            alarm.subject_kind.clone(),
            alarm.subject.clone().unwrap_or_default(),
            alarm.beside.clone().unwrap_or_default(),
        ]
    });
    Section {
        title: "False alarms",
        remark: String::new(),
        headings: vec![
            "org", "day", "severity", "rule", "about", "subject", "beside",
        ],
        rows: shown(rows.collect()),
    }
}

/// As many as people read, and how many there are more.
fn shown(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let more = rows.len().saturating_sub(SHOWN);
    let mut rows: Vec<Vec<String>> = rows.into_iter().take(SHOWN).collect();
    if more > 0
        && let Some(width) = rows.first().map(Vec::len)
    {
        let mut last = vec![String::new(); width];
        last[0] = format!("+ {more} more");
        rows.push(last);
    }
    rows
}
