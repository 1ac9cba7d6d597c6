//! Remote control of the fake, for programs: JSON on a listener of its own, which no client of the
//! org knows.
//!
//! - `GET /journal`, `/breaches`, `/state`
//! - `POST /clock` `{"now": "…Z"}` or `{"advance_seconds": 60}`
//! - `POST /fault` `{"path": "LogFile$", "nth": 2, "times": 1, "action": {"truncate": {"after": 1000}}}`;
//!   no `times`: each time. The actions are those of [`Action`].
//! - `POST /permission` `{"name": "ViewSetup", "held": false}`
//! - `POST /file` `{"event_type": "Login", "log_date": "…Z", "sequence": 0, "created": "…Z", "rows": 100}`
//! - `POST /row` `{"object": "User", "fields": {…}}`
//! - `POST /end-sessions`, `/reset` (no faults, an empty journal)

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Ending};
use super::faults::{Action, Fault};
use super::journal::Journal;
use super::request::Request;
use super::scenario;
use super::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    now: Option<DateTime<Utc>>,
    #[serde(default)]
    advance_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    path: String,
    method: Option<String>,
    soql: Option<String>,
    nth: Option<u32>,
    times: Option<u32>,
    action: Wanted,
}

/// As [`Action`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Wanted {
    Status {
        code: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        #[serde(default)]
        body: String,
    },
    Drop,
    Truncate {
        after: u64,
    },
    Stall {
        after: u64,
    },
    Drip {
        bytes: usize,
        pause_ms: u64,
    },
    Redirect {
        to: String,
    },
    CorruptGzip,
    CutGzip {
        after: u64,
    },
    GzipBomb {
        inflated: u64,
    },
    Body {
        body: String,
        content_type: Option<String>,
    },
    Delay {
        ms: u64,
    },
    ExpireToken,
    WrongLength {
        more: i64,
    },
    Http10 {
        after: Option<u64>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    name: String,
    held: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    event_type: String,
    log_date: DateTime<Utc>,
    #[serde(default)]
    sequence: u32,
    created: DateTime<Utc>,
    rows: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRow {
    object: String,
    fields: Map<String, Value>,
}

pub fn control(state: &mut State, request: &Request) -> Answer {
    let done = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/journal") => Ok(json!(state.journal.entries)),
        ("GET", "/breaches") => Ok(json!(state.journal.breaches)),
        ("GET", "/state") => Ok(summary(state)),
        ("POST", path) => change(state, path, &request.body).map(|()| summary(state)),
        _ => Err("there is no such control".to_owned()),
    };
    match done {
        Ok(body) => Answer::json(200, &body),
        Err(why) => Answer::json(400, &json!({"error": why})),
    }
}

fn change(state: &mut State, path: &str, body: &[u8]) -> Result<(), String> {
    match path {
        "/clock" => {
            let time: Time = parsed(body)?;
            state.clock.set(time.now.unwrap_or(state.now()));
            state
                .clock
                .advance(TimeDelta::seconds(time.advance_seconds));
        }
        "/fault" => {
            let fault = fault(parsed(body)?);
            state.faults.push(fault);
        }
        "/permission" => {
            let Permission { name, held } = parsed(body)?;
            let permissions = &mut state.integration().permissions;
            match held {
                true => permissions.insert(name),
                false => permissions.remove(&name),
            };
        }
        "/file" => {
            let file: File = parsed(body)?;
            let rows = scenario::generated(state, &file.event_type, file.log_date, file.rows);
            state.add_log_file(
                &file.event_type,
                file.log_date,
                file.sequence,
                file.created,
                rows,
            );
        }
        "/row" => {
            let NewRow { object, fields } = parsed(body)?;
            state.add_rows(&object, [Value::Object(fields)]);
        }
        "/end-sessions" => state.end_sessions(),
        "/reset" => {
            state.faults.clear();
            state.journal = Journal::default();
        }
        _ => return Err("there is no such control".to_owned()),
    }
    Ok(())
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn fault(planned: Planned) -> Fault {
    let action = match planned.action {
        Wanted::Status {
            code,
            headers,
            body,
        } => Action::Status {
            code,
            headers,
            body,
        },
        Wanted::Drop => Action::Drop(Ending::Reset),
        Wanted::Truncate { after } => Action::Truncate {
            after,
            ending: Ending::Close,
        },
        Wanted::Stall { after } => Action::Stall { after },
        Wanted::Drip { bytes, pause_ms } => Action::Drip {
            bytes,
            pause: Duration::from_millis(pause_ms),
        },
        Wanted::Redirect { to } => Action::Redirect { code: 302, to },
        Wanted::CorruptGzip => Action::CorruptGzip,
        Wanted::CutGzip { after } => Action::CutGzip { after },
        Wanted::GzipBomb { inflated } => Action::GzipBomb { inflated },
        Wanted::Body { body, content_type } => Action::Body { body, content_type },
        Wanted::Delay { ms } => Action::Delay(Duration::from_millis(ms)),
        Wanted::ExpireToken => Action::ExpireToken,
        Wanted::WrongLength { more } => Action::WrongLength(more),
        Wanted::Http10 { after } => Action::Http10 { after },
    };
    let mut fault = Fault::on(&planned.path)
        .does(action)
        .nth(planned.nth.unwrap_or(1));
    if let Some(method) = &planned.method {
        fault = fault.method(method);
    }
    if let Some(soql) = &planned.soql {
        fault = fault.soql(soql);
    }
    match planned.times {
        Some(times) => fault.times(times),
        None => fault.forever(),
    }
}

fn summary(state: &State) -> Value {
    json!({
        "now": state.now(),
        "org": state.org.id,
        "api_usage": state.org.api_usage,
        "log_files": state.visible_log_files().len(),
        "requests": state.journal.entries.len(),
        "logins": state.journal.logins(),
        "breaches": state.journal.breaches,
        "faults_left": !state.faults.all_used(),
    })
}
