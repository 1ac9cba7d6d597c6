//! Where an address is and what stands behind it, as far as the enrichment's files say:
//! `ip_asn`, `ip_as_name`, `ip_country`, `ip_latitude`, `ip_longitude`, `ip_radius_km`,
//! `ip_classes`, `ip_lists`, `origin_of`, `indicators_of`, `km_between`.
//!
//! An address may also be given as a network (`192.0.2.0/24`), of which the first address is
//! asked: the rollups keep networks. NULL where nothing is known.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListBuilder, StringViewBuilder,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, TimestampMillisecondType};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::ScalarUDF;
use ipnet::IpNet;

use super::address::{address, network, network_around};
use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::timestamp_ms;
use crate::clock::{OPEN_FROM, OPEN_TO};
use crate::enrich::{Enrichment, IndicatorKind, ListedNetwork, Place, km_between};

const TEXT: DataType = DataType::Utf8View;

pub(super) fn functions(known: &Arc<Enrichment>) -> Vec<ScalarUDF> {
    let number = |name, of: fn(&Place) -> Option<f64>| {
        let known = Arc::clone(known);
        RowFunction::udf(name, vec![TEXT], DataType::Float64, move |args| {
            let places = Places::of(&known, text(args, 0))?;
            let values: Float64Array = places.rows().map(|place| of(place?)).collect();
            Ok(Arc::new(values))
        })
    };
    vec![
        ip_asn(known),
        ip_text("ip_as_name", known, |place| place.as_name.clone()),
        ip_text("ip_country", known, |place| place.country.clone()),
        number("ip_latitude", |place| Some(place.point?.latitude)),
        number("ip_longitude", |place| Some(place.point?.longitude)),
        number("ip_radius_km", |place| place.point?.radius_km),
        origin_of(known),
        ip_classes(known),
        ip_lists(known),
        indicators_of(known),
        km_between_udf(),
    ]
}

/// `ip_asn(ip)`: number of the autonomous system that announces the address.
fn ip_asn(known: &Arc<Enrichment>) -> ScalarUDF {
    let known = Arc::clone(known);
    RowFunction::udf("ip_asn", vec![TEXT], DataType::Int64, move |args| {
        let places = Places::of(&known, text(args, 0))?;
        let values: Int64Array = places
            .rows()
            .map(|place| place?.asn.map(i64::from))
            .collect();
        Ok(Arc::new(values))
    })
}

/// `ip_as_name(ip)`: who runs it; `ip_country(ip)`: two capital letters.
fn ip_text(
    name: &'static str,
    known: &Arc<Enrichment>,
    of: fn(&Place) -> Option<Arc<str>>,
) -> ScalarUDF {
    let known = Arc::clone(known);
    RowFunction::udf(name, vec![TEXT], TEXT, move |args| {
        let places = Places::of(&known, text(args, 0))?;
        Ok(text_rows(places.len(), |row| of(places.row(row)?)))
    })
}

/// `origin_of(ip)`: `AS64500` where the autonomous system is known, else `network_of(ip)`. What
/// stays the same while a client's address changes within its network.
fn origin_of(known: &Arc<Enrichment>) -> ScalarUDF {
    let known = Arc::clone(known);
    RowFunction::udf("origin_of", vec![TEXT], TEXT, move |args| {
        let ips = text(args, 0);
        let places = Places::of(&known, ips)?;
        Ok(text_rows(places.len(), |row| match places.row(row)?.asn {
            Some(asn) => Some(format!("AS{asn}")),
            None => Some(network_around(first_address(cell(ips, row)?)?).to_string()),
        }))
    })
}

/// `ip_classes(ip, at)`: classes of the network lists that hold the address at that time, sorted;
/// empty where none does, NULL where there are no lists.
fn ip_classes(known: &Arc<Enrichment>) -> ScalarUDF {
    of_lists("ip_classes", known, |_, entry| {
        entry.class.as_str().to_owned()
    })
}

/// `ip_lists(ip, at)`: the same as sentences for evidence: class, list, and since when.
fn ip_lists(known: &Arc<Enrichment>) -> ScalarUDF {
    of_lists("ip_lists", known, |known, entry| {
        let day = |at_ms: i64| {
            let at = chrono::DateTime::from_timestamp_millis(at_ms);
            at.map_or_else(String::new, |at| at.date_naive().to_string())
        };
        let mut shown = format!("{} ({}", entry.class.as_str(), known.lists().name_of(entry));
        if entry.valid.from_ms > OPEN_FROM {
            shown.push_str(&format!(", from {}", day(entry.valid.from_ms)));
        }
        if entry.valid.to_ms < OPEN_TO {
            shown.push_str(&format!(", to {}", day(entry.valid.to_ms - 1)));
        }
        shown + ")"
    })
}

