//! The sample org as its own Salesforce: what `sample-data/logs` holds is what this org hands out,
//! each file from the night on in which it would have been made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use super::clock::rest_time;
use super::ids;
use super::log_files::Blob;
use super::objects::Kind;
use super::scenario::Scenario;
use super::state::{Row, State};

/// Whom the sample org has for this work.
pub const LOG_READER: &str = "log.reader@example.com";

impl Scenario {
    /// The org of this `sample-data` folder on the night of 31 January 2026, or, with the clock set
    /// back, on any night before.
    pub fn sample(folder: &Path) -> Self {
        let mut scenario = Self::empty();
        let state = &mut scenario.state;
        // An org may keep its log files for up to a year; this one does, so that the whole sample
        // is there.
        state.org.retention = TimeDelta::days(365);
        let organization = json!({
            "Id": state.org.id,
            "Name": "Acme Example Org",
            "IsSandbox": false,
            "InstanceName": "EU99",
            "OrganizationType": "Enterprise Edition",
        });
        state.add_rows("Organization", [organization]);
        let logs = folder.join("logs");
        add_roster(state, &logs.join("roster"));
        be_log_reader(state);
        add_log_files(state, &logs.join("eventlogfile"));
        add_login_history(state, &logs.join("loginhistory"));
        scenario
    }
}

/// The integration gets the id and profile that the roster knows.
fn be_log_reader(state: &mut State) {
    let users = state.rows.get("User").into_iter().flatten();
    let mut users = users.map(|row| &row.fields);
    let row = users
        .find(|row| row["Username"] == LOG_READER)
        .expect("the sample's reader");
    let (id, profile) = (text(row, "Id"), text(row, "ProfileId"));
    let user = state.integration();
    LOG_READER.clone_into(&mut user.username);
    user.id = id;
    user.profile_id = profile;
    let app = state.app();
    app.approved = BTreeSet::from([LOG_READER.to_owned()]);
    app.run_as = Some(LOG_READER.to_owned());
}

