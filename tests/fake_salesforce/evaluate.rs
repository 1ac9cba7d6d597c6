//! A query's answer from the org's rows.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, Days, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::answer::{Answer, api_error};
use super::check::Checked;
use super::clock::rest_time;
use super::ids;
use super::objects::{Kind, Object, Sight};
use super::soql::{Comparison, Item, Literal, Name, Query, Test};
use super::state::{Row, State, User};

/// What a query finds, before it is divided into pages.
pub struct Found {
    pub records: Vec<Value>,
    pub total: usize,
}

/// The answer to a query that was understood.
pub fn run(
    state: &State,
    user: &User,
    text: &str,
    query: &Query,
    version: u32,
) -> Result<Found, Answer> {
    let unsupported = || {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be \
             sure to append the '__c' after the entity name. Please reference your WSDL or the \
             describe call for the appropriate names.",
            query.object
        );
        api_error(400, "INVALID_TYPE", &message)
    };
    let object = state.objects.get(&query.object).ok_or_else(unsupported)?;
    let sight = object.sight(user);
    if sight == Sight::Nothing {
        return Err(unsupported());
    }
    let checked = Checked { object, text };
    let fields = checked.fields(query)?;
    checked.filter(query)?;
    let named = query.filter.as_ref().is_some_and(names_interval);
    let daily_only = object.name == "EventLogFile" && !named;
    let now = state.now();
    if is_slow(state, query, now) {
        let message = "Your query request was running for too long.";
        return Err(api_error(400, "QUERY_TIMEOUT", message));
    }
    let rows = match object.name.as_str() {
        "EventLogFile" => log_file_rows(state, version),
        name => state.visible_rows(name).map(Cow::Borrowed).collect(),
    };
    let mut rows: Vec<Cow<'_, Row>> = rows
        .into_iter()
        .filter(|row| match sight {
            Sight::Own(field) => text_of(row, field).is_some_and(|id| ids::same(id, &user.id)),
            _ => true,
        })
        .filter(|row| !daily_only || text_of(row, "Interval") == Some("Daily"))
        .filter(|row| {
            query
                .filter
                .as_ref()
                .is_none_or(|test| holds(object, row, test, now))
        })
        .collect();
    for order in query.order.iter().rev() {
        let field = object
            .field(&order.field.text)
            .map_or("", |field| field.name.as_str());
        rows.sort_by(|one, other| {
            let (one, other) = (one.fields.get(field), other.fields.get(field));
            let empty = |value: Option<&Value>| value.is_none_or(Value::is_null);
            match (empty(one), empty(other)) {
                (true, true) => Ordering::Equal,
                (true, false) if order.nulls_last => Ordering::Greater,
                (true, false) => Ordering::Less,
                (false, true) if order.nulls_last => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => {
                    let straight =
                        order_of(one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null));
                    if order.descending {
                        straight.reverse()
                    } else {
                        straight
                    }
                }
            }
        });
    }
    let all = rows.len();
    let rows: Vec<Cow<'_, Row>> = rows.into_iter().skip(query.offset).collect();
    if query.select == [Item::Count] {
        return Ok(Found {
            records: Vec::new(),
            total: all,
        });
    }
    if query.group.is_some()
        || query
            .select
            .iter()
            .any(|item| matches!(item, Item::CountOf(_)))
    {
        return Ok(groups(object, query, &rows));
    }
    let limit = query.limit.unwrap_or(usize::MAX);
    // The org stops there, and says that this was all.
    let limit = if object.name == "OauthToken" {
        limit.min(2500)
    } else {
        limit
    };
    let records: Vec<Value> = rows
        .iter()
        .take(limit)
        .map(|row| record(state, object, row, &fields, version))
        .collect();
    Ok(Found {
        total: records.len(),
        records,
    })
}

/// Whether a predicate lifts the rule that only daily log files are found.
fn names_interval(test: &Test) -> bool {
    match test {
        Test::All(tests) | Test::Any(tests) => tests.iter().any(names_interval),
        Test::Not(test) => names_interval(test),
        Test::Compare(name, ..) | Test::In(name, ..) => {
            let name = name.text.to_ascii_lowercase();
            ["interval", "sequence", "id"].contains(&name.as_str())
        }
    }
}

