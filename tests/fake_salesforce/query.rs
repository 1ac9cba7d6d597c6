//! The data API's queries: pages, locators, the Tooling API's profiles, descriptions, limits.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::answer::{Answer, api_error};
use super::check;
use super::evaluate::{self, Found};
use super::journal::Breach;
use super::objects::{Kind, Sight};
use super::quirks::NextUrl;
use super::request::Request;
use super::soql::{self, Item, Literal, Query, Test};
use super::state::{Cursor, State, User};

/// `GET …/query?q=`.
pub fn query(state: &mut State, user: usize, request: &Request, version: u32) -> Answer {
    let Some(text) = request.query_value("q") else {
        return api_error(400, "MALFORMED_QUERY", "SOQL query is missing");
    };
    let query = match parsed(state, text) {
        Ok(query) => query,
        Err(answer) => return answer,
    };
    note_secrets(state, &query);
    let (records, total) = match evaluate::run(state, &state.users[user], text, &query, version) {
        Ok(Found { records, total }) => (records, total),
        Err(answer) => return answer,
    };
    if records.is_empty() {
        return Answer::json(
            200,
            &json!({"totalSize": total, "done": true, "records": []}),
        );
    }
    let locator = state.new_id("0r8");
    let user_id = state.users[user].id.clone();
    let total = usize::try_from(total as i64 + state.quirks.total_off).unwrap_or(0);
    let cursor = Cursor {
        locator: locator.clone(),
        user_id: user_id.clone(),
        records: Arc::new(records),
        total,
        cap: match query.object.eq_ignore_ascii_case("OauthToken") {
            true => 500,
            false => usize::MAX,
        },
        created: state.now(),
    };
    let own = |cursor: &&Cursor| cursor.user_id == user_id;
    if state.cursors.iter().filter(own).count() >= 10 {
        let oldest = state
            .cursors
            .iter()
            .position(|cursor| cursor.user_id == user_id);
        oldest.and_then(|place| state.cursors.remove(place));
    }
    state.cursors.push_back(cursor);
    page(state, &locator, 0, page_size(state, request), version)
}

/// `GET …/query/{locator}`.
pub fn more(
    state: &mut State,
    user: usize,
    request: &Request,
    locator: &str,
    version: u32,
) -> Answer {
    let invalid = || api_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let now = state.now();
    let user_id = &state.users[user].id;
    let Some((locator, offset)) = locator.rsplit_once('-') else {
        return invalid();
    };
    let mut cursors = state.cursors.iter();
    let found = cursors.find(|cursor| {
        cursor.locator == locator
            && cursor.user_id == *user_id
            && now < cursor.created + TimeDelta::days(2)
    });
    match (found, offset.parse::<usize>()) {
        (Some(cursor), Ok(offset)) if offset <= cursor.records.len() => {
            page(state, locator, offset, page_size(state, request), version)
        }
        _ => invalid(),
    }
}

fn parsed(state: &State, text: &str) -> Result<Query, Answer> {
    soql::parse(text, state.quirks.lenient_zone).map_err(|fault| {
        let message = check::at(text, fault.place, &fault.message);
        api_error(400, "MALFORMED_QUERY", &message)
    })
}

fn note_secrets(state: &mut State, query: &Query) {
    for item in &query.select {
        let Item::Field(name) = item else { continue };
        let secret = ["accesstoken", "deletetoken", "requesttoken"];
        if secret.contains(&name.text.to_ascii_lowercase().as_str()) {
            state
                .journal
                .breaches
                .push(Breach::SecretColumn(name.text.clone()));
        }
    }
}

/// Rows on a page: what is asked for by `Sforce-Query-Options`, and the org's own cap.
fn page_size(state: &State, request: &Request) -> usize {
    let options = request.header("sforce-query-options").unwrap_or_default();
    let asked = options
        .split(',')
        .find_map(|option| option.trim().strip_prefix("batchSize="))
        .and_then(|size| size.parse::<usize>().ok());
    let size = asked.unwrap_or(2000).clamp(200, 2000);
    state
        .quirks
        .page_cap
        .map_or(size, |cap| size.min(cap.max(1)))
}

fn page(state: &mut State, locator: &str, offset: usize, size: usize, version: u32) -> Answer {
    let cursors = state.cursors.iter();
    let cursor = cursors.rev().find(|cursor| cursor.locator == locator);
    let Some(cursor) = cursor else {
        return api_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    };
    let (records, total) = (Arc::clone(&cursor.records), cursor.total);
    let size = size.min(cursor.cap);
    let size = match state.quirks.ragged_pages {
        true => 1 + (offset * 7 + 3) % size,
        false => size,
    };
    // An empty first page is told from the second by its locator.
    let first = offset == 0 && !locator_seen(state, locator);
    let size = if state.quirks.empty_first_page && first {
        0
    } else {
        size
    };
    let end = records.len().min(offset + size);
    let done = end == records.len();
    let mut body = json!({"totalSize": total, "done": done});
    let next = format!("/services/data/v{version}.0/query/{locator}-{end}");
    let next = match (&state.quirks.next_url, done) {
        (NextUrl::Right, false) => Some(next),
        (NextUrl::AfterTheEnd, _) => Some(next),
        (NextUrl::Repeated, _) => {
            body["done"] = json!(false);
            Some(format!("/services/data/v{version}.0/query/{locator}-0"))
        }
        (NextUrl::Foreign(host), false) => Some(format!("{host}{next}")),
        (NextUrl::Missing, _) => {
            body["done"] = json!(false);
            None
        }
        _ => None,
    };
    if let Some(next) = next {
        body["nextRecordsUrl"] = json!(next);
    }
    body["records"] = Value::Array(records[offset.min(end)..end].to_vec());
    Answer::json(200, &body)
}

