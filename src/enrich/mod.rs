//! What others know of an address, a user agent or an app: address databases, lists of networks,
//! published indicators. All of it is optional, comes from files, and asks nobody.
//!
//! ```text
//! *.mmdb ───────────┐
//! lists/*.csv ──────┼─► Enrichment ─► functions and tables of the SQL session, inputs of rules
//! indicators*.csv ──┘
//! ```
//! Nothing known is not the same as nothing found: what no file says is None, and rules that need
//! a file that is not there are told as never having had input.

mod csv_rows;
mod database;
mod error;
mod indicators;
#[cfg(test)]
#[path = "../../tests/it/mmdb.rs"]
pub(crate) mod mmdb;
mod networks;
mod place;
mod stated;
mod tables;
#[cfg(test)]
mod tests;
mod validity;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};

pub use csv_rows::{CsvRow, CsvRows};
pub use database::{Database, Tells};
pub use error::EnrichError;
pub use indicators::{Indicator, IndicatorKind, Indicators};
pub use networks::{ListedNetwork, NetworkClass, NetworkLists};
pub use place::{Place, Point, km_between};
pub use stated::StatedNetwork;

use stated::StatedPlaces;

/// The published indicators that come with the program.
const SHIPPED: &str = include_str!("data/indicators.csv");
const SHIPPED_NAME: &str = "shipped indicators.csv";

/// What such a file is called in messages, and where it is named.
const INDICATORS: (&str, &str) = ("indicators", "`indicators` in [detect]");

/// A database older than this many days misplaces many addresses.
pub const DATABASE_DAYS: i64 = 60;

/// The files of an enrichment, as the settings name them.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnrichFiles<'a> {
    /// Of two databases that know the same, the first is believed.
    pub databases: &'a [PathBuf],
    pub networks: &'a [PathBuf],
    /// Beside the shipped ones; a later file overrides what it names.
    pub indicators: &'a [PathBuf],
}

/// All that is known. Only read, and shared by all threads.
#[derive(Debug, Default)]
pub struct Enrichment {
    stated: StatedPlaces,
    databases: Vec<Database>,
    lists: NetworkLists,
    indicators: Indicators,
}

impl Enrichment {
    /// Knows nothing, not even the shipped indicators.
    pub fn none() -> Self {
        Self::default()
    }

    /// The shipped indicators alone.
    pub fn shipped() -> Result<Self, EnrichError> {
        Self::load(&EnrichFiles::default())
    }

    /// Reads all files. The first that cannot be used is told.
    pub fn load(files: &EnrichFiles<'_>) -> Result<Self, EnrichError> {
        let open = |path: &PathBuf| Database::open(path);
        let databases: Result<_, _> = files.databases.iter().map(open).collect();
        let databases = databases?;
        let lists = texts(files.networks, "network list", "`networks` in [enrich]")?;
        let own = texts(files.indicators, INDICATORS.0, INDICATORS.1)?;
        let shipped = [(SHIPPED_NAME, SHIPPED)].into_iter();
        Ok(Self {
            databases,
            lists: NetworkLists::read(named(&lists))?,
            indicators: Indicators::read(shipped.chain(named(&own)))?,
            stated: StatedPlaces::default(),
        })
    }

    /// One indicators file alone, without the shipped ones.
    pub fn own_indicators(path: &Path) -> Result<Self, EnrichError> {
        let own = texts(&[path.to_owned()], INDICATORS.0, INDICATORS.1)?;
        Ok(Self {
            indicators: Indicators::read(named(&own))?,
            ..Self::default()
        })
    }

    /// What a test case states of networks, beside the shipped indicators or, if it gives some,
    /// beside its own alone (the text of an indicators file).
    pub fn stated(
        networks: &[StatedNetwork],
        indicators: Option<&str>,
    ) -> Result<Self, EnrichError> {
        let indicators = indicators.map_or((SHIPPED_NAME, SHIPPED), |own| ("case", own));
        Ok(Self {
            stated: StatedPlaces::of(networks),
            databases: vec![],
            lists: stated::lists(networks),
            indicators: Indicators::read([indicators])?,
        })
    }

    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    pub fn lists(&self) -> &NetworkLists {
        &self.lists
    }

    pub fn indicators(&self) -> &Indicators {
        &self.indicators
    }

    /// What is known of an address; a damaged database is an error, not an unknown place.
    pub fn place(&self, ip: IpAddr) -> Result<Place, EnrichError> {
        let mut place = self.stated.place(ip);
        for database in &self.databases {
            place = place.or(database.place(ip)?);
        }
        Ok(place)
    }

    /// What can be known of an address.
    pub fn tells(&self) -> Tells {
        let all = self.databases.iter().map(Database::tells);
        all.fold(self.stated.tells(), |a, b| Tells {
            asn: a.asn || b.asn,
            country: a.country || b.country,
            location: a.location || b.location,
        })
    }

    /// The day on which the last entry of the network lists ends; None without lists.
    pub fn last_listed_day(&self) -> Option<NaiveDate> {
        let last = DateTime::<Utc>::from_timestamp_millis(self.lists.last_moment()? - 1)?;
        Some(last.date_naive())
    }

    /// A digest of all indicators and their validity: it changes when a row comes or goes.
    pub fn indicators_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for row in self.indicators.rows() {
            let valid = row.valid;
            let (from, to) = (valid.from_ms, valid.to_ms);
            let line = format!(
                "{}\n{from} {to}\n{}\n{}\n",
                row.id, row.source, row.confidence
            );
            hasher.update(line.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The first moment (milliseconds UTC) of a day or of a time as files write it.
pub fn day_begin(written: &str) -> Option<i64> {
    validity::begin(written).ok()
}

/// The first moment after a day, or a time.
pub fn day_end(written: &str) -> Option<i64> {
    validity::end(written).ok()
}

/// Names and texts of files.
fn texts(
    paths: &[PathBuf],
    what: &'static str,
    setting: &'static str,
) -> Result<Vec<(String, String)>, EnrichError> {
    let read = |path: &PathBuf| {
        let text = read_text(path).map_err(|source| EnrichError::Unreadable {
            what,
            path: path.clone(),
            source,
            setting,
        })?;
        Ok((path.display().to_string(), text))
    };
    paths.iter().map(read).collect()
}

fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

fn named(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
}