fn of_lists(
    name: &'static str,
    known: &Arc<Enrichment>,
    shown: fn(&Enrichment, &ListedNetwork) -> String,
) -> ScalarUDF {
    let known = Arc::clone(known);
    let takes = vec![TEXT, timestamp_ms()];
    RowFunction::udf(name, takes, list_of_text(), move |args| {
        let ips = text(args, 0);
        let times: &TimestampMillisecondArray = args[1].as_primitive::<TimestampMillisecondType>();
        let mut addresses: HashMap<&str, Option<IpAddr>> = HashMap::new();
        Ok(lists(ips.len(), |row| {
            if known.lists().is_empty() || !times.is_valid(row) {
                return None;
            }
            let written = cell(ips, row)?;
            let ip = *addresses
                .entry(written)
                .or_insert_with(|| first_address(written));
            let entries = known.lists().of(ip?, times.value(row));
            let mut found: Vec<String> = entries.map(|entry| shown(&known, entry)).collect();
            found.sort_unstable();
            found.dedup();
            Some(found)
        }))
    })
}

/// `indicators_of(kind, value)`: the column `indicator` of the rows of `indicators` that a value
/// matches, whatever their validity: of kind `ip` an address, of `user_agent`, `app` and `client`
/// a text. Empty where none does, NULL where the value is NULL. An unknown kind is an error of
/// the query.
fn indicators_of(known: &Arc<Enrichment>) -> ScalarUDF {
    let known = Arc::clone(known);
    RowFunction::udf(
        "indicators_of",
        vec![TEXT, TEXT],
        list_of_text(),
        move |args| {
            let (words, values) = (text(args, 0), text(args, 1));
            let mut answers: HashMap<(IndicatorKind, &str), Vec<&str>> = HashMap::new();
            let mut wrong = false;
            let found = lists(values.len(), |row| {
                let (word, value) = (cell(words, row)?, cell(values, row)?);
                let Some(kind) = IndicatorKind::from_word(word) else {
                    wrong = true;
                    return None;
                };
                let found = answers.entry((kind, value)).or_insert_with(|| match kind {
                    IndicatorKind::Ip => address(value)
                        .map(|ip| known.indicators().of_address(ip))
                        .unwrap_or_default(),
                    kind => known.indicators().of_text(kind, value),
                });
                Some(found.clone())
            });
            if wrong {
                return exec_err!("indicators_of: the kind is ip, user_agent, app or client");
            }
            Ok(found)
        },
    )
}

/// `km_between(lat, lon, lat, lon)`: distance along the surface in kilometres; NULL where a
/// coordinate is NULL or no place on Earth.
fn km_between_udf() -> ScalarUDF {
    let takes = vec![DataType::Float64; 4];
    RowFunction::udf("km_between", takes, DataType::Float64, |args| {
        let columns: Vec<&Float64Array> = args
            .iter()
            .map(|column| column.as_primitive::<Float64Type>())
            .collect();
        let value = |column: usize, row: usize| {
            let column = columns[column];
            column.is_valid(row).then(|| column.value(row))
        };
        let distances: Float64Array = (0..columns[0].len())
            .map(|row| {
                let from = (value(0, row)?, value(1, row)?);
                km_between(from, (value(2, row)?, value(3, row)?))
            })
            .collect();
        Ok(Arc::new(distances))
    })
}

/// What is known of each row's address; each distinct text of a batch is looked up once.
struct Places<'a> {
    texts: &'a arrow::array::StringViewArray,
    known: HashMap<&'a str, Option<Place>>,
}

impl<'a> Places<'a> {
    fn of(known: &Enrichment, texts: &'a arrow::array::StringViewArray) -> Result<Self> {
        let mut places = HashMap::new();
        for row in 0..texts.len() {
            let Some(written) = cell(texts, row) else {
                continue;
            };
            if places.contains_key(written) {
                continue;
            }
            let place = first_address(written).map(|ip| known.place(ip));
            let place = place
                .transpose()
                .map_err(|error| DataFusionError::Execution(error.to_string()))?;
            places.insert(written, place);
        }
        Ok(Self {
            texts,
            known: places,
        })
    }

    fn len(&self) -> usize {
        self.texts.len()
    }

    fn row(&self, row: usize) -> Option<&Place> {
        self.known.get(cell(self.texts, row)?)?.as_ref()
    }

    fn rows(&self) -> impl Iterator<Item = Option<&Place>> {
        (0..self.len()).map(|row| self.row(row))
    }
}

/// The address in a text, or the first one of the network in it.
fn first_address(written: &str) -> Option<IpAddr> {
    address(written).or_else(|| network(written).map(|network: IpNet| network.network()))
}

fn list_of_text() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(TEXT, true)))
}

fn lists<S: AsRef<str>>(rows: usize, mut of: impl FnMut(usize) -> Option<Vec<S>>) -> ArrayRef {
    let mut out = ListBuilder::new(StringViewBuilder::new().with_deduplicate_strings());
    for row in 0..rows {
        let values = of(row);
        let is_valid = values.is_some();
        for value in values.into_iter().flatten() {
            out.values().append_value(value);
        }
        out.append(is_valid);
    }
    Arc::new(out.finish())
}
