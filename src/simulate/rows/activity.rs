//! Pages, sites, reports, and what the platform does by itself.

use super::super::acts::{Act, Aura, Mark, Page, PageKind, Report, Setup, Site};
use super::super::book::{Book, Kind};
use super::super::moment::put_queried;
use super::super::table::put_number;
use super::{client_ip, common, event, timing, who};
use crate::catalog::sf_id18;

pub(super) fn page(book: &mut Book<'_>, act: &Act, page: &Page, mark: Mark) {
    match page.kind {
        PageKind::Classic => classic(book, act, page, mark),
        PageKind::Lightning => lightning(book, act, page, mark),
    }
}

fn classic(book: &mut Book<'_>, act: &Act, page: &Page, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::Uri, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", &page.what)
        .set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("REQUEST_STATUS", "S")
        .number("DB_TOTAL_TIME", common.db_time)
        .set("DB_BLOCKS", "210")
        .set("DB_CPU_TIME", "10")
        .set("CLIENT_IP", client_ip(&act.from))
        .set("USER_TYPE", who.user_type);
    row.end();
}

fn lightning(book: &mut Book<'_>, act: &Act, page: &Page, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let record = format!("0015e{:010}AAA", common.db_time);
    let at = act.at.max(0) as u64;
    let Some(mut row) = event(book, Kind::LightningPageView, act, mark, &common) else {
        return;
    };
    row.set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("USER_TYPE", "S")
        .set("APP_NAME", "one:one")
        .set("DEVICE_PLATFORM", "SFX:BROWSER:DESKTOP")
        .set("OS_NAME", "WINDOWS")
        .set("OS_VERSION", "10")
        // The real string inside one more pair of quotes, as Salesforce writes it.
        .with("USER_AGENT", |out| {
            out.push(b'"');
            out.extend_from_slice(page.agent.as_bytes());
            out.push(b'"');
        })
        .set("BROWSER_NAME", "CHROME")
        .set("UI_EVENT_ID", "ltng:pageView")
        .number("UI_EVENT_TIMESTAMP", at)
        .number("PAGE_START_TIME", at.saturating_sub(900))
        .number("DURATION", 200 + common.run_time * 4)
        .number("EFFECTIVE_PAGE_TIME", 150 + common.run_time * 3)
        .set("PAGE_ENTITY_ID", &record)
        .set("PAGE_ENTITY_TYPE", &page.what)
        .set("PAGE_CONTEXT", "one:recordHome")
        .set(
            "PAGE_URL",
            &format!("/lightning/r/{}/{record}/view", page.what),
        )
        .set("USER_ID_DERIVED", who.id18)
        .set("CLIENT_IP", client_ip(&act.from));
    row.end();
}

/// ACTION_MESSAGE is cut by Salesforce; its length is that of the whole.
const LONGEST_MESSAGE: usize = 4000;

