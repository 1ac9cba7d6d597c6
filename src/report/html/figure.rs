//! A user's days as figures: a chart, what it is called and what it says in words, a legend, and a
//! table that tells the same.

use chrono::NaiveDate;
use serde::Serialize;

use super::ReportError;
use super::chart::{Against, SERIES, Stack, against, stack};
use super::content::Period;
use super::timeline::{Day, Place, Timeline};
use crate::words::{self, counted};

/// Doors that have a colour of their own, beside those through the user interface.
const MAX_DOORS: usize = 3;
const OTHER_DOORS: usize = 3;
const USER_INTERFACE: usize = 4;
const FAILED: usize = 5;

#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub title: &'static str,
    /// What the chart says, for those who do not see it.
    pub description: String,
    /// Written by itself: it is no text.
    #[serde(skip)]
    pub svg: String,
    pub legend: Vec<Entry>,
    pub table: Table,
}

/// One line of a legend: the number of its colour, or a sign.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub class: String,
    pub label: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Table {
    pub columns: Vec<String>,
    /// A day and its cells; days without anything are left out.
    pub rows: Vec<(NaiveDate, Vec<String>)>,
}

struct Series {
    slot: usize,
    label: String,
    of: Box<dyn Fn(&Day) -> u64>,
}

/// Logins, networks, calls.
pub fn figures(timeline: &Timeline, period: Period) -> Result<Vec<Figure>, ReportError> {
    let days: Vec<NaiveDate> = period.days().collect();
    let marks: Vec<usize> = places(&days, |day| timeline.findings.contains_key(day));
    Ok(vec![
        stacked(
            "Logins by path",
            "login",
            doors(timeline),
            timeline,
            period,
            &marks,
        )?,
        stacked(
            "Logins and API calls by network",
            "event",
            networks(timeline),
            timeline,
            period,
            &marks,
        )?,
        calls(timeline, period, &days, &marks)?,
    ])
}

fn places(days: &[NaiveDate], is_one: impl Fn(&NaiveDate) -> bool) -> Vec<usize> {
    let all = days.iter().enumerate();
    all.filter(|(_, day)| is_one(day)).map(|(n, _)| n).collect()
}

/// The doors of a timeline: those through the user interface together and last, since a machine has
/// no business there; then what failed.
fn doors(timeline: &Timeline) -> Vec<Series> {
    let mut totals: Vec<(String, u64)> = vec![];
    for (path, n) in timeline.days.values().flat_map(|day| &day.logins) {
        match totals.iter_mut().find(|(known, _)| known == path) {
            Some((_, total)) => *total += n,
            None => totals.push((path.clone(), *n)),
        }
    }
    let is_ui = |path: &str| path.starts_with("ui_") || path == "portal";
    totals.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    let (ui, machine): (Vec<_>, Vec<_>) = totals.into_iter().partition(|(path, _)| is_ui(path));
    let mut series = vec![];
    let (own, other) = machine.split_at(machine.len().min(MAX_DOORS));
    for (slot, (path, _)) in own.iter().enumerate() {
        let path = path.clone();
        series.push(Series {
            slot,
            label: path.clone(),
            of: Box::new(move |day| day.logins.get(&path).copied().unwrap_or(0)),
        });
    }
    let of_all = |paths: &[(String, u64)]| -> Box<dyn Fn(&Day) -> u64> {
        let paths: Vec<String> = paths.iter().map(|(path, _)| path.clone()).collect();
        Box::new(move |day| paths.iter().filter_map(|path| day.logins.get(path)).sum())
    };
    if !other.is_empty() {
        series.push(Series {
            slot: OTHER_DOORS,
            label: "other paths".to_owned(),
            of: of_all(other),
        });
    }
    if !ui.is_empty() {
        let names: Vec<&str> = ui.iter().map(|(path, _)| path.as_str()).collect();
        series.push(Series {
            slot: USER_INTERFACE,
            label: format!("user interface ({})", names.join(", ")),
            of: of_all(&ui),
        });
    }
    if timeline.days.values().any(|day| day.failed > 0) {
        series.push(Series {
            slot: FAILED,
            label: "not successful".to_owned(),
            of: Box::new(|day| day.failed),
        });
    }
    series
}

fn networks(timeline: &Timeline) -> Vec<Series> {
    let kinds = [
        (Place::Declared, 1, "declared network"),
        (Place::Beside, 0, "same /24 or /48 as a declared network"),
        (
            Place::Unknown,
            OTHER_DOORS,
            "nothing declared or no public address",
        ),
        (Place::Elsewhere, USER_INTERFACE, "not declared"),
    ];
    let occurs = |place: Place| {
        timeline
            .days
            .values()
            .any(|day| day.places[place as usize] > 0)
    };
    let kinds = kinds.into_iter().filter(|(place, ..)| occurs(*place));
    kinds
        .map(|(place, slot, label)| Series {
            slot,
            label: label.to_owned(),
            of: Box::new(move |day| day.places[place as usize]),
        })
        .collect()
}