/// A query over a longer window than the org's patience.
fn is_slow(state: &State, query: &Query, now: DateTime<Utc>) -> bool {
    if !state
        .quirks
        .slow
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&query.object))
    {
        return false;
    }
    let (mut from, mut to) = (DateTime::UNIX_EPOCH, now);
    let mut look = |test: &Test| {
        if let Test::Compare(_, comparison, Literal::Time(time)) = test {
            match comparison {
                Comparison::More | Comparison::MoreOrEqual => from = *time,
                Comparison::Less | Comparison::LessOrEqual => to = *time,
                _ => {}
            }
        }
    };
    match &query.filter {
        Some(Test::All(tests)) => tests.iter().for_each(&mut look),
        Some(test) => look(test),
        None => {}
    }
    to - from > TimeDelta::minutes(state.quirks.slow_minutes)
}

fn text_of<'a>(row: &'a Row, field: &str) -> Option<&'a str> {
    row.fields.get(field).and_then(Value::as_str)
}

fn holds(object: &Object, row: &Row, test: &Test, now: DateTime<Utc>) -> bool {
    match test {
        Test::All(tests) => tests.iter().all(|test| holds(object, row, test, now)),
        Test::Any(tests) => tests.iter().any(|test| holds(object, row, test, now)),
        Test::Not(test) => !holds(object, row, test, now),
        Test::Compare(name, comparison, literal) => {
            compare(object, row, name, *comparison, literal, now)
        }
        Test::In(name, literals, negated) => {
            let equal = |literal| compare(object, row, name, Comparison::Equal, literal, now);
            literals.iter().any(equal) != *negated
        }
    }
}

fn compare(
    object: &Object,
    row: &Row,
    name: &Name,
    comparison: Comparison,
    literal: &Literal,
    now: DateTime<Utc>,
) -> bool {
    let Some(field) = object.field(&name.text) else {
        return false;
    };
    let value = row.fields.get(&field.name).unwrap_or(&Value::Null);
    if value.is_null() || *literal == Literal::Null {
        let both = value.is_null() && *literal == Literal::Null;
        return match comparison {
            Comparison::Equal => both,
            Comparison::Different => !both,
            _ => false,
        };
    }
    // A day is a span: equal is inside, more is after its end.
    let day = |start: DateTime<Utc>, end: DateTime<Utc>| {
        time_of(value).map(|time| match comparison {
            Comparison::Equal => start <= time && time < end,
            Comparison::Different => time < start || end <= time,
            Comparison::Less => time < start,
            Comparison::LessOrEqual => time < end,
            Comparison::More => time >= end,
            Comparison::MoreOrEqual => time >= start,
            Comparison::Like => false,
        })
    };
    let midnight = |date: chrono::NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
    let today = now.date_naive();
    let days = |from: chrono::NaiveDate, to: chrono::NaiveDate| day(midnight(from), midnight(to));
    let span = match literal {
        Literal::Today => days(today, today + Days::new(1)),
        Literal::Yesterday => days(today - Days::new(1), today),
        Literal::LastDays(count) => {
            let count = u64::try_from(*count).unwrap_or(0);
            days(today - Days::new(count), today + Days::new(1))
        }
        _ => None,
    };
    if let Some(holds) = span {
        return holds;
    }
    let ordering = match (literal, value) {
        (Literal::Text(wanted), Value::String(text)) if comparison == Comparison::Like => {
            return like(&text.to_lowercase(), &wanted.to_lowercase());
        }
        (Literal::Text(wanted), Value::String(text)) if field.kind == Kind::Id => {
            match ids::same(text, wanted) {
                true => Ordering::Equal,
                false => text.as_bytes().cmp(wanted.as_bytes()),
            }
        }
        (Literal::Text(wanted), Value::String(text)) => {
            text.to_lowercase().cmp(&wanted.to_lowercase())
        }
        (Literal::Number(wanted), value) => {
            match value.as_f64().and_then(|value| value.partial_cmp(wanted)) {
                Some(ordering) => ordering,
                None => return false,
            }
        }
        (Literal::Boolean(wanted), Value::Bool(held)) => held.cmp(wanted),
        (Literal::Time(wanted), value) => match time_of(value) {
            Some(time) => time.cmp(wanted),
            None => return false,
        },
        _ => return false,
    };
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::Different => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::More => ordering.is_gt(),
        Comparison::MoreOrEqual => ordering.is_ge(),
        Comparison::Like => false,
    }
}

/// `%` for any letters, `_` for one.
fn like(text: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = &pattern[1..];
            (0..=text.len())
                .filter(|place| text.is_char_boundary(*place))
                .any(|place| like(&text[place..], rest))
        }
        Some(wanted) => text.chars().next().is_some_and(|letter| {
            (wanted == '_' || wanted == letter)
                && like(&text[letter.len_utf8()..], &pattern[wanted.len_utf8()..])
        }),
    }
}

