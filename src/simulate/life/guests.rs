//! Visitors of the public site: pages, and the requests of its components.

use chrono::NaiveDate;

use super::super::acts::{Act, AppSeen, Aura, Call, Deed, Family, Keys, Mark, Origin, Site, Text};
use super::super::book::Book;
use super::super::draw::Draw;
use super::super::moment::{HOUR, MINUTE, SECOND, is_weekend, local_hour, start_of};
use super::super::org::{Org, visitor_address};
use super::Asked;

/// A day on which many more visitors come, for some hours.
#[derive(Debug, Clone)]
pub struct Crowd {
    pub from: i64,
    pub to: i64,
    /// Times the usual number.
    pub times: f64,
    pub mark: Mark,
}

const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.2 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
];
const PAGES: [&str; 5] = ["home", "topic", "article", "contact-support", "search"];
const ACTIONS: [&str; 4] = [
    "aura://ApexActionController/ACTION$execute",
    "aura://ComponentController/ACTION$getComponent",
    "ui.communities.components.aura.components.forceCommunity.navigationMenu.NavigationMenuDataProviderController/ACTION$getNavigationMenu",
    "ui.self.service.components.profileMenu.ProfileMenuController/ACTION$getProfileMenuResponse",
];

pub fn day(book: &mut Book<'_>, asked: &Asked, day: NaiveDate) {
    let org = book.org;
    let mut draw = Draw::new(org.seed, &["guests", &day.to_string()]);
    let weekend = if is_weekend(day) { 0.6 } else { 1.0 };
    for hour in 0..24 {
        let from = start_of(day) + hour * HOUR;
        let awake = match local_hour(org.zone, from) {
            9..=20 => 1.6,
            7 | 8 | 21 | 22 => 0.8,
            _ => 0.1,
        };
        let usual = org.size.scale().visitors * weekend * awake / 24.0;
        for _ in 0..draw.count(usual) {
            let at = from + draw.between(0, HOUR - 1);
            visit(book, at, Mark::NONE, &mut draw);
        }
        for crowd in asked
            .crowds
            .iter()
            .filter(|c| c.from < from + HOUR && from < c.to)
        {
            let mut more = Draw::new(org.seed, &["crowd", &from.to_string()]);
            for _ in 0..more.count(usual * crowd.times) {
                let at = from + more.between(0, HOUR - 1);
                if (crowd.from..crowd.to).contains(&at) {
                    visit(book, at, crowd.mark, &mut more);
                }
            }
        }
    }
}

fn visit(book: &mut Book<'_>, at: i64, mark: Mark, draw: &mut Draw) {
    let org = book.org;
    let from = Origin::new(visitor_address(draw), org.country.clone());
    let agent: Text = (*draw.pick(&BROWSERS)).into();
    let mut at = at;
    for _ in 0..1 + draw.below(3) {
        let page = Site {
            page: draw.word(&PAGES),
            is_api: false,
            method: "GET",
            is_error: draw.chance(0.01),
        };
        book.put(&guest_act(org, at, &from, Deed::Site(page)), mark);
        let actions = (0..1 + draw.below(3))
            .map(|_| *draw.pick(&ACTIONS))
            .collect();
        let aura = Aura {
            actions,
            uri: "/s/sfsites/aura",
            user_type: "Guest",
            agent: agent.clone(),
        };
        book.put(&guest_act(org, at + SECOND, &from, Deed::Aura(aura)), mark);
        if draw.chance(0.5) {
            book.put(
                &guest_act(org, at + SECOND, &from, Deed::Call(component_call())),
                mark,
            );
        }
        at += draw.between(5 * SECOND, 3 * MINUTE);
    }
}

pub fn guest_act(org: &Org, at: i64, from: &Origin, deed: Deed) -> Act {
    Act {
        at,
        user: Some(org.guest),
        from: from.clone(),
        keys: Keys::default(),
        deed,
    }
}

/// A component of a page asks for data: no use of the API by a program.
fn component_call() -> Call {
    Call {
        family: Family::DirectAura,
        method: "POST",
        resource: "aura".into(),
        entity: "".into(),
        version: 64,
        client: "".into(),
        app: AppSeen::default(),
        status: 200,
        rows: None,
        bytes: None,
        query: "".into(),
        unique: false,
        category: "LIGHTNING_UI",
        agent_code: "".into(),
    }
}
