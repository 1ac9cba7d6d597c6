//! Stories: what looks like an attack and is none. Each changes the daily life of its subjects,
//! and gets from the operator the registry entry or the ticket that makes it benign.

mod credentials;
mod load;
mod moves;
mod releases;

use chrono::NaiveDate;

use super::acts::{Act, Mark, Text};
use super::declare::Window;
use super::draw::Draw;
use super::error::SimulateError;
use super::labels::{Expected, Label, LabelKind};
use super::moment::{DAY, day_of, start_of};
use super::org::{Change, Effect, Machine, Org, Rhythm};
use super::plan::{Calendar, Plan, Scene};
use crate::config::Severity;

/// One kind of story.
pub struct Story {
    pub name: &'static str,
    pub line: &'static str,
    /// Days from its begin to its end.
    pub days: i64,
    pub variants: u64,
    /// Days that qualify; any where none is asked for.
    pub fits: Option<fn(&Org, NaiveDate) -> bool>,
    pub tell: fn(&mut Telling<'_>),
}

pub const ALL: &[Story] = &[
    Story {
        name: "vendor-egress-change",
        line: "A vendor moves to another network; the registry has the change with its ticket",
        days: 2,
        variants: 3,
        fits: None,
        tell: moves::egress_change,
    },
    Story {
        name: "region-failover",
        line: "A machine works from its declared second site for some hours, and returns",
        days: 2,
        variants: 3,
        fits: None,
        tell: moves::region_failover,
    },
    Story {
        name: "active-active",
        line: "A machine works from both of its declared sites at once, from that day on",
        days: 3,
        variants: 2,
        fits: None,
        tell: moves::active_active,
    },
    Story {
        name: "certificate-rollover",
        line: "A certificate ran out: every login is refused until the new one is in place",
        days: 1,
        variants: 2,
        fits: None,
        tell: credentials::certificate_rollover,
    },
    Story {
        name: "secret-rotation",
        line: "A password was changed, and a client knocks with the old one like a clock",
        days: 1,
        variants: 2,
        fits: None,
        tell: credentials::secret_rotation,
    },
    Story {
        name: "re-consent",
        line: "A vendor's consent is renewed in a browser, in a window and from its network",
        days: 1,
        variants: 2,
        fits: None,
        tell: credentials::re_consent,
    },
    Story {
        name: "password-expiry-monday",
        line: "On a Monday many people's passwords have run out",
        days: 1,
        variants: 2,
        fits: Some(credentials::is_monday),
        tell: credentials::password_monday,
    },
    Story {
        name: "eca-migration",
        line: "An integration moves to an External Client App, which the registry has",
        days: 2,
        variants: 2,
        fits: None,
        tell: releases::eca_migration,
    },
    Story {
        name: "library-upgrade",
        line: "A new library, a newer API version, or both",
        days: 2,
        variants: 3,
        fits: None,
        tell: releases::library_upgrade,
    },
    Story {
        name: "new-release",
        line: "A release brings new objects, which several integrations use, in a window",
        days: 3,
        variants: 2,
        fits: None,
        tell: releases::new_release,
    },
    Story {
        name: "sandbox-refresh",
        line: "A sandbox is refreshed: its users knock at the wrong door, pipelines run",
        days: 1,
        variants: 2,
        fits: None,
        tell: releases::sandbox_refresh,
    },
    Story {
        name: "month-end-load",
        line: "The load of the last days of each month",
        days: 2,
        variants: 2,
        fits: Some(load::is_month_end),
        tell: load::month_end,
    },
    Story {
        name: "backfill",
        line: "An outage of a day, and all that was left undone after it",
        days: 2,
        variants: 2,
        fits: None,
        tell: load::backfill,
    },
    Story {
        name: "marketing-peak",
        line: "A campaign brings a crowd to the public site, in a window",
        days: 1,
        variants: 3,
        fits: None,
        tell: load::marketing_peak,
    },
    Story {
        name: "dst",
        line: "The clocks change, and machines that follow local time with them",
        days: 2,
        variants: 1,
        fits: Some(load::clocks_change),
        tell: load::daylight_saving,
    },
    Story {
        name: "late-files",
        line: "Log files come late, incomplete and again, or twice",
        days: 3,
        variants: 3,
        fits: None,
        tell: load::late_files,
    },
];

/// What a story works with.
pub struct Telling<'p> {
    pub plan: &'p mut Plan,
    pub org: &'p mut Org,
    pub draw: Draw,
    pub day: NaiveDate,
    pub variant: u64,
    story: &'static Story,
    number: usize,
}