fn stacked(
    title: &'static str,
    noun: &str,
    series: Vec<Series>,
    timeline: &Timeline,
    period: Period,
    marks: &[usize],
) -> Result<Figure, ReportError> {
    let nothing = Day::default();
    let values: Vec<Vec<u64>> = period
        .days()
        .map(|day| {
            let day = timeline.days.get(&day).unwrap_or(&nothing);
            series.iter().map(|s| (s.of)(day)).collect()
        })
        .collect();
    let slots: Vec<usize> = series.iter().map(|s| s.slot).collect();
    let total = |n: usize| values.iter().map(|day| day[n]).sum::<u64>();
    let told: Vec<String> = series
        .iter()
        .enumerate()
        .map(|(n, s)| format!("{} {}", grouped(total(n)), s.label))
        .collect();
    let active = values.iter().filter(|day| day.iter().any(|n| *n > 0));
    let description = match told.is_empty() {
        true => format!("No {noun} in the period."),
        false => format!(
            "{} on {}: {}.{}",
            counted_grouped(values.iter().flatten().sum(), noun),
            counted(active.count(), "day"),
            told.join(", "),
            marked(marks)
        ),
    };
    let mut legend: Vec<Entry> = series
        .iter()
        .map(|s| Entry {
            class: format!("s{}", s.slot % SERIES.len()),
            label: s.label.clone(),
        })
        .collect();
    legend.extend(mark_entry(marks));
    let rows = period
        .days()
        .zip(&values)
        .filter(|(_, of_day)| of_day.iter().any(|n| *n > 0))
        .map(|(day, of_day)| (day, of_day.iter().map(|n| grouped(*n)).collect()));
    Ok(Figure {
        title,
        description,
        svg: stack(&Stack {
            period,
            slots: &slots,
            values: &values,
            marks,
        })?,
        table: Table {
            columns: series.iter().map(|s| s.label.clone()).collect(),
            rows: rows.collect(),
        },
        legend,
    })
}

fn calls(
    timeline: &Timeline,
    period: Period,
    days: &[NaiveDate],
    marks: &[usize],
) -> Result<Figure, ReportError> {
    let of = |day: &NaiveDate| timeline.days.get(day);
    // The baseline has a row for each covered day of a series: without one the day may be a gap.
    let value = |day: &NaiveDate| of(day).filter(|d| d.calls > 0 || d.expected.is_some());
    let values: Vec<Option<u64>> = days.iter().map(|day| Some(value(day)?.calls)).collect();
    let bands: Vec<_> = days.iter().map(|day| of(day)?.expected).collect();
    let is_unusual = |day: &NaiveDate| of(day).is_some_and(|d| !d.unusual.is_empty());
    let unusual = places(days, is_unusual);
    let all: u64 = values.iter().flatten().sum();
    let highest = days
        .iter()
        .zip(&values)
        .max_by_key(|(day, n)| (**n, std::cmp::Reverse(**day)));
    let mut description = match highest {
        Some((day, Some(most))) if all > 0 => format!(
            "{}, at most {} on {day}.",
            counted_grouped(all, "API call"),
            grouped(*most)
        ),
        _ => "No API call in the period.".to_owned(),
    };
    if bands.iter().all(Option::is_none) {
        description.push_str(" No baseline: the history is too short, or there was nothing.");
    }
    if !unusual.is_empty() {
        let listed: Vec<String> = unusual
            .iter()
            .take(8)
            .filter_map(|n| {
                let day = days.get(*n)?;
                let metrics: Vec<&str> = of(day)?.unusual.iter().map(String::as_str).collect();
                Some(format!("{day} ({})", metrics.join(", ")))
            })
            .collect();
        let more = unusual.len() - listed.len();
        description.push_str(&format!(" Beyond the usual: {}", listed.join(", ")));
        if more > 0 {
            description.push_str(&format!(" + {more} more"));
        }
        description.push('.');
    }
    description.push_str(&marked(marks));
    let mut legend = vec![Entry {
        class: "line".to_owned(),
        label: "API calls a day".to_owned(),
    }];
    if bands.iter().any(Option::is_some) {
        legend.push(Entry {
            class: "band".to_owned(),
            label: "expected, three scales to either side".to_owned(),
        });
    }
    if !unusual.is_empty() {
        legend.push(Entry {
            class: "ring".to_owned(),
            label: "beyond the usual".to_owned(),
        });
    }
    legend.extend(mark_entry(marks));
    let rows = days.iter().zip(&values).filter_map(|(day, calls)| {
        let of_day = of(day)?;
        let calls = calls.filter(|n| *n > 0 || !of_day.unusual.is_empty())?;
        let bound = |pick: fn(&super::timeline::Band) -> f64| {
            let band = of_day.expected.as_ref();
            band.map_or_else(
                || "none".to_owned(),
                |band| grouped(pick(band).round() as u64),
            )
        };
        let unusual: Vec<&str> = of_day.unusual.iter().map(String::as_str).collect();
        Some((
            *day,
            vec![
                grouped(calls),
                bound(|band| band.low),
                bound(|band| band.middle),
                bound(|band| band.high),
                grouped(of_day.call_errors),
                grouped(of_day.rows_read),
                match unusual.is_empty() {
                    true => "no".to_owned(),
                    false => unusual.join(", "),
                },
            ],
        ))
    });
    let columns = [
        "calls",
        "lower bound",
        "expected",
        "upper bound",
        "errors",
        "rows read",
        "beyond the usual",
    ];
    Ok(Figure {
        title: "API calls against the baseline",
        description,
        svg: against(&Against {
            period,
            values: &values,
            bands: &bands,
            unusual: &unusual,
            marks,
        })?,
        legend,
        table: Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        },
    })
}

fn mark_entry(marks: &[usize]) -> Option<Entry> {
    (!marks.is_empty()).then(|| Entry {
        class: "mark".to_owned(),
        label: "day with a finding".to_owned(),
    })
}

fn marked(marks: &[usize]) -> String {
    match marks.len() {
        0 => String::new(),
        n => format!(" {} with a finding.", counted(n, "day")),
    }
}

fn counted_grouped(n: u64, noun: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(n))
}

fn grouped(n: u64) -> String {
    words::grouped(i64::try_from(n).unwrap_or(i64::MAX))
}
