//! Address databases in MaxMind's format, of any maker that uses MaxMind's names of fields.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use super::error::EnrichError;
use super::place::{Place, Point, country_code};
use crate::privacy::printable;

/// Longest name of an autonomous system that is kept, in characters.
const LONGEST_NAME: usize = 100;

/// Networks of a new file that are looked at to learn what it tells.
const PROBED: usize = 20_000;

const ANOTHER_COPY: &str = "download it again, or take it out of `databases` in [enrich]";

/// One open database file.
pub struct Database {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
    tells: Tells,
}

/// What a database can say of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tells {
    pub asn: bool,
    pub country: bool,
    /// Latitude and longitude.
    pub location: bool,
}

/// The fields that are read of a record; all others are passed over.
#[derive(Deserialize)]
struct Record<'a> {
    autonomous_system_number: Option<Number>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow)]
    country: Option<Country<'a>>,
    location: Option<Location>,
    #[serde(borrow)]
    traits: Option<Traits<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<Number>,
    longitude: Option<Number>,
    accuracy_radius: Option<Number>,
}

/// Where the large databases of all in one keep the network's owner.
#[derive(Deserialize)]
struct Traits<'a> {
    autonomous_system_number: Option<Number>,
    autonomous_system_organization: Option<&'a str>,
}

/// A number in any of the format's types: makers differ in which they take.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;

        impl Visitor<'_> for AnyNumber {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_f32<E>(self, value: f32) -> Result<Number, E> {
                Ok(Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i32<E>(self, value: i32) -> Result<Number, E> {
                Ok(Number(value.into()))
            }

            fn visit_u16<E>(self, value: u16) -> Result<Number, E> {
                Ok(Number(value.into()))
            }

            fn visit_u32<E>(self, value: u32) -> Result<Number, E> {
                Ok(Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
        }

        deserializer.deserialize_any(AnyNumber)
    }
}

impl Number {
    /// None for what is no whole number, or 0: that stands for no system at all.
    fn asn(&self) -> Option<u32> {
        let whole = self.0.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&self.0);
        whole.then_some(self.0 as u32)
    }
}

impl Database {
    /// Opens a database file, and looks into it: a file that tells nothing of what we ask, or
    /// that is damaged where it was looked at, is refused.
    ///
    /// The file is read whole: to map it into memory would need code whose safety rests on
    /// nobody changing the file meanwhile.
    pub fn open(path: &Path) -> Result<Self, EnrichError> {
        let bytes = std::fs::read(path).map_err(|source| EnrichError::Unreadable {
            what: "address database",
            path: path.to_owned(),
            source,
            setting: "`databases` in [enrich], or let the user of the nightly job read it",
        })?;
        let unusable = |problem: String, hint: &'static str| EnrichError::Database {
            path: path.to_owned(),
            problem,
            hint,
        };
        let damaged = |error: MaxMindDbError| unusable(problem(&error), ANOTHER_COPY);
        let reader = Reader::from_source(bytes).map_err(damaged)?;
        let mut database = Self {
            path: path.to_owned(),
            reader,
            tells: Tells::default(),
        };
        database.tells = database.probe().map_err(damaged)?;
        if database.tells == Tells::default() {
            let what = "it holds neither autonomous systems, nor countries, nor locations";
            let hint = "use a City, Country or ASN database with MaxMind's names of fields";
            return Err(unusable(what.to_owned(), hint));
        }
        Ok(database)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn tells(&self) -> Tells {
        self.tells
    }

    /// The maker's name of this kind of database.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When the maker built it; None where the file says nothing sensible.
    pub fn built_at(&self) -> Option<DateTime<Utc>> {
        let seconds = i64::try_from(self.reader.metadata().build_epoch).ok()?;
        DateTime::from_timestamp(seconds, 0).filter(|at| at.timestamp() > 0)
    }

    /// Reads all of the file: whether every network and every record in it is whole.
    pub fn verify(&self) -> Result<(), EnrichError> {
        self.reader.verify().map_err(|error| self.damaged(&error))
    }

    /// What it says of an address; a part that it does not know is None.
    pub(super) fn place(&self, ip: IpAddr) -> Result<Place, EnrichError> {
        if ip.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(Place::default());
        }
        let found = self.reader.lookup(ip);
        let record = found.and_then(|found| found.decode::<Record<'_>>());
        let record = record.map_err(|error| self.damaged(&error))?;
        Ok(record.map_or_else(Place::default, place_of))
    }

    fn probe(&self) -> Result<Tells, MaxMindDbError> {
        let all = Tells {
            asn: true,
            country: true,
            location: true,
        };
        let mut tells = Tells::default();
        for network in self.reader.networks(WithinOptions::default())?.take(PROBED) {
            let Some(record) = network?.decode::<Record<'_>>()? else {
                continue;
            };
            let place = place_of(record);
            tells.asn |= place.asn.is_some();
            tells.country |= place.country.is_some();
            tells.location |= place.point.is_some();
            if tells == all {
                break;
            }
        }
        Ok(tells)
    }

    fn damaged(&self, error: &MaxMindDbError) -> EnrichError {
        EnrichError::Database {
            path: self.path.clone(),
            problem: problem(error),
            hint: ANOTHER_COPY,
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.path)
            .field("tells", &self.tells)
            .finish_non_exhaustive()
    }
}

fn place_of(record: Record<'_>) -> Place {
    let traits = record.traits.as_ref();
    let asn = record.autonomous_system_number.as_ref();
    let asn = asn.or_else(|| traits?.autonomous_system_number.as_ref());
    let name = record.autonomous_system_organization;
    let name = name.or_else(|| traits?.autonomous_system_organization);
    let point = record.location.and_then(|at| {
        let radius = at.accuracy_radius.map(|radius| radius.0);
        Point::new(at.latitude?.0, at.longitude?.0, radius)
    });
    Place {
        asn: asn.and_then(Number::asn),
        as_name: name
            .filter(|name| !name.is_empty())
            .map(|name| printable(name, LONGEST_NAME).into()),
        country: record
            .country
            .and_then(|country| country_code(country.iso_code?)),
        point,
    }
}

/// The reader's words, without what it found in the file.
fn problem(error: &MaxMindDbError) -> String {
    match error {
        MaxMindDbError::InvalidDatabase { offset, .. } => match offset {
            Some(offset) => format!("it is no MaxMind database or a damaged one (byte {offset})"),
            None => "it is no MaxMind database or a damaged one".to_owned(),
        },
        MaxMindDbError::Decoding { .. } => {
            "a record in it is damaged, or of unknown form".to_owned()
        }
        _ => "it cannot be read".to_owned(),
    }
}
