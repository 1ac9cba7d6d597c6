//! What one account did on one day, gathered from the rows that the logs sum up to. The order of
//! the rows does not matter.

use std::collections::{BTreeMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::row::Row;
use crate::catalog::codes::{UserKind, ua_family, user_kind};
use crate::catalog::sf_id18;
use crate::engine::{ACTIVITY_COUNTS, app_name_key};
use crate::privacy::printable;

/// Most values of one kind that an account and app may show on one day, each in a row of its own:
/// callers choose some of them freely. Of more, the first in their order stay.
const MAX_VALUES: usize = 5_000;
/// What stands for all the others.
pub(super) const OTHERS: &str = "(more)";

/// Sources whose rows show one value and count nowhere: they are counted by other rows, or not.
const SHAPES: [&str; 2] = ["query_class", "aura_action"];

const MAX_AGENT_CHARS: usize = 120;
const MAX_NAME_CHARS: usize = 200;

const MS_PER_HOUR: i64 = 3_600_000;
const HOURS_PER_WEEK: i64 = 168;
/// 1970-01-01 was a Thursday, and the week begins with Monday.
const HOURS_BEFORE_EPOCH: i64 = 72;

/// App of a row: id and name, as far as the row tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct App {
    pub id: Option<String>,
    pub name: Option<String>,
}

impl App {
    fn of(row: &Row<'_>) -> Self {
        let told = |text: &str| {
            let text = text.trim();
            let nothing = text.is_empty() || text.eq_ignore_ascii_case("n/a");
            (!nothing).then(|| text.to_owned())
        };
        let id = row.app_id.and_then(told);
        let name = row
            .app_name
            .and_then(told)
            // LoginHistory's word for a login without any app.
            .filter(|name| !name.eq_ignore_ascii_case("browser"));
        Self {
            id: id.map(|id| sf_id18(&id).unwrap_or(id)),
            name: name.map(|name| app_name_key(&name)),
        }
    }
}

/// Since when, until when (milliseconds since 1970), in how many rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub first_ms: i64,
    pub last_ms: i64,
    pub events: i64,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.events += other.events;
    }
}

/// Values of one kind.
#[derive(Debug, Default)]
struct Values {
    kept: BTreeMap<String, Seen>,
    others: Option<Seen>,
}

impl Values {
    /// What is kept are the least values of all that ever came, whatever their order: one that
    /// had to go would have to go again.
    fn add(&mut self, value: String, seen: Seen) {
        match self.kept.get_mut(&value) {
            Some(known) => known.add(seen),
            None => {
                self.kept.insert(value, seen);
            }
        }
        if self.kept.len() > MAX_VALUES
            && let Some((_, seen)) = self.kept.pop_last()
        {
            match &mut self.others {
                Some(others) => others.add(seen),
                None => self.others = Some(seen),
            }
        }
    }
}

/// Counts of one hour, in the order of [`ACTIVITY_COUNTS`].
#[derive(Debug)]
pub(super) struct Hour {
    pub counts: [i64; ACTIVITY_COUNTS.len()],
    pub last_ms: i64,
    networks: HashSet<u64>,
    objects: HashSet<u64>,
}

impl Hour {
    pub(super) fn distinct(&self) -> [i64; 2] {
        [&self.networks, &self.objects].map(|set| i64::try_from(set.len()).unwrap_or(i64::MAX))
    }
}

/// One account on one day.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub user_key: Option<String>,
    pub user_id: Option<String>,
    name: Option<(i64, String)>,
    user_type: Option<String>,
    apps: BTreeMap<App, OfApp>,
}

/// What an account did through one app.
#[derive(Debug, Default)]
struct OfApp {
    hours: BTreeMap<i64, Hour>,
    kinds: BTreeMap<&'static str, Values>,
}

impl Account {
    pub(super) fn new(user_key: Option<&str>) -> Self {
        Self {
            user_key: user_key.map(str::to_owned),
            ..Self::default()
        }
    }

    pub(super) fn username(&self) -> Option<&str> {
        self.name.as_ref().map(|(_, name)| name.as_str())
    }

    pub(super) fn user_type(&self) -> Option<&str> {
        self.user_type.as_deref()
    }

