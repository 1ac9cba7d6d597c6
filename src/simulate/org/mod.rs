//! Who exists in a synthetic org: users, apps, machines with their rhythm, people, and the
//! addresses all of them come from. Drawn from the seed, before anything happens.
//!
//! Addresses are those set aside for documentation:
//!
//! | network | whose |
//! |---|---|
//! | 198.51.100.0/24 | the org's own data centre and office |
//! | 203.0.113.0/24 | vendors |
//! | 2001:db8:1000::/36, 2001:db8:3000::/36 | machines beyond those, and second sites |
//! | 2001:db8:4000::/34 | homes, mobile carriers, visitors |
//! | 192.0.2.0/24, 2001:db8:b000::/36 | attackers |

mod addresses;
mod change;
mod machine;
mod makers;
mod people;

use chrono::NaiveDate;
use chrono_tz::Tz;

pub use addresses::{
    attacker_host, crowd_address, is_foreign, mobile as mobile_address, visitor_address,
};
pub use change::{Change, Effect, Working};
pub use machine::{Machine, Rhythm};
pub use people::Person;

use super::acts::{AppSeen, Text};
use super::draw::Draw;
use super::size::Size;
use crate::catalog::sf_id18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Integration,
    Ci,
    /// The reader of the event logs: this program's own user.
    LogReader,
    InternalSystem,
    AutomatedProcess,
    Guest,
    Admin,
    Human,
}

impl Role {
    /// USER_TYPE of most logs.
    pub fn user_type(self) -> &'static str {
        match self {
            Role::Guest => "Guest",
            Role::AutomatedProcess => "AutomatedProcess",
            _ => "Standard",
        }
    }
}

#[derive(Debug, Clone)]
pub struct User {
    pub username: Text,
    pub id15: Text,
    pub id18: Text,
    pub role: Role,
}

#[derive(Debug, Clone)]
pub struct App {
    pub name: Text,
    /// As ApiTotalUsage writes it: `0H4…` in 18 characters, `888…` in 15.
    pub id: Text,
    /// The registry's word for it: `own`, or the vendor.
    pub vendor: Text,
    pub grant: &'static str,
}

impl App {
    pub fn seen(&self) -> AppSeen {
        AppSeen {
            id: self.id.clone(),
            name: self.name.clone(),
        }
    }

    pub fn id18(&self) -> String {
        sf_id18(&self.id).unwrap_or_default()
    }
}

/// The cast and the stage.
#[derive(Debug, Clone)]
pub struct Org {
    pub seed: u64,
    pub id: Text,
    pub host: Text,
    pub sso_id: Text,
    pub site_id: Text,
    /// Where its people are, and its country.
    pub zone: Tz,
    pub country: Text,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub size: Size,
    pub users: Vec<User>,
    pub apps: Vec<App>,
    /// Integrations, and the people's tokens that vendors use.
    pub machines: Vec<Machine>,
    pub people: Vec<Person>,
    pub office: Vec<Text>,
    pub guest: usize,
    pub internal: Vec<usize>,
    pub automated: usize,
    /// The machine that has been idle for long.
    pub dormant: usize,
    /// Machines of the two vendors whose apps hold many tokens.
    pub vendors: [VendorApp; 2],
}

/// An app of a vendor that acts for an integration user and for people who connected it.
#[derive(Debug, Clone, Default)]
pub struct VendorApp {
    /// The integration's machine, then those of the people.
    pub machines: Vec<usize>,
}

impl Org {
    /// Draws an org that lives from the first to the last day, both included.
    pub fn cast(seed: u64, size: Size, first_day: NaiveDate, last_day: NaiveDate) -> Self {
        let mut draw = Draw::new(seed, &["org"]);
        let stages = [
            (chrono_tz::America::New_York, "US"),
            (chrono_tz::Europe::Berlin, "DE"),
            (chrono_tz::America::Los_Angeles, "US"),
            (chrono_tz::Europe::London, "GB"),
        ];
        let (zone, country) = *draw.pick(&stages);
        let mut org = Self {
            seed,
            id: format!("00D5e0000{}", draw.letters(6)).into(),
            host: "acme.my.example.com".into(),
            sso_id: "0LE5e0000004CqK".into(),
            site_id: "0DM5e0000004CqL".into(),
            zone,
            country: country.into(),
            first_day,
            last_day,
            size,
            users: vec![],
            apps: vec![],
            machines: vec![],
            people: vec![],
            office: addresses::office(),
            guest: 0,
            internal: vec![],
            automated: 0,
            dormant: 0,
            vendors: Default::default(),
        };
        org.cast_platform();
        people::cast(&mut org, &mut draw);
        makers::cast(&mut org);
        org
    }

