//! What changes about a machine for a time: planned, announced, or an accident.

use super::super::acts::{Mark, Text};

/// An effect in a half-open span of time.
#[derive(Debug, Clone)]
pub struct Change {
    pub from: i64,
    pub to: i64,
    pub effect: Effect,
    /// The label whose story this is.
    pub mark: Mark,
}

#[derive(Debug, Clone)]
pub enum Effect {
    /// Works from that site.
    Site(usize),
    /// Works from all its sites at once.
    AllSites,
    Agent(Text),
    Version(u16),
    /// Comes through another app.
    App(usize),
    /// Does so many times its usual work.
    Volume(f64),
    /// Touches these objects, too.
    Objects(Vec<&'static str>),
    Silent,
    /// Every login ends with that status, tried once in so many milliseconds.
    Refused(&'static str, i64),
}

/// How a machine works at a moment.
#[derive(Debug, Clone)]
pub struct Working {
    pub site: Option<usize>,
    pub agent: Option<Text>,
    pub version: Option<u16>,
    pub app: Option<usize>,
    pub volume: f64,
    pub objects: Vec<&'static str>,
    pub silent: bool,
    pub refused: Option<(&'static str, i64)>,
    pub mark: Mark,
}

impl Working {
    pub(super) fn at(changes: &[Change], at: i64) -> Self {
        let mut now = Self {
            site: Some(0),
            agent: None,
            version: None,
            app: None,
            volume: 1.0,
            objects: vec![],
            silent: false,
            refused: None,
            mark: Mark::NONE,
        };
        for change in changes.iter().filter(|c| c.from <= at && at < c.to) {
            if change.mark != Mark::NONE {
                now.mark = change.mark;
            }
            match &change.effect {
                Effect::Site(site) => now.site = Some(*site),
                Effect::AllSites => now.site = None,
                Effect::Agent(agent) => now.agent = Some(agent.clone()),
                Effect::Version(version) => now.version = Some(*version),
                Effect::App(app) => now.app = Some(*app),
                Effect::Volume(times) => now.volume *= times,
                Effect::Objects(more) => now.objects.extend(more),
                Effect::Silent => now.silent = true,
                Effect::Refused(status, every) => now.refused = Some((status, *every)),
            }
        }
        now
    }
}