    /// App, hour since 1970 and counts, in order.
    pub(super) fn hours(&self) -> impl Iterator<Item = (&App, i64, &Hour)> {
        self.apps.iter().flat_map(|(app, of_app)| {
            let hours = of_app.hours.iter();
            hours.map(move |(hour, counts)| (app, *hour, counts))
        })
    }

    /// App, kind, value and when, in order.
    pub(super) fn sightings(&self) -> impl Iterator<Item = (&App, &'static str, &str, Seen)> {
        self.apps.iter().flat_map(|(app, of_app)| {
            of_app.kinds.iter().flat_map(move |(kind, values)| {
                let kept = values.kept.iter();
                kept.map(|(value, seen)| (value.as_str(), *seen))
                    .chain(values.others.map(|seen| (OTHERS, seen)))
                    .map(move |(value, seen)| (app, *kind, value, seen))
            })
        })
    }

    pub(super) fn add(&mut self, row: &Row<'_>) {
        if self.user_id.as_deref() < row.user_id {
            self.user_id = row.user_id.map(str::to_owned);
        }
        if let Some(name) = row.username {
            let told = (row.seen.last_ms, name.to_owned());
            self.name = self.name.take().max(Some(told));
        }
        self.learn_type(row.user_type);
        let app = App::of(row);
        let app_key = app.id.clone().or_else(|| app.name.clone());
        let objects: Vec<String> = row.objects.map(split_objects).unwrap_or_default();
        // What nobody did is nobody's habit.
        let is_sighting = row.source.is_some() && self.user_key.is_some();
        let of_app = self.apps.entry(app).or_default();
        if let Some(kind) = SHAPES.into_iter().find(|kind| row.source == Some(kind)) {
            if let Some(shape) = row.path.filter(|_| is_sighting) {
                of_app.show(kind, shape.to_owned(), row.seen);
            }
            return;
        }
        of_app.count(row, &objects);
        if is_sighting {
            of_app.sight(app_key, row, objects);
        }
    }

    /// A guest's or the platform's own type says more than a person's.
    fn learn_type(&mut self, user_type: Option<&str>) {
        let rank = |told: &str| (user_kind(told) == UserKind::Human, told.to_owned());
        let better = match (user_type, self.user_type.as_deref()) {
            (Some(told), Some(known)) => rank(told) < rank(known),
            (told, known) => told.is_some() && known.is_none(),
        };
        if better {
            self.user_type = user_type.map(str::to_owned);
        }
    }
}

impl OfApp {
    fn count(&mut self, row: &Row<'_>, objects: &[String]) {
        let hour = self.hours.entry(row.hour).or_insert_with(|| Hour {
            counts: [0; ACTIVITY_COUNTS.len()],
            last_ms: i64::MIN,
            networks: HashSet::new(),
            objects: HashSet::new(),
        });
        for (sum, count) in hour.counts.iter_mut().zip(row.counts) {
            *sum = sum.saturating_add(count);
        }
        hour.last_ms = hour.last_ms.max(row.seen.last_ms);
        hour.networks
            .extend(row.network.map(|network| xxh3_64(network.as_bytes())));
        hour.objects
            .extend(objects.iter().map(|object| xxh3_64(object.as_bytes())));
    }

    fn sight(&mut self, app_key: Option<String>, row: &Row<'_>, objects: Vec<String>) {
        let mut shown: Vec<(&'static str, String)> = vec![(
            "hour",
            (row.hour + HOURS_BEFORE_EPOCH)
                .rem_euclid(HOURS_PER_WEEK)
                .to_string(),
        )];
        shown.extend(app_key.map(|app| ("app", app)));
        shown.extend(row.source.map(|source| ("source", source.to_owned())));
        shown.extend(row.network.map(|network| ("network", network.to_owned())));
        shown.extend(row.country.and_then(country).map(|c| ("country", c)));
        if let Some(agent) = row.agent {
            let family = ua_family(Some(agent));
            if !matches!(family, "missing" | "code") {
                shown.push(("client", family.to_owned()));
                shown.push(("user_agent", printable(agent.trim(), MAX_AGENT_CHARS)));
            }
        }
        if let Some(name) = row.client.map(str::trim).filter(|name| is_told(name)) {
            shown.push((
                "client",
                format!("name:{}", printable(name, MAX_NAME_CHARS)),
            ));
        }
        let version = row
            .api_version
            .or_else(|| row.path.and_then(version_in_path));
        shown.extend(version.and_then(api_version).map(|v| ("api_version", v)));
        if row.source == Some("login") {
            shown.extend(row.path.map(|path| ("login_path", path.to_owned())));
        } else {
            shown.push(("event_type", row.event_type.to_owned()));
        }
        if let Some(operation) = row.operation.map(str::trim).filter(|o| is_told(o)) {
            let operation = printable(&operation.to_lowercase(), MAX_NAME_CHARS);
            shown.push(("bulk_operation", operation));
        }
        shown.extend(objects.into_iter().map(|object| ("object", object)));
        for (kind, value) in shown {
            self.show(kind, value, row.seen);
        }
    }

    fn show(&mut self, kind: &'static str, value: String, seen: Seen) {
        self.kinds.entry(kind).or_default().add(value, seen);
    }
}