pub(super) fn aura(book: &mut Book<'_>, act: &Act, aura: &Aura, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let mut message = vec![];
    for (n, action) in aura.actions.iter().enumerate() {
        put_number(n as u64 + 1, &mut message);
        message.extend_from_slice(if action.contains("aura://") {
            b"$"
        } else {
            b"$serviceComponent://"
        });
        message.extend_from_slice(action.as_bytes());
        message.push(b'=');
        put_number(
            5 + (common.run_time * 7 + n as u64 * 13) % 190,
            &mut message,
        );
        message.push(b';');
    }
    let length = message.len();
    message.truncate(LONGEST_MESSAGE);
    let Some(mut row) = event(book, Kind::AuraRequest, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", aura.uri)
        .set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("USER_TYPE", aura.user_type)
        .set("REQUEST_STATUS", "S")
        .number("DB_TOTAL_TIME", common.db_time)
        .set("REQUEST_METHOD", "POST")
        .set("USER_AGENT", &aura.agent)
        .with("ACTION_MESSAGE", |out| out.extend_from_slice(&message))
        .number("ACTION_MESSAGE_LENGTH", length as u64)
        .set("CLIENT_IP", client_ip(&act.from));
    row.end();
}

pub(super) fn site(book: &mut Book<'_>, act: &Act, site: &Site, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let org = book.org;
    let flag = |yes: bool| if yes { "1" } else { "0" };
    let Some(mut row) = event(book, Kind::Sites, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", &format!("/{}", site.page))
        .set("USER_TYPE", "Guest")
        .set("REQUEST_STATUS", if site.is_error { "F" } else { "S" })
        .number("DB_TOTAL_TIME", common.db_time)
        .set("PAGE_NAME", site.page)
        .set(
            "REQUEST_TYPE",
            if site.is_api { "webservice" } else { "page" },
        )
        .set("IS_FIRST_REQUEST", flag(common.cpu_time.is_multiple_of(3)))
        .set("SITE_ID", &org.site_id)
        .set("IS_SECURE", "1")
        .number("RESPONSE_SIZE", 900 + common.run_time * 120)
        .set("IS_GUEST", "1")
        .set("IS_API", flag(site.is_api))
        .set("IS_ERROR", flag(site.is_error))
        .set("HTTP_METHOD", site.method)
        .set("CLIENT_IP", client_ip(&act.from));
    row.end();
}

pub(super) fn report(book: &mut Book<'_>, act: &Act, report: &Report, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    if let Some(mut row) = event(book, Kind::Report, act, mark, &common) {
        timing(&mut row, &common, who.id18);
        row.set("URI", "/lightning/r/Report/view")
            .set("SESSION_KEY", &act.keys.session)
            .set("LOGIN_KEY", &act.keys.login)
            .set("REQUEST_STATUS", "S")
            .number("DB_TOTAL_TIME", common.db_time)
            .set("ENTITY_NAME", "Account")
            .set(
                "DISPLAY_TYPE",
                if report.origin.starts_with("Dashboard") {
                    "D"
                } else {
                    "S"
                },
            )
            .set("RENDERING_TYPE", if report.exported { "C" } else { "" })
            .set("REPORT_ID", &report.id)
            .number("ROW_COUNT", report.rows)
            .set("NUMBER_COLUMNS", "9")
            .set("AVERAGE_ROW_SIZE", "577")
            .set("CLIENT_IP", client_ip(&act.from))
            .set(
                "REPORT_ID_DERIVED",
                &sf_id18(&report.id).unwrap_or_default(),
            )
            .set("ORIGIN", report.origin);
        row.end();
    }
    if !report.exported {
        return;
    }
    // No keys and no times: as in the real file. The description would be record data.
    if let Some(mut row) = event(book, Kind::ReportExport, act, mark, &common) {
        row.set("URI", &format!("/{}", report.id))
            .set("CLIENT_INFO", "Chrome")
            .set("REPORT_DESCRIPTION", "?csv=1&exp=1&enc=UTF-8")
            .set("USER_ID_DERIVED", who.id18)
            .set("CLIENT_IP", client_ip(&act.from));
        row.end();
    }
}

pub(super) fn setup(book: &mut Book<'_>, act: &Act, setup: &Setup, mark: Mark) {
    let who = who(book, act);
    let id = format!("0Ym5e{}", book.serial(mark));
    let Some(mut row) = book.row(Kind::SetupAuditTrail, act.at, mark) else {
        return;
    };
    row.set("Id", &sf_id18(&id).unwrap_or_default())
        .with("CreatedDate", |out| put_queried(act.at, out))
        .set("CreatedById", who.id18)
        .set("CreatedBy.Username", who.username)
        .set("Action", setup.action)
        .set("Section", setup.section)
        .set("Display", &setup.display);
    row.end();
}

pub(super) fn queued(book: &mut Book<'_>, act: &Act, entry_point: &str, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::QueuedExecution, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", entry_point)
        .set("USER_TYPE", who.user_type)
        .set("REQUEST_STATUS", "S")
        .number("DB_TOTAL_TIME", common.db_time)
        .set("ENTRY_POINT", entry_point);
    row.end();
}

pub(super) fn sandbox(book: &mut Book<'_>, act: &Act, status: &str, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let Some(mut row) = event(book, Kind::Sandbox, act, mark, &common) else {
        return;
    };
    row.set("SANDBOX_ID", "07E5e00000000uat")
        .set("PENDING_SANDBOX_ORG_ID", "00D5e00000Sand1")
        .set("CURRENT_SANDBOX_ORG_ID", "00D5e00000Sand0")
        .set("STATUS", status)
        .set("USER_ID_DERIVED", who.id18);
    row.end();
}
