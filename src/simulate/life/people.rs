//! A working day of the people: they log in from the office or from home, look at pages, run a
//! report, mistype a password, and have the mobile app with them.

use chrono::{Datelike, NaiveDate};

use super::super::acts::{
    Act, AppSeen, Deed, Door, Keys, Login, Logout, Mark, Origin, Page, PageKind, Report, SUCCESS,
    Text,
};
use super::super::book::Book;
use super::super::draw::Draw;
use super::super::moment::{HOUR, MINUTE, SECOND, is_holiday, is_weekend, local};
use super::super::org::{Org, Person, record_id};
use super::Asked;

const OBJECTS: [&str; 6] = [
    "Account",
    "Opportunity",
    "Case",
    "Contact",
    "Lead",
    "Campaign",
];

/// A Monday on which many passwords have run out: people try old ones and set new ones.
#[derive(Debug, Clone)]
pub struct PasswordMonday {
    pub day: NaiveDate,
    /// Chance that it is somebody's password.
    pub share: f64,
    pub mark: Mark,
}

pub fn day(book: &mut Book<'_>, asked: &Asked, day: NaiveDate) {
    let org = book.org;
    let monday = asked
        .password_mondays
        .iter()
        .find(|monday| monday.day == day);
    // Somebody is on call when the others are not there.
    let on_call = day.ordinal() as usize % org.people.len().max(1);
    for (n, person) in org.people.iter().enumerate() {
        let name = format!("{}", person.user);
        let mut draw = Draw::new(org.seed, &["person's day", &name, &day.to_string()]);
        let works = match (is_holiday(day), is_weekend(day)) {
            _ if n == on_call => true,
            (true, _) => draw.chance(0.04),
            (_, true) => draw.chance(0.06),
            // Holidays of one's own, and days without this tool.
            _ => draw.chance(0.84),
        };
        if works {
            let expired = monday.filter(|m| !person.sso && draw.chance(m.share));
            working_day(book, person, day, &mut draw, expired);
        }
        if let Some(carrier) = person.carrier {
            on_the_phone(book, person, carrier, day, &mut draw);
        }
    }
}

/// How many releases a browser is further than at the beginning.
fn releases(org: &Org, day: NaiveDate) -> u64 {
    ((day - org.first_day).num_days() / 28).max(0) as u64
}

pub fn agent_of(org: &Org, person: &Person, day: NaiveDate) -> Text {
    person.browser.agent(releases(org, day)).into()
}

fn working_day(
    book: &mut Book<'_>,
    person: &Person,
    day: NaiveDate,
    draw: &mut Draw,
    expired: Option<&PasswordMonday>,
) {
    let org = book.org;
    let at_home = draw.chance(person.at_home) || is_weekend(day);
    let ip = if at_home {
        person.home.clone()
    } else {
        draw.pick(&org.office).clone()
    };
    let mut seat = Seat {
        person,
        from: Origin::new(ip, org.country.clone()),
        agent: agent_of(org, person, day),
        mark: Mark::NONE,
    };
    let begin = local(org.zone, day, person.begins) + draw.between(-25 * MINUTE, 25 * MINUTE);
    let mut at = begin;
    if let Some(monday) = expired {
        seat.mark = monday.mark;
        at = seat.new_password(book, at, draw);
        seat.mark = Mark::NONE;
    }
    let mut keys = seat.log_in(book, at, draw);
    let noon = local(org.zone, day, 12 * 60 + 15) + draw.between(-20 * MINUTE, 20 * MINUTE);
    let end = begin + draw.between(7 * HOUR, 9 * HOUR);
    let pages = draw.count(person.pages) + 1;
    let mut times: Vec<i64> = (0..pages)
        .map(|_| at + MINUTE + draw.between(0, (end - at - MINUTE).max(MINUTE)))
        .map(|t| {
            if (noon..noon + 45 * MINUTE).contains(&t) {
                t + 50 * MINUTE
            } else {
                t
            }
        })
        .collect();
    times.sort_unstable();
    let mut last = at;
    for t in times {
        // A long pause ended the session.
        if t - last > 3 * HOUR {
            seat.log_out(book, last + 2 * HOUR, &keys, false);
            keys = seat.log_in(book, t - 40 * SECOND, draw);
        }
        seat.look(book, t, &keys, draw);
        last = t;
    }
    let by_user = draw.chance(0.4);
    let until = if by_user {
        last + 4 * MINUTE
    } else {
        last + 2 * HOUR
    };
    seat.log_out(book, until, &keys, by_user);
}

struct Seat<'o> {
    person: &'o Person,
    from: Origin,
    agent: Text,
    mark: Mark,
}

