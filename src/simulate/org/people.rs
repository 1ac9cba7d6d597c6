//! The people of an org.

use super::super::acts::Text;
use super::super::draw::Draw;
use super::{Org, Role, addresses};

#[derive(Debug, Clone)]
pub struct Person {
    pub user: usize,
    /// Minute of the local day at which they usually begin.
    pub begins: i64,
    /// How often they work from home.
    pub at_home: f64,
    pub home: Text,
    /// By single sign-on, else by password and a second factor.
    pub sso: bool,
    pub browser: Browser,
    /// Mobile carrier, where they have the mobile app.
    pub carrier: Option<u16>,
    /// Pages of a usual day.
    pub pages: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    Chrome,
    Edge,
    Safari,
    Firefox,
}

impl Browser {
    /// User-Agent of a browser that is so many releases further.
    pub fn agent(self, releases: u64) -> String {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)";
        match self {
            Browser::Chrome => format!(
                "{windows} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
                138 + releases
            ),
            Browser::Edge => format!(
                "{windows} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.0.0 Safari/537.36 Edg/{0}.0.0.0",
                138 + releases
            ),
            Browser::Safari => format!(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.{} Safari/605.1.15",
                18, releases
            ),
            Browser::Firefox => format!(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
                140 + releases
            ),
        }
    }
}

const COLOURS: [&str; 20] = [
    "amber", "basil", "cedar", "coral", "dusty", "ember", "fawn", "green", "hazel", "ivory",
    "jade", "khaki", "lilac", "maple", "navy", "olive", "pearl", "quartz", "ruby", "slate",
];
const BIRDS: [&str; 20] = [
    "wren", "finch", "robin", "heron", "swift", "lark", "crane", "dove", "egret", "grebe", "ibis",
    "jay", "kite", "martin", "osprey", "plover", "quail", "raven", "stork", "teal",
];

pub fn cast(org: &mut Org, draw: &mut Draw) {
    let scale = org.size.scale();
    for n in 0..scale.people {
        let role = if n < scale.admins {
            Role::Admin
        } else {
            Role::Human
        };
        let user = org.add_user(&username(n), role);
        let browsers = [
            Browser::Chrome,
            Browser::Chrome,
            Browser::Edge,
            Browser::Safari,
            Browser::Firefox,
        ];
        org.people.push(Person {
            user,
            begins: 7 * 60 + 30 + draw.between(0, 120),
            at_home: 0.5 * draw.unit(),
            home: addresses::home(n, draw),
            // Administrators come by password and a second factor, so that both ways are there.
            sso: role == Role::Human && draw.chance(0.6),
            browser: *draw.pick(&browsers),
            carrier: draw.chance(0.2).then(|| draw.below(12) as u16),
            pages: 3.0 + 6.0 * draw.unit(),
        });
    }
}

fn username(n: usize) -> String {
    let (colour, bird) = (COLOURS[n % 20], BIRDS[n / 20 % 20]);
    match n / 400 {
        0 => format!("{colour}.{bird}@example.com"),
        more => format!("{colour}.{bird}.{more}@example.com"),
    }
}
