//! A user that a system works with, and when and how it does.

use chrono::{Datelike, NaiveDate, Weekday};

use super::super::acts::{Door, Text};
use super::super::moment::{days_to_month_end, is_working_day};
use super::change::{Change, Working};

/// A place from which a machine works.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// As the registry declares them.
    pub networks: Vec<Text>,
    pub hosts: Vec<Text>,
}

/// When a machine works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rhythm {
    /// Around the clock, and so many times busier in office hours.
    Round { busier: f64 },
    /// Office hours of working days.
    Office,
    /// One run a day: bulk jobs, and pages of a full copy.
    Nightly {
        /// Minute of the day.
        at: i64,
        operation: &'static str,
        jobs: u64,
        pages: u64,
    },
    /// One run a week.
    Weekly { on: Weekday, at: i64 },
    /// Once in a day of one's own, a few reads.
    Daily { at: i64 },
    /// Worked for some days at the beginning, and no more.
    Past { days: i64 },
}

#[derive(Debug, Clone)]
pub struct Machine {
    pub user: usize,
    pub app: Option<usize>,
    pub door: Door,
    /// The first is where it works unless something changes.
    pub sites: Vec<Site>,
    pub agent: Text,
    /// As the agent is written from the middle of the period on.
    pub next_agent: Text,
    pub version: u16,
    pub client: Text,
    pub agent_code: Text,
    pub objects: Vec<&'static str>,
    pub rhythm: Rhythm,
    /// Calls of a usual working day.
    pub calls: f64,
    /// Rows of a usual query, records of a usual job.
    pub rows: u64,
    /// Milliseconds that a session lasts.
    pub session: i64,
    /// Times as much in the last two days of a month.
    pub month_end: f64,
    /// Its run is set in local time.
    pub local: bool,
    pub country: Text,
    /// Networks are in the registry.
    pub declared: bool,
    pub mtls: bool,
    pub system: Text,
    /// A person's token that a vendor uses.
    pub is_token: bool,
    /// Its second site is not declared from the beginning: it moves there.
    pub moves: bool,
    pub changes: Vec<Change>,
}

impl Machine {
    pub fn working(&self, at: i64) -> Working {
        Working::at(&self.changes, at)
    }

    pub fn host(&self) -> &Text {
        // Every machine is made with a site that has a host.
        &self.sites[0].hosts[0]
    }

    /// The registry's word for how often it works.
    pub fn cadence(&self) -> Option<&'static str> {
        match self.rhythm {
            Rhythm::Round { .. } | Rhythm::Office | Rhythm::Past { .. } => None,
            Rhythm::Nightly { .. } | Rhythm::Daily { .. } => Some("daily"),
            Rhythm::Weekly { .. } => Some("weekly"),
        }
    }

    /// Part of a usual day's calls that falls into an hour of a day; the hour is local.
    pub fn share(&self, day: NaiveDate, hour: u32) -> f64 {
        let office = is_working_day(day) && (8..18).contains(&hour);
        match self.rhythm {
            Rhythm::Round { busier } => {
                let usual = 24.0 + 10.0 * (busier - 1.0);
                (if office { busier } else { 1.0 }) / usual
            }
            Rhythm::Office if office => match hour {
                12 => 0.05,
                8 | 17 => 0.075,
                _ => 0.8 / 7.0,
            },
            _ => 0.0,
        }
    }

    pub fn season(&self, day: NaiveDate) -> f64 {
        match (days_to_month_end(day), day.day()) {
            (0 | 1, _) => self.month_end,
            (_, 1) => 1.0 + (self.month_end - 1.0) / 2.0,
            _ => 1.0,
        }
    }
}