impl Seat<'_> {
    fn put(&self, book: &mut Book<'_>, at: i64, keys: &Keys, deed: Deed) {
        let act = Act {
            at,
            user: Some(self.person.user),
            from: self.from.clone(),
            keys: keys.clone(),
            deed,
        };
        book.put(&act, self.mark);
    }

    fn attempt(&self, book: &mut Book<'_>, at: i64, keys: &Keys, door: Door, status: &'static str) {
        let login = Login::new(door, AppSeen::default(), self.agent.clone()).ending(status);
        self.put(book, at, keys, Deed::Login(login));
    }

    /// A username that nobody has.
    fn misspelt(&self, book: &mut Book<'_>, at: i64, keys: &Keys) {
        let username = &book.org.user(self.person.user).username;
        let mut login = Login::new(Door::UiPassword, AppSeen::default(), self.agent.clone())
            .ending("LOGIN_ERROR_INVALID_USERNAME");
        login.typed = Some(
            username
                .replace("example.com", "exampel.example.com")
                .into(),
        );
        let act = Act {
            at,
            user: None,
            from: self.from.clone(),
            keys: keys.clone(),
            deed: Deed::Login(login),
        };
        book.put(&act, self.mark);
    }

    fn log_in(&self, book: &mut Book<'_>, at: i64, draw: &mut Draw) -> Keys {
        let mut keys = || Keys {
            login: draw.key(16).into(),
            session: draw.key(16).into(),
        };
        let (typo, asked, signed_in) = (keys(), keys(), keys());
        if self.person.sso {
            self.attempt(book, at, &signed_in, Door::UiSso, SUCCESS);
            return signed_in;
        }
        let mut at = at;
        let typos = if draw.chance(0.05) {
            draw.between(1, 3)
        } else {
            0
        };
        for _ in 0..typos {
            match draw.chance(0.15) {
                true => self.misspelt(book, at, &typo),
                false => self.attempt(
                    book,
                    at,
                    &typo,
                    Door::UiPassword,
                    "LOGIN_ERROR_INVALID_PASSWORD",
                ),
            }
            at += draw.between(6, 40) * SECOND;
        }
        self.attempt(book, at, &asked, Door::UiPassword, "LOGIN_TWOFACTOR_REQ");
        at += draw.between(7, 50) * SECOND;
        self.attempt(book, at, &signed_in, Door::UiPassword, SUCCESS);
        signed_in
    }

    fn new_password(&self, book: &mut Book<'_>, at: i64, draw: &mut Draw) -> i64 {
        let mut at = at;
        let keys = Keys {
            login: draw.key(16).into(),
            session: "".into(),
        };
        for _ in 0..draw.between(1, 5) {
            self.attempt(
                book,
                at,
                &keys,
                Door::UiPassword,
                "LOGIN_ERROR_INVALID_PASSWORD",
            );
            at += draw.between(8, 70) * SECOND;
        }
        self.attempt(book, at, &keys, Door::UiPasswordReset, SUCCESS);
        at + 2 * MINUTE
    }

    fn log_out(&self, book: &mut Book<'_>, at: i64, keys: &Keys, by_user: bool) {
        let logout = Logout {
            session_type: "U".into(),
            user_type: "S",
            high_assurance: true,
            by_user,
        };
        self.put(book, at, keys, Deed::Logout(logout));
    }

    fn look(&self, book: &mut Book<'_>, at: i64, keys: &Keys, draw: &mut Draw) {
        let page = |kind, what: &str| {
            Deed::Page(Page {
                kind,
                what: what.into(),
                agent: self.agent.clone(),
            })
        };
        match draw.below(20) {
            0..=2 => self.put(
                book,
                at,
                keys,
                page(PageKind::Classic, "/lightning/page/home"),
            ),
            3 => {
                let report = Report {
                    id: record_id("00O", draw.below(60) as usize).into(),
                    rows: 20 + draw.below(900),
                    origin: "ReportRunFromLightning",
                    exported: draw.chance(0.08),
                };
                self.put(book, at, keys, Deed::Report(report));
            }
            _ => self.put(
                book,
                at,
                keys,
                page(PageKind::Lightning, draw.word(&OBJECTS)),
            ),
        }
    }
}

/// The mobile app renews its token as its owner moves about, each time from another address.
fn on_the_phone(
    book: &mut Book<'_>,
    person: &Person,
    carrier: u16,
    day: NaiveDate,
    draw: &mut Draw,
) {
    let org = book.org;
    let mean = if is_weekend(day) { 0.5 } else { 2.0 };
    for _ in 0..draw.count(mean) {
        let at = local(org.zone, day, draw.between(6 * 60 + 30, 21 * 60));
        let ip = if draw.chance(0.3) {
            person.home.clone()
        } else {
            super::super::org::mobile_address(carrier, draw)
        };
        let seat = Seat {
            person,
            from: Origin::new(ip, org.country.clone()),
            agent: "SalesforceMobileSDK/12.1 iOS/18.2 (iPhone) Chatter/258.0".into(),
            mark: Mark::NONE,
        };
        let app = AppSeen {
            id: "".into(),
            name: "Salesforce for iOS".into(),
        };
        let keys = Keys {
            login: draw.key(16).into(),
            session: "".into(),
        };
        let login = Login::new(Door::HybridRefresh, app, seat.agent.clone());
        seat.put(book, at, &keys, Deed::Login(login));
    }
}
