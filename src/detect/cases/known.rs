//! `[[case.network_info]]` and `[[case.indicators]]`: what is known of addresses and indicators
//! in a case, in the place of databases, lists and the shipped indicators.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::clock::{OPEN_FROM, OPEN_TO, Validity};
use crate::config::{hint_for_word, parse_network};
use crate::enrich::{Enrichment, NetworkClass, StatedNetwork, day_begin, day_end};

/// One `[[case.network_info]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInfo {
    pub network: toml::Spanned<String>,
    asn: Option<u32>,
    as_name: Option<String>,
    country: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    radius_km: Option<f64>,
    class: Option<String>,
    valid_from: Option<toml::Value>,
    valid_to: Option<toml::Value>,
}

/// One `[[case.indicators]]`: the columns of an indicators file.
pub type IndicatorInfo = BTreeMap<String, toml::Value>;

impl NetworkInfo {
    pub fn stated(&self) -> Result<StatedNetwork, String> {
        let network = parse_network(self.network.get_ref()).map_err(|bad| bad.to_string())?;
        let class = |word: &String| {
            NetworkClass::from_word(word).ok_or_else(|| {
                let words = NetworkClass::ALL.map(NetworkClass::as_str);
                format!("`class` is unknown; {}", hint_for_word(word, &words))
            })
        };
        if let Some(country) = &self.country
            && (country.len() != 2 || !country.bytes().all(|b| b.is_ascii_alphabetic()))
        {
            return Err("`country` takes two letters".to_owned());
        }
        if self.latitude.is_some() != self.longitude.is_some() {
            return Err("`latitude` and `longitude` come together".to_owned());
        }
        let time = |value: &Option<toml::Value>, read: fn(&str) -> Option<i64>, open| match value {
            None => Ok(open),
            Some(value) => text(value)
                .and_then(|text| read(&text))
                .ok_or("`valid_from` and `valid_to` take a day or a time".to_owned()),
        };
        Ok(StatedNetwork {
            network,
            asn: self.asn,
            as_name: self.as_name.clone(),
            country: self.country.clone(),
            latitude: self.latitude,
            longitude: self.longitude,
            radius_km: self.radius_km,
            class: self.class.as_ref().map(class).transpose()?,
            valid: Validity {
                from_ms: time(&self.valid_from, day_begin, OPEN_FROM)?,
                to_ms: time(&self.valid_to, day_end, OPEN_TO)?,
            },
        })
    }
}

/// What the case knows. Without indicators of its own it has the shipped ones.
pub fn enrichment(
    networks: &[StatedNetwork],
    indicators: Option<&[IndicatorInfo]>,
) -> Result<Arc<Enrichment>, String> {
    let indicators = indicators.map(csv_of).transpose()?;
    let known = Enrichment::stated(networks, indicators.as_deref());
    known.map(Arc::new).map_err(|error| {
        // The place is one in a text that nobody wrote.
        let told = error.to_string();
        let what = told.splitn(4, ':').last().unwrap_or(&told);
        format!("indicators: {}", what.trim().replace('\n', "; "))
    })
}

fn csv_of(rows: &[IndicatorInfo]) -> Result<String, String> {
    let headings: std::collections::BTreeSet<&str> = rows
        .iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let mut csv = line(headings.iter().map(|heading| quoted(heading)).collect());
    for row in rows {
        let cells = headings.iter().map(|heading| match row.get(*heading) {
            None => Ok(String::new()),
            Some(value) => text(value)
                .map(|text| quoted(&text))
                .ok_or_else(|| format!("indicators: `{heading}` takes a text or a day")),
        });
        csv += &line(cells.collect::<Result<_, _>>()?);
    }
    Ok(csv)
}

fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        _ => None,
    }
}
