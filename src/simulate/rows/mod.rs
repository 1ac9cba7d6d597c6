//! Which rows an act leaves in which log.

mod activity;
mod calls;
mod logins;

use std::borrow::Cow;

use super::acts::{Act, Deed, Hidden, Mark, Origin};
use super::book::{Book, Kind};
use super::moment::{put_compact, put_derived};
use super::table::Row;

/// The word that stands for an address inside Salesforce.
const INTERNAL_ADDRESS: &str = "Salesforce.com IP";

pub(super) fn write(book: &mut Book<'_>, act: &Act, mark: Mark) {
    match &act.deed {
        Deed::Login(login) => logins::login(book, act, login, mark),
        Deed::Logout(logout) => logins::logout(book, act, logout, mark),
        Deed::LoginAs { by } => logins::login_as(book, act, *by, mark),
        Deed::Call(call) => calls::call(book, act, call, mark),
        Deed::Job(job) => calls::job(book, act, job, mark),
        Deed::Metadata { client, operation } => {
            calls::metadata(book, act, client, operation, mark);
        }
        Deed::Page(page) => activity::page(book, act, page, mark),
        Deed::Aura(aura) => activity::aura(book, act, aura, mark),
        Deed::Site(site) => activity::site(book, act, site, mark),
        Deed::Report(report) => activity::report(book, act, report, mark),
        Deed::Setup(setup) => activity::setup(book, act, setup, mark),
        Deed::Queued { entry_point } => activity::queued(book, act, entry_point, mark),
        Deed::Sandbox { status } => activity::sandbox(book, act, status, mark),
    }
}

/// Who an act's user is in the cells of a row; empty cells where there is none.
struct Who<'o> {
    id15: &'o str,
    id18: &'o str,
    username: &'o str,
    user_type: &'static str,
}

fn who<'o>(book: &Book<'o>, act: &Act) -> Who<'o> {
    let org = book.org;
    match act.user.and_then(|n| org.users.get(n)) {
        Some(user) => Who {
            id15: &user.id15,
            id18: &user.id18,
            username: &user.username,
            user_type: user.role.user_type(),
        },
        None => Who {
            id15: "",
            id18: "",
            username: "",
            user_type: "",
        },
    }
}

/// What a row of EventLogFile has beside its own cells.
struct Common {
    request_id: String,
    run_time: u64,
    cpu_time: u64,
    db_time: u64,
}

fn common(book: &mut Book<'_>, mark: Mark) -> Common {
    let draw = book.draw(mark);
    Common {
        request_id: format!("4{}", draw.key(21).replace('+', "-")),
        run_time: 12 + draw.below(240),
        cpu_time: 4 + draw.below(60),
        db_time: 4_000_000 + draw.below(30_000_000),
    }
}

/// A row with the cells that nearly every type has; the rest is set by the caller.
fn event<'b>(
    book: &'b mut Book<'_>,
    kind: Kind,
    act: &Act,
    mark: Mark,
    common: &Common,
) -> Option<Row<'b>> {
    let org = book.org;
    let who = who(book, act);
    let mut row = book.row(kind, act.at, mark)?;
    row.set("EVENT_TYPE", kind.as_str())
        .with("TIMESTAMP", |out| put_compact(act.at, out))
        .set("REQUEST_ID", &common.request_id)
        .set("ORGANIZATION_ID", &org.id)
        .set("USER_ID", who.id15)
        .with("TIMESTAMP_DERIVED", |out| put_derived(act.at, out));
    Some(row)
}

/// RUN_TIME, CPU_TIME, USER_ID_DERIVED: cells of most types, but not of all.
fn timing(row: &mut Row<'_>, common: &Common, id18: &str) {
    row.number("RUN_TIME", common.run_time)
        .number("CPU_TIME", common.cpu_time)
        .set("USER_ID_DERIVED", id18);
}

/// CLIENT_IP of everything but a login.
fn client_ip(from: &Origin) -> &str {
    match from.hidden {
        Hidden::All => INTERNAL_ADDRESS,
        _ => &from.ip,
    }
}

/// CLIENT_IP and SOURCE_IP of a login.
fn login_addresses(from: &Origin) -> (&str, &str) {
    match from.hidden {
        Hidden::No => (&from.ip, &from.ip),
        Hidden::Client => (INTERNAL_ADDRESS, &from.ip),
        Hidden::Source => (&from.ip, INTERNAL_ADDRESS),
        Hidden::All => (INTERNAL_ADDRESS, INTERNAL_ADDRESS),
    }
}

/// `64.0`
fn version(number: u16) -> Cow<'static, str> {
    match number {
        0 => Cow::Borrowed("9998.0"),
        n => Cow::Owned(format!("{n}.0")),
    }
}