    fn cast_platform(&mut self) {
        self.guest = self.add_user("help.site.guest@example.com", Role::Guest);
        self.automated = self.add_user("autoproc@00d5e0000004cqkeac", Role::AutomatedProcess);
        self.internal = ["lead.owner@example.com", "case.owner@example.com"]
            .iter()
            .map(|name| self.add_user(name, Role::InternalSystem))
            .collect();
    }

    fn add_user(&mut self, username: &str, role: Role) -> usize {
        let id15 = record_id("005", self.users.len());
        self.users.push(User {
            username: username.into(),
            id18: sf_id18(&id15).unwrap_or_default().into(),
            id15: id15.into(),
            role,
        });
        self.users.len() - 1
    }

    fn add_app(&mut self, name: &str, prefix: &str, vendor: &str, grant: &'static str) -> usize {
        let id15 = record_id(prefix, self.apps.len());
        let id = match prefix {
            "888" => id15,
            _ => sf_id18(&id15).unwrap_or_default(),
        };
        self.apps.push(App {
            name: name.into(),
            id: id.into(),
            vendor: vendor.into(),
            grant,
        });
        self.apps.len() - 1
    }

    /// A new app of the org, that nobody uses yet.
    pub fn new_app(
        &mut self,
        name: &str,
        prefix: &str,
        vendor: &str,
        grant: &'static str,
    ) -> usize {
        self.add_app(name, prefix, vendor, grant)
    }

    pub fn user(&self, n: usize) -> &User {
        &self.users[n]
    }

    /// Machines that are integrations, without people's tokens, CI, the log reader and the idle
    /// one.
    pub fn integrations(&self) -> impl Iterator<Item = usize> + '_ {
        let ours = |(n, machine): (usize, &Machine)| {
            let role = self.users[machine.user].role;
            (role == Role::Integration && n != self.dormant).then_some(n)
        };
        self.machines.iter().enumerate().filter_map(ours)
    }

    pub fn admins(&self) -> impl Iterator<Item = &Person> {
        let is_admin = |p: &&Person| self.users[p.user].role == Role::Admin;
        self.people.iter().filter(is_admin)
    }

    pub fn days(&self) -> i64 {
        (self.last_day - self.first_day).num_days() + 1
    }
}

/// A 15-character id: unlike for every number, and no two of them next to each other.
pub fn record_id(prefix: &str, number: usize) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // Odd, so that multiplication walks through all residues of 62^5 / 2.
    let mut rest = (number as u64 + 1).wrapping_mul(433_494_437) % 916_132_831;
    let mut tail = [0u8; 5];
    for letter in tail.iter_mut().rev() {
        *letter = LETTERS[(rest % 62) as usize];
        rest /= 62;
    }
    let middle = "5e0000000";
    format!("{prefix}{}{}", &middle[..7], String::from_utf8_lossy(&tail))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn org(seed: u64, size: Size) -> Org {
        let day = |m, d| NaiveDate::from_ymd_opt(2026, m, d).unwrap();
        Org::cast(seed, size, day(3, 1), day(6, 28))
    }

    #[test]
    fn ids_are_ids_and_each_its_own() {
        let ids: BTreeSet<String> = (0..20_000).map(|n| record_id("005", n)).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.iter().all(|id| id.len() == 15 && sf_id18(id).is_some()));
    }

    #[test]
    fn an_org_has_the_size_that_was_asked_for() {
        for (size, integrations, people) in [(Size::Tiny, 8, 25), (Size::Small, 40, 300)] {
            let org = org(1, size);
            assert_eq!(org.integrations().count(), integrations);
            assert_eq!(org.people.len(), people);
            let names: BTreeSet<_> = org.users.iter().map(|u| &u.username).collect();
            assert_eq!(names.len(), org.users.len());
        }
    }

    #[test]
    fn every_address_is_one_for_documentation() {
        let documentation = ["198.51.100.", "203.0.113.", "2001:db8:"];
        for machine in &org(3, Size::Medium).machines {
            for host in machine.sites.iter().flat_map(|site| &site.hosts) {
                assert!(documentation.iter().any(|d| host.starts_with(d)), "{host}");
            }
        }
    }
}
