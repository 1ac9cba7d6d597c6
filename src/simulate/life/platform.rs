//! What the platform does by itself, under users that nobody logs in as.

use chrono::{Datelike, NaiveDate};

use super::super::acts::{
    Act, Deed, Hidden, Keys, Logout, Mark, Origin, Page, PageKind, Report, Setup,
};
use super::super::book::Book;
use super::super::draw::Draw;
use super::super::moment::{HOUR, MINUTE, is_working_day, local, start_of};
use super::super::org::record_id;

pub fn day(book: &mut Book<'_>, day: NaiveDate) {
    let org = book.org;
    let mut draw = Draw::new(org.seed, &["platform", &day.to_string()]);
    let nowhere = Origin::new("", "");
    let act = |at, user, deed| Act {
        at,
        user: Some(user),
        from: nowhere.clone(),
        keys: Keys::default(),
        deed,
    };
    let start = start_of(day);
    for hour in 0..24 {
        for user in &org.internal {
            let at = start + hour * HOUR + draw.between(0, 50 * MINUTE);
            book.put(
                &act(
                    at,
                    *user,
                    Deed::Queued {
                        entry_point: "AssignmentQueue",
                    },
                ),
                Mark::NONE,
            );
        }
    }
    for _ in 0..3 {
        let at = start + draw.between(0, 24 * HOUR - 1);
        let logout = Logout {
            session_type: "A".into(),
            user_type: "A",
            high_assurance: false,
            by_user: false,
        };
        book.put(&act(at, org.automated, Deed::Logout(logout)), Mark::NONE);
    }
    // Dashboards are refreshed by schedule, under the user that they run as.
    let owner = org.internal.first().copied().unwrap_or_default();
    for hour in [5, 6, 11, 12, 17, 18] {
        let report = Report {
            id: record_id("00O", 7).into(),
            rows: 100 + draw.below(40),
            origin: "DashboardComponentUpdated",
            exported: false,
        };
        let mut shown = act(start + hour * HOUR, owner, Deed::Report(report));
        shown.from.hidden = Hidden::All;
        book.put(&shown, Mark::NONE);
    }
    if is_working_day(day) {
        maintenance(book, day, &mut draw);
    }
}

/// Administrators change something in Setup now and then.
fn maintenance(book: &mut Book<'_>, day: NaiveDate, draw: &mut Draw) {
    let org = book.org;
    let Some(admin) = org
        .admins()
        .nth(day.ordinal() as usize % org.admins().count().max(1))
    else {
        return;
    };
    if draw.chance(0.5) {
        let helped = &org.people[draw.index(org.people.len())];
        if helped.user != admin.user {
            help(book, day, admin.user, helped.user, draw);
        }
    }
    for _ in 0..draw.count(0.7) {
        let at = local(org.zone, day, draw.between(10 * 60, 16 * 60));
        let setup = Setup {
            action: "changedCustomField",
            section: "Customize Accounts",
            display: "Changed a page layout".to_owned(),
        };
        let act = Act {
            at,
            user: Some(admin.user),
            from: Origin::new("", ""),
            keys: Keys::default(),
            deed: Deed::Setup(setup),
        };
        book.put(&act, Mark::NONE);
    }
}

/// An administrator looks at somebody's problem as that person.
fn help(book: &mut Book<'_>, day: NaiveDate, admin: usize, user: usize, draw: &mut Draw) {
    let org = book.org;
    let at = local(org.zone, day, draw.between(9 * 60, 16 * 60));
    let keys = Keys {
        login: draw.key(16).into(),
        session: draw.key(16).into(),
    };
    let from = Origin::new(org.office[0].clone(), org.country.clone());
    let act = |at, deed| Act {
        at,
        user: Some(user),
        from: from.clone(),
        keys: keys.clone(),
        deed,
    };
    for n in 0..1 + draw.below(4) as i64 {
        book.put(&act(at + n * 900, Deed::LoginAs { by: admin }), Mark::NONE);
    }
    let page = Page {
        kind: PageKind::Classic,
        what: "/lightning/page/home".into(),
        agent: "".into(),
    };
    book.put(&act(at + MINUTE, Deed::Page(page)), Mark::NONE);
    let logout = Logout {
        session_type: "S".into(),
        user_type: "S",
        high_assurance: true,
        by_user: true,
    };
    book.put(&act(at + 9 * MINUTE, Deed::Logout(logout)), Mark::NONE);
}
