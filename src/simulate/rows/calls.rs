//! Calls of the APIs: a row in ApiTotalUsage for each, and one in the detail log of its family.

use super::super::acts::{Act, AppSeen, Call, Family, Job, Mark};
use super::super::book::{Book, Kind};
use super::super::table::Row;
use super::{Common, Who, client_ip, common, event, timing, version, who};

pub(super) fn call(book: &mut Book<'_>, act: &Act, call: &Call, mark: Mark) {
    let common = common(book, mark);
    let verb = match call.family {
        Family::Soap => "POST",
        _ => call.method,
    };
    let path = match call.family {
        Family::Soap => call.method.to_owned(),
        Family::ApexRest => format!("/services/apexrest/{}", call.resource),
        Family::DirectAura => "/aura".to_owned(),
        Family::Rest => format!("/v{}/{}", version(call.version), call.resource),
    };
    let total = Total {
        family: call.family.as_str(),
        version: call.version,
        resource: &path,
        client: &call.client,
        verb,
        app: &call.app,
        entity: &call.entity,
        status: call.status,
        category: call.category,
    };
    total_usage(book, act, &total, &common, mark);
    match call.family {
        Family::Rest => rest(book, act, call, &common, mark),
        Family::ApexRest => apex_rest(book, act, call, &common, mark),
        Family::Soap => soap(book, act, call, &common, mark),
        Family::DirectAura => {}
    }
    if call.unique && !call.query.is_empty() {
        unique_query(book, act, call, &common, mark);
    }
}

struct Total<'a> {
    family: &'a str,
    version: u16,
    resource: &'a str,
    client: &'a str,
    verb: &'a str,
    app: &'a AppSeen,
    entity: &'a str,
    status: u16,
    category: &'a str,
}

fn total_usage(book: &mut Book<'_>, act: &Act, call: &Total<'_>, common: &Common, mark: Mark) {
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::ApiTotalUsage, act, mark, common) else {
        return;
    };
    let counts = call.category == "EXTERNAL_APPLICATION";
    row.set("API_FAMILY", call.family)
        .set("API_VERSION", &version(call.version))
        .set("API_RESOURCE", call.resource)
        .set("CLIENT_NAME", call.client)
        .set("HTTP_METHOD", call.verb)
        .set("CLIENT_IP", client_ip(&act.from))
        .set("COUNTS_AGAINST_API_LIMIT", if counts { "1" } else { "0" })
        .set("CONNECTED_APP_ID", &call.app.id)
        .set("ENTITY_NAME", call.entity)
        .number("STATUS_CODE", u64::from(call.status))
        .set("CONNECTED_APP_NAME", &call.app.name)
        .set("USER_NAME", who.username)
        .set("API_CLIENT_CATEGORY", call.category);
    row.end();
}

fn rest(book: &mut Book<'_>, act: &Act, call: &Call, common: &Common, mark: Mark) {
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::RestApi, act, mark, common) else {
        return;
    };
    timing(&mut row, common, who.id18);
    request(&mut row, act, call, common, &who);
    rest_request(&mut row, call);
    let uri = format!(
        "/services/data/v{}/{}",
        version(call.version),
        call.resource
    );
    row.set("URI", &uri).set("QUERY", &call.query);
    if let Some(bytes) = call.bytes {
        row.number("RESPONSE_SIZE", bytes);
    }
    row.end();
}

fn apex_rest(book: &mut Book<'_>, act: &Act, call: &Call, common: &Common, mark: Mark) {
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::ApexRestApi, act, mark, common) else {
        return;
    };
    timing(&mut row, common, who.id18);
    request(&mut row, act, call, common, &who);
    rest_request(&mut row, call);
    row.set("URI", &format!("/{}", call.resource))
        .number("RESPONSE_SIZE", call.bytes.unwrap_or(180));
    row.end();
}