fn text(row: &Map<String, Value>, key: &str) -> String {
    row.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Files of a folder in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Name without extensions, and inflated content.
fn read(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(path).expect("a file of the sample");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    if name.ends_with(".gz") {
        let mut plain = Vec::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut plain)
            .expect("a gzip file");
        return vec![(stem(&name), plain)];
    }
    if !name.ends_with(".zip") {
        return vec![(stem(&name), bytes)];
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip file");
    let members = (0..archive.len()).map(|number| {
        let mut member = archive.by_index(number).expect("a member");
        let mut plain = Vec::new();
        member.read_to_end(&mut plain).expect("a whole member");
        (stem(&member.name().expect("a name")), plain)
    });
    members.collect()
}

fn add_log_files(state: &mut State, folder: &Path) {
    let mut ids = BTreeMap::new();
    for path in files(folder) {
        for (name, content) in read(&path) {
            add_daily(state, &mut ids, &name, content);
        }
    }
    for path in files(&folder.join("hourly")) {
        for (name, content) in read(&path) {
            let (event_type, rest) = name.split_once('_').expect("a type and a time");
            let day = midnight(&rest[..10]);
            match rest.get(11..13).and_then(|hour| hour.parse::<i64>().ok()) {
                Some(hour) => add_hourly(state, event_type, day, hour, content),
                // Somebody joined the hours of a day; the org has them one by one.
                None => {
                    for (hour, content) in hours(&content) {
                        add_hourly(state, event_type, day, hour, content);
                    }
                }
            }
        }
    }
}

/// `API_2026-01-10`, `Login_2026-01-07_reissued`: made in the night after its day.
fn add_daily(state: &mut State, ids: &mut BTreeMap<String, String>, name: &str, content: Vec<u8>) {
    let (event_type, rest) = name.split_once('_').expect("a type and a day");
    let day = midnight(&rest[..10]);
    // Not all in the same minute, and some in the same second.
    let minutes = 40 + event_type.len() as i64 % 5;
    let created = day + TimeDelta::days(1) + TimeDelta::minutes(minutes);
    let slot = format!("{event_type}_{}", &rest[..10]);
    match ids.get(&slot) {
        Some(id) => state.reissue(id, created + TimeDelta::days(1), Blob::bytes(content)),
        None => {
            let id = state.add_log_file(event_type, day, 0, created, Blob::bytes(content));
            ids.insert(slot, id);
        }
    }
}

fn add_hourly(
    state: &mut State,
    event_type: &str,
    day: DateTime<Utc>,
    hour: i64,
    content: Vec<u8>,
) {
    let start = day + TimeDelta::hours(hour);
    let created = start + TimeDelta::hours(4) + TimeDelta::minutes(5);
    state.add_log_file(event_type, start, 1, created, Blob::bytes(content));
}

/// Parts that each begin with the header, by the hour of their first row.
fn hours(content: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let text = String::from_utf8_lossy(content);
    let header = text
        .split_inclusive('\n')
        .next()
        .unwrap_or_default()
        .to_owned();
    let parts = text.split(header.as_str()).filter(|part| !part.is_empty());
    let with_hour = parts.map(|part| {
        let time = part.split("\",\"").nth(1).unwrap_or_default();
        let hour = time
            .get(8..10)
            .and_then(|hour| hour.parse().ok())
            .expect("a time");
        (hour, format!("{header}{part}").into_bytes())
    });
    with_hour.collect()
}

fn midnight(date: &str) -> DateTime<Utc> {
    let date: NaiveDate = date.parse().expect("a date");
    date.and_time(NaiveTime::MIN).and_utc()
}

fn records(content: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(content);
    let rows = reader.deserialize::<BTreeMap<String, String>>();
    rows.collect::<Result<_, _>>()
        .expect("a CSV file of the sample")
}

/// A row with the types that the object has; None of a column that SOQL does not know.
fn typed(state: &State, object: &str, record: &BTreeMap<String, String>) -> Map<String, Value> {
    let object = state.objects.get(object).expect("an object of the sample");
    let cells = record.iter().filter_map(|(column, cell)| {
        let field = object.field(column)?;
        let value = match field.kind {
            _ if cell.is_empty() => Value::Null,
            Kind::Boolean => json!(cell == "true"),
            Kind::Number => json!(cell.parse::<f64>().ok()),
            Kind::Id | Kind::Text | Kind::Time => json!(cell),
        };
        Some((field.name.clone(), value))
    });
    cells.collect()
}

/// Exports may leave the row's own id out; the org has one.
fn with_id(mut row: Map<String, Value>) -> Map<String, Value> {
    if !row.contains_key("Id") {
        let assignee = text(&row, "AssigneeId");
        let id = ids::long(&format!("2LA{}", assignee.get(3..15).unwrap_or_default()));
        row.insert("Id".to_owned(), json!(id));
    }
    row
}

/// Each snapshot is what the org says from the noon of its day on; the first was always so.
fn add_roster(state: &mut State, folder: &Path) {
    let mut held: BTreeSet<String> = BTreeSet::new();
    for path in files(folder) {
        let stem = read(&path).swap_remove(0).0;
        let (object, day) = stem.split_once('_').expect("an object and a day");
        let noon = midnight(day) + TimeDelta::hours(12);
        let content = fs::read(&path).expect("a roster file");
        match object {
            "LoginIpRange" => {
                add_ranges(state, &content);
                continue;
            }
            "SetupAuditTrail" => {
                add_once(state, object, "CreatedDate", &records(&content));
                continue;
            }
            _ => {}
        }
        let rows: Vec<Map<String, Value>> = match object {
            "OauthToken" => tokens(&content),
            _ => {
                let records = records(&content);
                keep_permissions(state, object, &records);
                records
                    .iter()
                    .map(|record| with_id(typed(state, object, record)))
                    .collect()
            }
        };
        let first = held.insert(object.to_owned());
        let all = state.rows.entry(object.to_owned()).or_default();
        if !first {
            for row in all.iter_mut().filter(|row| row.until.is_none()) {
                row.until = Some(noon);
            }
        }
        all.extend(rows.into_iter().map(|fields| Row {
            from: (!first).then_some(noon),
            until: None,
            fields,
        }));
    }
}

/// Its edition has the permissions that its export has.
fn keep_permissions(state: &mut State, object: &str, records: &[BTreeMap<String, String>]) {
    let Some(first) = records
        .first()
        .filter(|_| ["Profile", "PermissionSet"].contains(&object))
    else {
        return;
    };
    if let Some(object) = state.objects.0.get_mut(object) {
        let is_other = |name: &str| !name.starts_with("Permissions") || name.contains('.');
        object
            .fields
            .retain(|field| is_other(&field.name) || first.contains_key(&field.name));
    }
}

fn tokens(content: &[u8]) -> Vec<Map<String, Value>> {
    let answer: Value = serde_json::from_slice(content).expect("an answer of `sf`");
    let records = answer["result"]["records"].as_array().expect("records");
    let rows = records.iter().filter_map(Value::as_object).map(|record| {
        let mut row = record.clone();
        row.remove("attributes");
        for secret in ["AccessToken", "DeleteToken", "RequestToken"] {
            row.insert(secret.to_owned(), json!(format!("LEAK-CANARY-{secret}")));
        }
        row
    });
    rows.collect()
}

fn add_ranges(state: &mut State, content: &[u8]) {
    let mut ranges: BTreeMap<String, Vec<(String, String, String)>> = BTreeMap::new();
    for record in records(content) {
        let cell = |column: &str| record.get(column).cloned().unwrap_or_default();
        let range = (cell("StartAddress"), cell("EndAddress"), String::new());
        let of_profile = ranges.entry(cell("ProfileId")).or_default();
        // A profile without a range stands there without addresses.
        if !range.0.is_empty() {
            of_profile.push(range);
        }
    }
    // The newer file comes last.
    state.login_ip_ranges = ranges;
}

/// Rows that are there from their own time on, each id once.
fn add_once(state: &mut State, object: &str, time: &str, records: &[BTreeMap<String, String>]) {
    for record in records {
        let fields = typed(state, object, record);
        let from = fields.get(time).and_then(super::evaluate::time_of);
        let all = state.rows.entry(object.to_owned()).or_default();
        if !all.iter().any(|row| row.fields["Id"] == fields["Id"]) {
            all.push(Row {
                from,
                until: None,
                fields,
            });
        }
    }
}

fn add_login_history(state: &mut State, folder: &Path) {
    let mut covered: Vec<(String, String)> = Vec::new();
    let mut pages = Vec::new();
    let mut rows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for path in files(folder) {
        for (name, content) in read(&path) {
            let exported = records(&content);
            if name.ends_with("setup_page") {
                pages = exported;
                continue;
            }
            let times = exported.iter().map(|record| record["LoginTime"].clone());
            covered.extend(times.clone().min().zip(times.max()));
            rows.extend(
                exported
                    .into_iter()
                    .map(|record| (record["Id"].clone(), record)),
            );
        }
    }
    let ids: BTreeMap<String, String> = state
        .visible_rows("User")
        .map(|row| (text(&row.fields, "Username"), text(&row.fields, "Id")))
        .collect();
    for page in pages {
        let record = from_setup_page(&page, &ids, rows.len());
        let time = &record["LoginTime"];
        if !covered
            .iter()
            .any(|(first, last)| first <= time && time <= last)
        {
            rows.insert(record["Id"].clone(), record);
        }
    }
    for record in rows.into_values() {
        let fields = typed(state, "LoginHistory", &record);
        let from = fields.get("LoginTime").and_then(super::evaluate::time_of);
        let row = Row {
            from,
            until: None,
            fields,
        };
        state
            .rows
            .entry("LoginHistory".to_owned())
            .or_default()
            .push(row);
    }
}

/// A row as SOQL has it, of one of the Setup page's download in Los Angeles.
fn from_setup_page(
    page: &BTreeMap<String, String>,
    ids: &BTreeMap<String, String>,
    number: usize,
) -> BTreeMap<String, String> {
    let cell = |column: &str| page.get(column).cloned().unwrap_or_default();
    let local = cell("Login Time");
    let local = local.trim_end_matches(" PST");
    let local = NaiveDateTime::parse_from_str(local, "%m/%d/%Y, %I:%M:%S %p").expect("a time");
    let zone = chrono_tz::America::Los_Angeles;
    let time = zone
        .from_local_datetime(&local)
        .single()
        .expect("a time of winter");
    let flow = match cell("Login Subtype").as_str() {
        "OAuth Client Credentials" => "OauthClientCredentials",
        "OAuth Refresh Token" => "OauthRefreshToken",
        "OAuth Web Server" => "OauthWebServer",
        "UI Username-Password" => "UsernamePasswordUiLogin",
        _ => "",
    };
    let pairs = [
        ("Id", ids::id("0Ya", 900_000 + number as u64)),
        (
            "UserId",
            ids.get(&cell("Username")).cloned().unwrap_or_default(),
        ),
        ("LoginTime", rest_time(time.to_utc())),
        ("LoginType", cell("Login Type")),
        ("LoginSubType", flow.to_owned()),
        ("SourceIp", cell("Source IP")),
        ("LoginUrl", cell("Login URL")),
        ("TlsProtocol", cell("TLS Protocol")),
        ("CipherSuite", cell("TLS Cipher Suite")),
        ("Browser", cell("Browser")),
        ("Platform", cell("Platform")),
        ("Status", cell("Status")),
        ("Application", cell("Application")),
        ("ClientVersion", cell("Client Version")),
        ("ApiType", cell("API Type")),
        ("ApiVersion", cell("API Version")),
        ("CountryIso", "US".to_owned()),
    ];
    pairs.map(|(column, cell)| (column.to_owned(), cell)).into()
}
