//! Accounts made by hand.

use std::ops::RangeInclusive;

use chrono::{Days as DayCount, NaiveDate};

use super::model::{Account, App, Days, Flow, Marks, Reality, Sight, label_key};

/// Day `n` of the time that is looked at; it begins on a Thursday, 1 January 2026.
pub(super) fn day(n: u64) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
    first.checked_add_days(DayCount::new(n - 1)).unwrap()
}

pub(super) fn days(range: RangeInclusive<u64>) -> Days {
    range.map(day).collect()
}

pub(super) fn sight(range: RangeInclusive<u64>) -> Sight {
    let days = days(range);
    Sight {
        logins: days.len() as u64,
        calls: 0,
        days,
    }
}

pub(super) fn app(id: &str, label: &str, range: RangeInclusive<u64>) -> App {
    App {
        id: (!id.is_empty()).then(|| id.to_owned()),
        labels: vec![label.to_owned()],
        name_key: Some(label_key(label)),
        // Stands for the skeleton: a full-width E looks like an E.
        shape: Some(label_key(label).replace('\u{ff45}', "e").replace(' ', "")),
        sight: sight(range),
    }
}

pub(super) fn flow(is_ui: bool, range: RangeInclusive<u64>) -> Flow {
    Flow {
        is_ui,
        sight: sight(range),
        ips: vec!["192.0.2.7".to_owned()],
    }
}

/// A machine that logged in from one address on these days, of 40 that are covered.
pub(super) fn machine(range: RangeInclusive<u64>) -> Account {
    let seen = sight(range);
    let mut account = Account {
        key: "005000000000001AAA".to_owned(),
        user_id: Some("005000000000001AAA".to_owned()),
        username: Some("erp@example.com".to_owned()),
        marks: Marks {
            behaviour: true,
            machine_paths: true,
            ..Marks::default()
        },
        logins: seen.logins,
        ..Account::default()
    };
    let ip = "198.51.100.3".parse().unwrap();
    account.addresses.insert(ip, seen.clone());
    account.apps.push(App {
        sight: seen.clone(),
        ..app("0H4000000000001CAA", "ERP Sync", 1..=1)
    });
    let flow = Flow {
        sight: seen,
        ..Flow::default()
    };
    account.flows.insert("oauth_bearer".to_owned(), flow);
    account
}

pub(super) fn reality(accounts: Vec<Account>) -> Reality {
    Reality {
        accounts,
        covered: days(1..=40),
        ..Reality::default()
    }
}