fn locator_seen(state: &State, locator: &str) -> bool {
    let mut entries = state.journal.entries.iter();
    entries.any(|entry| entry.path.contains(locator))
}

/// `GET …/tooling/query?q=`: profiles with their metadata, one at a time.
pub fn tooling(state: &mut State, user: usize, request: &Request, version: u32) -> Answer {
    let text = request.query_value("q").unwrap_or_default();
    let mut query = match parsed(state, text) {
        Ok(query) => query,
        Err(answer) => return answer,
    };
    if !query.object.eq_ignore_ascii_case("Profile") {
        return api_error(
            400,
            "INVALID_TYPE",
            &format!("sObject type '{}' is not supported.", query.object),
        );
    }
    let whole = ["metadata", "fullname"];
    let before = query.select.len();
    query.select.retain(|item| match item {
        Item::Field(name) => !whole.contains(&name.text.to_ascii_lowercase().as_str()),
        _ => true,
    });
    let with_metadata = query.select.len() < before;
    if !query
        .select
        .iter()
        .any(|item| matches!(item, Item::Field(name) if name.text.eq_ignore_ascii_case("Id")))
    {
        let name = soql::Name {
            text: "Id".to_owned(),
            place: 0,
        };
        query.select.push(Item::Field(name));
    }
    let found = match evaluate::run(state, &state.users[user], text, &query, version) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let mut records = found.records;
    if with_metadata {
        if records.len() > 1 || !names_one(query.filter.as_ref()) {
            let message = "When retrieving results with Metadata or FullName fields, the query \
                           qualifications must specify no more than one row for retrieval.";
            return api_error(400, "MALFORMED_QUERY", message);
        }
        for record in &mut records {
            let id = record["Id"].as_str().unwrap_or_default();
            let ranges = state.login_ip_ranges.get(id).cloned().unwrap_or_default();
            let ranges: Vec<Value> = ranges
                .into_iter()
                .map(|(start, end, description)| {
                    json!({"startAddress": start, "endAddress": end, "description": description})
                })
                .collect();
            record["FullName"] = record.get("Name").cloned().unwrap_or_default();
            record["Metadata"] = match (ranges.is_empty(), state.quirks.null_ranges) {
                (true, true) => json!({"custom": true, "loginIpRanges": null}),
                (true, false) => json!({"custom": true, "loginIpRanges": []}),
                (false, _) => json!({"custom": true, "loginIpRanges": ranges}),
            };
        }
    }
    let total = records.len();
    Answer::json(
        200,
        &json!({"size": total, "totalSize": total, "done": true, "queryLocator": null, "entityTypeName": "Profile", "records": records}),
    )
}

fn names_one(filter: Option<&Test>) -> bool {
    match filter {
        Some(Test::Compare(name, soql::Comparison::Equal, Literal::Text(_))) => {
            ["id", "name", "fullname"].contains(&name.text.to_ascii_lowercase().as_str())
        }
        Some(Test::All(tests)) => tests.iter().any(|test| names_one(Some(test))),
        _ => false,
    }
}

/// `GET …/sobjects/{name}/describe`.
pub fn describe(state: &State, user: &User, name: &str) -> Answer {
    let object = state.objects.get(name);
    let Some(object) = object.filter(|object| object.sight(user) != Sight::Nothing) else {
        return api_error(404, "NOT_FOUND", "The requested resource does not exist");
    };
    let own = object
        .fields
        .iter()
        .filter(|field| !field.name.contains('.'));
    let fields: Vec<Value> = own
        .map(|field| {
            let kind = match field.kind {
                Kind::Id if field.name == "Id" => "id",
                Kind::Id => "reference",
                Kind::Text => "string",
                Kind::Boolean => "boolean",
                Kind::Number => "double",
                Kind::Time => "datetime",
            };
            json!({
                "name": field.name,
                "type": kind,
                "filterable": field.filterable,
                "sortable": true,
                "nillable": field.name != "Id",
            })
        })
        .collect();
    Answer::json(
        200,
        &json!({"name": object.name, "queryable": true, "fields": fields}),
    )
}

/// `GET …/limits`.
pub fn limits(state: &State, user: &User) -> Answer {
    if !user.may("ViewSetup") {
        return api_error(403, "INSUFFICIENT_ACCESS", "insufficient access rights");
    }
    let (used, allowed) = (state.org.api_usage, state.org.api_limit);
    let body =
        json!({"DailyApiRequests": {"Max": allowed, "Remaining": allowed.saturating_sub(used)}});
    Answer::json(200, &body)
}

/// `GET /services/data/`.
pub fn versions(state: &State) -> Answer {
    let versions = state.org.versions.clone().map(|version| {
        let season = ["Spring", "Summer", "Winter"][(version as usize + 1) % 3];
        let year = 4 + (version + 1) / 3;
        json!({
            "label": format!("{season} '{year:02}"),
            "url": format!("/services/data/v{version}.0"),
            "version": format!("{version}.0"),
        })
    });
    Answer::json(200, &Value::Array(versions.collect()))
}
