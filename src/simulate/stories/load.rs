//! Load that comes and goes: seasons, crowds, what an outage left undone, clocks, late files.

use chrono::NaiveDate;

use super::super::book::Kind;
use super::super::delivery::{How, Irregular};
use super::super::life::Crowd;
use super::super::moment::{DAY, HOUR, MINUTE, days_to_month_end, later, offset_minutes, start_of};
use super::super::org::{Effect, Org, Rhythm};
use super::Telling;

pub fn is_month_end(_: &Org, day: NaiveDate) -> bool {
    days_to_month_end(day) == 1
}

/// The same load at the end of every month; the last one has the label.
pub fn month_end(telling: &mut Telling<'_>) {
    let nightly = telling.variant == 1;
    let machine = telling.machine(|_, m| match m.rhythm {
        Rhythm::Nightly { operation, .. } => nightly && operation == "query",
        Rhythm::Round { .. } => !nightly && Telling::busy(m),
        _ => false,
    });
    let from = telling.start();
    let user = telling.user_of(machine);
    let may = [
        "api-call-volume-anomaly",
        "rows-volume-anomaly",
        "bulk-job-anomaly",
        "api-limit-burn",
    ];
    let mark = telling.label(Some(user), "", (from, from + 2 * DAY), &may);
    let mut day = telling.org.first_day;
    while day <= telling.org.last_day {
        if is_month_end(telling.org, day) {
            let start = start_of(day);
            let label = if day == telling.day {
                mark
            } else {
                super::Mark::NONE
            };
            telling.change(machine, start, start + 2 * DAY, Effect::Volume(8.0), label);
        }
        day = later(day, 1);
    }
}

pub fn backfill(telling: &mut Telling<'_>) {
    let machine = telling.machine(|org, m| {
        let app = m.app.and_then(|a| org.apps.get(a));
        let own = app.is_none_or(|a| &*a.vendor == "own");
        own && Telling::busy(m)
    });
    let hours = if telling.variant == 0 {
        telling.draw.between(7, 11)
    } else {
        telling.draw.between(14, 20)
    };
    let from = telling.start() + telling.draw.between(60, 4 * 60) * MINUTE;
    let to = from + hours * HOUR;
    let user = telling.user_of(machine);
    let may = [
        "integration-silence",
        "api-call-volume-anomaly",
        "rows-volume-anomaly",
        "off-schedule-activity",
    ];
    let mark = telling.label(Some(user), "", (from, to + 4 * HOUR), &may);
    telling.change(machine, from, to, Effect::Silent, mark);
    // What was not done in so many hours is done in three.
    telling.change(
        machine,
        to,
        to + 3 * HOUR,
        Effect::Volume(1.0 + hours as f64 / 3.0),
        mark,
    );
    telling.window("maintenance", user, from, to + 4 * HOUR, &[]);
}

pub fn marketing_peak(telling: &mut Telling<'_>) {
    let times = [12.0, 25.0, 50.0][telling.variant as usize % 3];
    let from = telling.start() + telling.draw.between(8, 13) * HOUR;
    let to = from + telling.draw.between(4, 7) * HOUR;
    let guest = telling.org.guest;
    let may = [
        "guest-endpoint-flood",
        "guest-aura-scraping",
        "api-limit-burn",
        "guest-api-traffic",
    ];
    let mark = telling.label(Some(guest), "", (from, to), &may);
    telling.plan.asked.crowds.push(Crowd {
        from,
        to,
        times,
        mark,
    });
    telling.window("maintenance", guest, from - HOUR, to + HOUR, &[]);
}

pub fn clocks_change(org: &Org, day: NaiveDate) -> bool {
    let start = start_of(day);
    offset_minutes(org.zone, start) != offset_minutes(org.zone, start + DAY)
}

/// A nightly run is set in local time, as the office machines are.
pub fn daylight_saving(telling: &mut Telling<'_>) {
    let machine = telling.machine(|_, m| matches!(m.rhythm, Rhythm::Nightly { .. }));
    telling.org.machines[machine].local = true;
    let from = telling.start();
    let may = ["off-schedule-activity", "integration-fingerprint-drift"];
    let local: Vec<usize> = telling
        .org
        .integrations()
        .filter(|n| telling.org.machines[*n].local)
        .collect();
    for machine in local {
        let user = telling.user_of(machine);
        let to = from + 7 * DAY;
        let mark = telling.label(Some(user), "", (from, to), &may);
        telling.change(machine, from, to, Effect::Volume(1.0), mark);
    }
}

pub fn late_files(telling: &mut Telling<'_>) {
    let from = telling.start();
    let may = [
        "missing-log-file",
        "late-or-rewritten-file",
        "cross-source-mismatch",
    ];
    telling.label(None, "", (from, from + 3 * DAY), &may);
    let day = telling.day;
    let hour = telling.draw.between(13, 21) as u32;
    let mut ask = |days, kind, how| {
        let day = later(day, days);
        if day < telling.org.last_day {
            telling.plan.irregular.push(Irregular { day, kind, how });
        }
    };
    match telling.variant {
        0 => {
            ask(0, Some(Kind::Login), How::Late);
            ask(1, Some(Kind::ApiTotalUsage), How::Late);
        }
        1 => {
            ask(0, None, How::Reissued(hour));
            ask(2, Some(Kind::Login), How::Reissued(hour));
        }
        _ => {
            ask(0, None, How::HourlyToo);
            ask(1, Some(Kind::Login), How::Late);
            ask(2, None, How::Reissued(hour));
        }
    }
}