impl Telling<'_> {
    pub fn start(&self) -> i64 {
        start_of(self.day)
    }

    /// A label for a subject, whose story lasts from one moment to another.
    pub fn label(
        &mut self,
        user: Option<usize>,
        app: &str,
        span: (i64, i64),
        may: &[&'static str],
    ) -> Mark {
        self.number += 1;
        self.plan.labels.push(Label {
            kind: LabelKind::Story,
            name: self.story.name,
            variant: self.variant,
            number: self.number,
            mutation: "",
            user,
            app: app.into(),
            ip: "".into(),
            expected: Expected {
                rules: may.to_vec(),
                must: vec![],
                min: None,
                max: Some(Severity::Medium),
            },
            span: Some(span),
        });
        Mark(self.plan.labels.len() as u32)
    }

    pub fn change(&mut self, machine: usize, from: i64, to: i64, effect: Effect, mark: Mark) {
        let change = Change {
            from,
            to,
            effect,
            mark,
        };
        self.org.machines[machine].changes.push(change);
    }

    /// From a moment on, for good. The label's rows are those of the first days.
    pub fn lasting(&mut self, machine: usize, from: i64, effect: Effect, mark: Mark) {
        let labelled = from + self.story.days * DAY;
        self.change(machine, from, labelled, effect.clone(), mark);
        self.change(machine, labelled, i64::MAX, effect, Mark::NONE);
    }

    /// A ticketed window of a user.
    pub fn window(
        &mut self,
        kind: &'static str,
        user: usize,
        from: i64,
        to: i64,
        networks: &[Text],
    ) {
        let ticket = self.ticket();
        self.plan.declared.windows.push(Window {
            kind,
            user,
            from,
            to,
            networks: networks.to_vec(),
            ticket,
        });
    }

    /// One of the integrations for which that holds; any where it holds for none.
    pub fn machine(&mut self, fits: impl Fn(&Org, &Machine) -> bool) -> usize {
        let org = &*self.org;
        // Vendors with many tokens have stories of their own, the attacks; second to the others.
        let many: Vec<usize> = org
            .vendors
            .iter()
            .flat_map(|v| v.machines.clone())
            .collect();
        let fits = |n: &usize| fits(org, &org.machines[*n]);
        let first: Vec<usize> = org
            .integrations()
            .filter(|n| !many.contains(n))
            .filter(fits)
            .collect();
        let second: Vec<usize> = org.integrations().filter(fits).collect();
        let any: Vec<usize> = org.integrations().collect();
        let found = [first, second, any]
            .into_iter()
            .find(|list| !list.is_empty());
        let found = found.unwrap_or_default();
        found
            .get(self.draw.index(found.len()))
            .copied()
            .unwrap_or_default()
    }

    /// Labelled acts that are not a machine's usual work.
    pub fn put(&mut self, acts: Vec<Act>, mark: Mark) {
        for act in acts {
            let day = day_of(act.at);
            if (self.org.first_day..=self.org.last_day).contains(&day) {
                self.plan.acts.entry(day).or_default().push((mark, act));
            }
        }
    }

    /// Works around the clock, often enough to be missed.
    pub fn busy(machine: &Machine) -> bool {
        matches!(machine.rhythm, Rhythm::Round { .. }) && machine.calls > 40.0
    }

    pub fn user_of(&self, machine: usize) -> usize {
        self.org.machines[machine].user
    }

    pub fn ticket(&mut self) -> String {
        format!("CHG-{}", 100 + self.draw.below(900))
    }
}

pub fn tell(
    plan: &mut Plan,
    org: &mut Org,
    story: &'static Story,
    wish: Option<&str>,
    calendar: &mut Calendar,
) -> Result<(), SimulateError> {
    let day = match (story.fits, wish) {
        (Some(fits), None) => calendar.fitting(story.name, org, fits)?,
        _ => calendar.place(story.name, wish, story.days, false, None, org.seed)?,
    };
    let mut draw = Draw::new(org.seed, &["story", story.name, &day.to_string()]);
    let variant = draw.below(story.variants);
    let mut telling = Telling {
        plan,
        org,
        draw,
        day,
        variant,
        story,
        number: 0,
    };
    (story.tell)(&mut telling);
    Ok(())
}

/// The system behind an attack's victim moves on the day of the attack, for all users of its app.
/// False where the victim is no machine's.
pub fn migrate_beside(plan: &mut Plan, org: &mut Org, scene: &Scene) -> bool {
    let app = org
        .apps
        .iter()
        .position(|app| !scene.app.is_empty() && app.name == scene.app);
    let moves =
        |machine: &Machine| Some(machine.user) == scene.user || app.is_some() && machine.app == app;
    let machines: Vec<usize> = (0..org.machines.len())
        .filter(|n| moves(&org.machines[*n]))
        .collect();
    let Some(act) = scene.acts.first() else {
        return false;
    };
    let from = act.at - act.at.rem_euclid(DAY);
    for machine in &machines {
        moves::move_machine(plan, org, *machine, from, "CHG-7", Mark::NONE);
    }
    !machines.is_empty()
}