pub fn time_of(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.replace("+0000", "Z");
    text.parse().ok()
}

fn order_of(one: &Value, other: &Value) -> Ordering {
    if let (Some(one), Some(other)) = (time_of(one), time_of(other)) {
        return one.cmp(&other);
    }
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64().partial_cmp(&other.as_f64()),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
    .unwrap_or(Ordering::Equal)
}

fn groups(object: &Object, query: &Query, rows: &[Cow<'_, Row>]) -> Found {
    let mut groups: Vec<(Value, u64)> = Vec::new();
    let group = query
        .group
        .as_ref()
        .and_then(|name| object.field(&name.text));
    if group.is_none() {
        groups.push((Value::Null, 0));
    }
    for row in rows {
        let key = group.and_then(|field| row.fields.get(&field.name)).cloned();
        let key = key.unwrap_or(Value::Null);
        match groups.iter_mut().find(|(held, _)| *held == key) {
            Some((_, count)) => *count += 1,
            None => groups.push((key, 1)),
        }
    }
    let records = groups.into_iter().map(|(key, count)| {
        let mut record =
            Map::from_iter([("attributes".to_owned(), json!({"type": "AggregateResult"}))]);
        let mut expressions = 0;
        for item in &query.select {
            match item {
                Item::Field(name) => record.insert(name.text.clone(), key.clone()),
                _ => {
                    expressions += 1;
                    record.insert(format!("expr{}", expressions - 1), json!(count))
                }
            };
        }
        Value::Object(record)
    });
    let records: Vec<Value> = records.collect();
    Found {
        total: records.len(),
        records,
    }
}

/// A record as the REST API writes it: parents nested, each with its attributes.
fn record(state: &State, object: &Object, row: &Row, fields: &[String], version: u32) -> Value {
    let name = &object.name;
    let id = text_of(row, "Id").unwrap_or("000000000000000AAA");
    let url = format!("/services/data/v{version}.0/sobjects/{name}/{id}");
    let mut record = Map::from_iter([("attributes".to_owned(), json!({"type": name, "url": url}))]);
    for field in fields {
        let value = row.fields.get(field).cloned();
        let is_flag = || {
            object
                .field(field)
                .is_some_and(|field| field.kind == Kind::Boolean)
        };
        // A flag is never without a value.
        let value = value.unwrap_or_else(|| if is_flag() { json!(false) } else { Value::Null });
        nest(&mut record, field, value);
    }
    if state.quirks.unknown_record_keys {
        record.insert(
            "FrobnicationLevel".to_owned(),
            json!({"level": [1, 2, null]}),
        );
    }
    Value::Object(record)
}

fn nest(record: &mut Map<String, Value>, field: &str, value: Value) {
    let Some((parent, rest)) = field.split_once('.') else {
        record.insert(field.to_owned(), value);
        return;
    };
    let slot = record.entry(parent).or_insert(Value::Null);
    if value.is_null() {
        return;
    }
    if slot.is_null() {
        *slot = json!({"attributes": {"type": parent, "url": null}});
    }
    if let Value::Object(inner) = slot {
        nest(inner, rest, value);
    }
}

fn log_file_rows(state: &State, version: u32) -> Vec<Cow<'static, Row>> {
    let number = |value: u64| match state.quirks.whole_numbers {
        true => json!(value),
        false => json!(value as f64),
    };
    let files = state.visible_log_files().into_iter().map(|file| {
        let names = file.body.header();
        let types = vec!["String"; names.split(',').count()].join(",");
        let length = file.claimed_length.unwrap_or_else(|| file.body.length());
        let fields = json!({
            "Id": file.id,
            "EventType": file.event_type,
            "LogDate": rest_time(file.log_date),
            "LogFile": format!("/services/data/v{version}.0/sobjects/EventLogFile/{}/LogFile", file.id),
            "LogFileLength": number(length),
            "LogFileContentType": ".csv",
            "LogFileFieldNames": names,
            "LogFileFieldTypes": types,
            "Interval": if file.hourly { "Hourly" } else { "Daily" },
            "Sequence": number(file.sequence.into()),
            "ApiVersion": f64::from(version),
            "CreatedDate": rest_time(file.created),
            "LastModifiedDate": rest_time(file.created),
            "SystemModstamp": rest_time(file.created),
            "IsDeleted": false,
        });
        let Value::Object(fields) = fields else {
            unreachable!("a JSON object is one")
        };
        Cow::Owned(Row {
            fields,
            ..Row::default()
        })
    });
    files
        .filter(|row| state.org.hourly || text_of(row, "Interval") == Some("Daily"))
        .collect()
}