fn soap(book: &mut Book<'_>, act: &Act, call: &Call, common: &Common, mark: Mark) {
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::Api, act, mark, common) else {
        return;
    };
    timing(&mut row, common, who.id18);
    request(&mut row, act, call, common, &who);
    row.set("URI", "Api")
        .set("API_TYPE", "P")
        .set("API_VERSION", &version(call.version))
        .set("METHOD_NAME", call.method)
        .set("REQUEST_SIZE", "840")
        .number("RESPONSE_SIZE", call.bytes.unwrap_or(640))
        .set("QUERY", &call.query);
    row.end();
}

/// What the detail logs of all families say of a call.
fn request(row: &mut Row<'_>, act: &Act, call: &Call, common: &Common, who: &Who<'_>) {
    row.set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("REQUEST_STATUS", if call.status < 400 { "S" } else { "F" })
        .number("DB_TOTAL_TIME", common.db_time)
        .set("CLIENT_NAME", &call.client)
        .set("ENTITY_NAME", &call.entity)
        .set("CLIENT_IP", client_ip(&act.from))
        .set("USER_TYPE", who.user_type);
    if let Some(rows) = call.rows {
        row.number("ROWS_PROCESSED", rows);
    }
}

/// What the detail logs of REST and Apex REST say besides.
fn rest_request(row: &mut Row<'_>, call: &Call) {
    row.set("METHOD", call.method)
        .set("MEDIA_TYPE", "application/json")
        .number("STATUS_CODE", u64::from(call.status))
        .set("USER_AGENT", &call.agent_code)
        .set("REQUEST_SIZE", "-1")
        .set("CONNECTED_APP_ID", &call.app.id);
}

fn unique_query(book: &mut Book<'_>, act: &Act, call: &Call, common: &Common, mark: Mark) {
    let sql_id = book.draw(mark).letters(13).to_ascii_lowercase();
    let Some(mut row) = event(book, Kind::UniqueQuery, act, mark, common) else {
        return;
    };
    row.set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("QUERY_TYPE", "SOQL")
        .set("QUERY_IDENTIFIER", &call.query)
        .set("SQL_ID", &sql_id);
    row.end();
}

/// A state of a job, and the call that brought it about.
pub(super) fn job(book: &mut Book<'_>, act: &Act, job: &Job, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let what = if job.operation == "query" {
        "query"
    } else {
        "ingest"
    };
    let resource = format!("/v{}/jobs/{what}", version(job.version));
    let total = Total {
        family: "Bulk",
        version: job.version,
        resource: &resource,
        client: &job.client,
        verb: job.verb,
        app: &job.app,
        entity: &job.entity,
        status: 200,
        category: "EXTERNAL_APPLICATION",
    };
    total_usage(book, act, &total, &common, mark);
    let Some(mut row) = event(book, Kind::BulkApi2, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", &format!("/services/data{resource}/{}", job.id))
        .set("LOGIN_KEY", &act.keys.login)
        .set("JOB_ID", &job.id)
        .set("OPERATION_TYPE", job.operation)
        .set("ENTITY_TYPE", &job.entity)
        .set("JOB_STATUS", job.state)
        .number("RECORDS_PROCESSED", job.records)
        .set("RECORDS_FAILED", "0")
        .set("CLIENT_IP", client_ip(&act.from));
    row.end();
}

pub(super) fn metadata(book: &mut Book<'_>, act: &Act, client: &str, operation: &str, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let nameless = AppSeen::default();
    let total = Total {
        family: "SOAP",
        version: 64,
        resource: operation,
        client,
        verb: "POST",
        app: &nameless,
        entity: "",
        status: 200,
        category: "EXTERNAL_APPLICATION",
    };
    total_usage(book, act, &total, &common, mark);
    let Some(mut row) = event(book, Kind::MetadataApiOperation, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", "Api")
        .set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("CLIENT_ID", client)
        .set("OPERATION", operation)
        .set("API_VERSION", "64.0")
        .set("CLIENT_IP", client_ip(&act.from));
    row.end();
}
