//! What is to happen beyond the daily life: attacks and stories, each with its subject, its day
//! and its labels, fixed before the first row is written.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::acts::{Act, Mark, Text};
use super::attacks::{self, Attack};
use super::book::Tier;
use super::declare::{Declared, Listed};
use super::delivery::{How, Irregular};
use super::draw::Draw;
use super::error::SimulateError;
use super::labels::{Expected, Label, LabelKind};
use super::life::Asked;
use super::moment::{later, start_of};
use super::mutate::Mutation;
use super::org::{Change, Org, attacker_host};
use super::stories;

/// A name, and the day that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub name: String,
    pub day: Option<String>,
}

impl Wish {
    /// `name` or `name@day`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('@') {
            Some((name, day)) => Self {
                name: name.trim().to_owned(),
                day: Some(day.trim().to_owned()),
            },
            None => Self {
                name: text.trim().to_owned(),
                day: None,
            },
        }
    }
}

/// All that was decided.
#[derive(Default)]
pub struct Plan {
    pub acts: BTreeMap<NaiveDate, Vec<(Mark, Act)>>,
    pub labels: Vec<Label>,
    pub asked: Asked,
    pub declared: Declared,
    pub irregular: Vec<Irregular>,
    /// What was left out of `all`, and why.
    pub notes: Vec<String>,
}

impl Plan {
    /// Days on which something labelled happens.
    pub fn is_labelled(&self, day: NaiveDate) -> bool {
        self.acts.contains_key(&day)
    }
}

/// One part of an attack: what happens to one subject in one night.
pub struct Scene {
    pub user: Option<usize>,
    pub app: Text,
    pub ip: Text,
    pub acts: Vec<Act>,
    pub expected: Expected,
    /// What of `must` is no longer promised when everything takes ten times as long.
    pub too_slow: Vec<&'static str>,
}

/// Where an attack is played: the org, the day, and what it may use.
pub struct Stage<'o> {
    pub org: &'o mut Org,
    pub tier: Tier,
    pub draw: Draw,
    /// The day of its first event.
    pub day: NaiveDate,
    /// Which attacker it is: two for each attack of the run, an even one that speaks IPv4 and an
    /// odd one that speaks IPv6.
    pub turn: usize,
    /// Before anybody can know what is usual.
    pub learning: bool,
    pub variant: u64,
    pub changes: Vec<(usize, Change)>,
    /// Addresses that public lists know.
    pub listed: Vec<Listed>,
}

impl Stage<'_> {
    /// First moment of the day that is `days` after the first one.
    pub fn start(&self, days: i64) -> i64 {
        start_of(later(self.day, days))
    }

    pub fn foe(&self, h: u16) -> Text {
        attacker_host(self.turn, h)
    }

    /// One of a list by tier.
    pub fn by_tier<T>(&self, free: T, shield: T) -> T {
        match self.tier {
            Tier::Free => free,
            Tier::Shield => shield,
        }
    }
}

