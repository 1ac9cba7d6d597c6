//! Stories: what looks like an attack and is none. Each changes the daily life of its subjects,
//! and gets from the operator the registry entry or the ticket that makes it benign.

mod moves;

use chrono::NaiveDate;

use super::acts::Mark;
use super::book::Tier;
use super::draw::Draw;
use super::error::SimulateError;
use super::labels::{Expected, Label, LabelKind};
use super::moment::{DAY, start_of};
use super::org::{Change, Effect, Org};
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

pub const ALL: &[Story] = &[Story {
    name: "vendor-egress-change",
    line: "A vendor moves to another network; the registry has the change with its ticket",
    days: 2,
    variants: 3,
    fits: None,
    tell: moves::egress_change,
}];

/// What a story works with.
pub struct Telling<'p> {
    pub plan: &'p mut Plan,
    pub org: &'p mut Org,
    pub tier: Tier,
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
    pub fn label(&mut self, user: Option<usize>, app: &str, span: (i64, i64), may: &[&'static str]) -> Mark {
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
        let change = Change { from, to, effect, mark };
        self.org.machines[machine].changes.push(change);
    }

    pub fn ticket(&mut self) -> String {
        format!("CHG-{}", 100 + self.draw.below(900))
    }
}

pub fn tell(
    plan: &mut Plan,
    org: &mut Org,
    tier: Tier,
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
        tier,
        draw,
        day,
        variant,
        story,
        number: 0,
    };
    (story.tell)(&mut telling);
    Ok(())
}

/// The vendor of an attack's victim moves on the day of the attack.
pub fn migrate_beside(plan: &mut Plan, org: &mut Org, scene: &Scene) {
    let machine = org.machines.iter().position(|m| Some(m.user) == scene.user && !m.is_token);
    let (Some(machine), Some(act)) = (machine, scene.acts.first()) else {
        return;
    };
    let from = act.at - act.at.rem_euclid(DAY);
    moves::move_machine(plan, org, machine, from, "CHG-7", Mark::NONE);
}