pub(super) fn ms_of_hour(hour: i64) -> i64 {
    hour.saturating_mul(MS_PER_HOUR)
}

fn is_told(text: &str) -> bool {
    !text.is_empty() && !text.eq_ignore_ascii_case("n/a")
}

/// The objects of a cell that may name several, each once.
fn split_objects(cell: &str) -> Vec<String> {
    let mut objects: Vec<String> = cell
        .split([';', ','])
        .map(str::trim)
        .filter(|name| is_told(name))
        .map(|name| printable(&name.to_lowercase(), MAX_NAME_CHARS))
        .collect();
    objects.sort();
    objects.dedup();
    objects
}

/// A code in capitals, `UK` as `GB`; a name as it is written.
fn country(cell: &str) -> Option<String> {
    let cell = cell.trim();
    if !is_told(cell) {
        return None;
    }
    if cell.len() != 2 {
        return Some(printable(cell, MAX_NAME_CHARS));
    }
    let code = cell.to_uppercase();
    Some(if code == "UK" { "GB".to_owned() } else { code })
}

/// `v64.0` of `/services/data/v64.0/query`.
fn version_in_path(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/data/v")?;
    rest.split('/').next()
}

/// `64.0` of `64`, `64.0`, `v64.0`; none of what is no version (9998 stands for none).
fn api_version(text: &str) -> Option<String> {
    const LAST: f64 = 999.0;
    let number: f64 = text.trim().trim_start_matches(['v', 'V']).parse().ok()?;
    (number > 0.0 && number <= LAST).then(|| format!("{number:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_as_people_mean_them() {
        assert_eq!(
            split_objects("Account; Contact,account"),
            ["account", "contact"]
        );
        assert_eq!(country(" uk ").as_deref(), Some("GB"));
        assert_eq!(country("Germany").as_deref(), Some("Germany"));
        assert_eq!(country("N/A"), None);
        let version = |path| version_in_path(path).and_then(api_version);
        assert_eq!(
            version("/services/data/v64.0/query").as_deref(),
            Some("64.0")
        );
        assert_eq!(version("/services/data/"), None);
        assert_eq!(api_version("9998.0"), None);
        assert_eq!(api_version("NaN"), None);
        assert_eq!(api_version("64").as_deref(), Some("64.0"));
    }

    #[test]
    fn a_flood_of_values_keeps_the_same_ones_in_any_order() {
        let seen = Seen {
            first_ms: 1,
            last_ms: 2,
            events: 1,
        };
        let total = MAX_VALUES + 100;
        let mut results = vec![];
        for reversed in [false, true] {
            let mut values = Values::default();
            let mut order: Vec<usize> = (0..total).collect();
            if reversed {
                order.reverse();
            }
            // Each twice: one that had to go comes again.
            for n in order.iter().chain(&order) {
                values.add(format!("{n:06}"), seen);
            }
            let kept: Vec<(String, i64)> = values
                .kept
                .iter()
                .map(|(v, s)| (v.clone(), s.events))
                .collect();
            assert_eq!(kept.len(), MAX_VALUES);
            assert_eq!(values.others.unwrap().events, 200);
            results.push(kept);
        }
        assert_eq!(results[0], results[1]);
        assert!(results[0].iter().all(|(_, events)| *events == 2));
    }
}