/// Decides everything; `org` gets the changes that stories bring.
pub fn plan(
    org: &mut Org,
    tier: Tier,
    attacks: &[Wish],
    stories: &[Wish],
    mutation: Option<&'static Mutation>,
) -> Result<Plan, SimulateError> {
    let mut plan = Plan::default();
    let mut calendar = Calendar::new(org);
    let mut played = 0;
    for (attack, wish) in wanted(attacks, attacks::ALL, "attack", |a| a.name)? {
        let placed = calendar.place(
            attack.name,
            wish,
            attack.days,
            mutation.is_some_and(|m| m.while_learning),
            attack.published,
            org.seed,
        );
        match placed {
            Ok(day) => {
                let speaks_v4 =
                    mutation.is_some_and(|m| m.speaks_v4) || played % ONE_SPEAKS_V4 == 0;
                let turn = 2 * played + usize::from(!speaks_v4);
                play(&mut plan, org, tier, attack, mutation, day, turn);
                played += 1;
            }
            Err(error) if wish.is_none() => plan.notes.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    for (story, wish) in wanted(stories, stories::ALL, "story", |s| s.name)? {
        match stories::tell(&mut plan, org, story, wish, &mut calendar) {
            Ok(()) => {}
            Err(error) if wish.is_none() => plan.notes.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(plan)
}

/// Each wish with its entry; `all` is every entry without a day.
fn wanted<'a, T>(
    wishes: &'a [Wish],
    all: &'static [T],
    what: &'static str,
    name: impl Fn(&T) -> &'static str,
) -> Result<Vec<(&'static T, Option<&'a str>)>, SimulateError> {
    let mut found = vec![];
    for wish in wishes {
        let day = wish.day.as_deref();
        if wish.name == "all" {
            found.extend(all.iter().map(|one| (one, day)));
            continue;
        }
        let Some(one) = all.iter().find(|one| name(one) == wish.name) else {
            return Err(SimulateError::Unknown {
                what,
                name: crate::privacy::printable(&wish.name, 60),
                hint: "see `orgwatch simulate --list`".to_owned(),
            });
        };
        found.push((one, day));
    }
    Ok(found)
}

fn play(
    plan: &mut Plan,
    org: &mut Org,
    tier: Tier,
    attack: &'static Attack,
    mutation: Option<&'static Mutation>,
    day: NaiveDate,
    turn: usize,
) {
    let mut draw = Draw::new(org.seed, &["attack", attack.name, &day.to_string()]);
    let variant = draw.below(attack.variants);
    let mut stage = Stage {
        org,
        tier,
        draw,
        day,
        turn,
        learning: mutation.is_some_and(|m| m.while_learning),
        variant,
        changes: vec![],
        listed: vec![],
    };
    let mut scenes = (attack.scenes)(&mut stage);
    let changes = std::mem::take(&mut stage.changes);
    plan.declared.listed.append(&mut stage.listed);
    for (number, scene) in scenes.iter_mut().enumerate() {
        scene.acts.sort_by_key(|act| act.at);
        let mut changed = mutation.is_some_and(|m| m.apply(scene, stage.org, turn));
        if changed && mutation.is_some_and(|m| m.beside_migration) {
            changed = stories::migrate_beside(plan, stage.org, scene);
        }
        let mark = Mark(plan.labels.len() as u32 + 1);
        plan.labels.push(Label {
            kind: LabelKind::Attack,
            name: attack.name,
            variant,
            number: number + 1,
            mutation: if changed {
                mutation.map_or("", |m| m.name)
            } else {
                ""
            },
            user: scene.user,
            app: scene.app.clone(),
            ip: scene.ip.clone(),
            expected: scene.expected.clone(),
            span: None,
        });
        for act in scene.acts.drain(..) {
            let day = super::moment::day_of(act.at);
            if day < stage.org.first_day || day > stage.org.last_day {
                continue;
            }
            plan.acts.entry(day).or_default().push((mark, act));
            let how = match mutation {
                Some(m) if m.in_two => How::InTwo,
                Some(m) if m.hourly_too => How::HourlyToo,
                _ => continue,
            };
            if !plan.irregular.iter().any(|i| i.day == day) {
                plan.irregular.push(Irregular {
                    day,
                    kind: None,
                    how,
                });
            }
        }
    }
    for (machine, change) in changes {
        stage.org.machines[machine].changes.push(change);
    }
}

/// Which days are taken.
pub struct Calendar {
    first: NaiveDate,
    days: i64,
    taken: Vec<(i64, i64)>,
}

/// The attackers that speak IPv4 share the one network that documentation leaves for them, and to
/// a user who was struck from it before, it is no longer new. So few do, and never two that strike
/// the same kind of user. Attackers that speak IPv6 share no network.
const ONE_SPEAKS_V4: usize = 12;
/// Days before anything is usual; an account sleeps no shorter (`dormant-account-wakes`).
pub const LEARNING: i64 = 46;
/// Days between one thing and the next, where there is room.
const APART: i64 = 2;

impl Calendar {
    fn new(org: &Org) -> Self {
        Self {
            first: org.first_day,
            days: org.days(),
            taken: vec![],
        }
    }

    /// The first day of something that takes `length` days: the one asked for; else the day on
    /// which it was published to have happened, if that lies in the period; else a day after the
    /// learning time on which nothing else happens.
    pub fn place(
        &mut self,
        name: &'static str,
        wish: Option<&str>,
        length: i64,
        learning: bool,
        published: Option<NaiveDate>,
        seed: u64,
    ) -> Result<NaiveDate, SimulateError> {
        if let Some(wish) = wish {
            let n = self.asked_for(name, wish)?;
            self.taken.push((n, length));
            return Ok(later(self.first, n));
        }
        let mut draw = Draw::new(seed, &["calendar", name]);
        if learning {
            return Ok(later(self.first, draw.between(4, 8).min(self.days - 1)));
        }
        let begin = LEARNING.min(self.days * 9 / 20);
        if let Some(n) = published.map(|day| (day - self.first).num_days())
            && (begin..=self.days - length).contains(&n)
        {
            self.taken.push((n, length));
            return Ok(later(self.first, n));
        }
        let last = self.days - length - 1;
        if last < begin {
            return Err(SimulateError::TooShort {
                days: self.days,
                least: begin + length + 1,
            });
        }
        let free = |n: i64, apart: i64| {
            let overlaps = |(from, length_of): &(i64, i64)| {
                n < from + length_of + apart && *from < n + length + apart
            };
            !self.taken.iter().any(overlaps)
        };
        for apart in [APART, 0] {
            let open: Vec<i64> = (begin..=last).filter(|n| free(*n, apart)).collect();
            if !open.is_empty() {
                let n = *draw.pick(&open);
                self.taken.push((n, length));
                return Ok(later(self.first, n));
            }
        }
        Ok(later(self.first, draw.between(begin, last)))
    }

    /// A day that fits, the last one of those, with some weeks before it.
    pub fn fitting(
        &mut self,
        name: &'static str,
        org: &Org,
        fits: fn(&Org, NaiveDate) -> bool,
    ) -> Result<NaiveDate, SimulateError> {
        let begin = 14.min(self.days / 4);
        let found = (begin..self.days - 1)
            .rev()
            .find(|n| fits(org, later(self.first, *n)));
        let n = found.ok_or_else(|| SimulateError::Day {
            name: name.to_owned(),
            day: format!("{} to {}", org.first_day, org.last_day),
            hint: "no day of the period is one for it; choose another --end, or more --days"
                .to_owned(),
        })?;
        self.taken.push((n, 1));
        Ok(later(self.first, n))
    }

    /// A day as a date, or as a number from 1.
    pub fn asked_for(&self, name: &str, wish: &str) -> Result<i64, SimulateError> {
        let last = later(self.first, self.days - 1);
        let n = match (wish.parse::<i64>(), wish.parse::<NaiveDate>()) {
            (Ok(n), _) => n - 1,
            (_, Ok(day)) => (day - self.first).num_days(),
            _ => -1,
        };
        if (0..self.days).contains(&n) {
            return Ok(n);
        }
        Err(SimulateError::Day {
            name: name.to_owned(),
            day: crate::privacy::printable(wish, 40),
            hint: format!(
                "give a day from 1 to {}, or a date from {} to {last}",
                self.days, self.first
            ),
        })
    }
}
