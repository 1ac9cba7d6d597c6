//! Is this address one of the user's own? Asked for every row, so the answer costs one hash look-up
//! and two short binary searches.

use std::net::IpAddr;

use hashbrown::HashMap;
use ipnet::IpNet;

use crate::catalog::ip_key;

use super::Registry;
use super::model::{Validity, WindowKind};
use super::resolution::Resolution;

/// Declared networks and windows by user, with their times. Users are found by 18-character id
/// and by lower-case username.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    users: HashMap<String, Timeline>,
    windows: HashMap<String, Vec<OpenWindow>>,
}

/// A user's networks cut into spans of time within which they do not change. A span in which
/// nothing is declared is absent.
#[derive(Debug, Clone, Default)]
struct Timeline {
    spans: Vec<Span>,
}

#[derive(Debug, Clone)]
struct Span {
    valid: Validity,
    ranges: Ranges,
    /// As declared, for messages.
    nets: Vec<IpNet>,
}

#[derive(Debug, Clone)]
struct OpenWindow {
    kind: WindowKind,
    valid: Validity,
    /// None: open for every address, also one that could not be read.
    ranges: Option<Ranges>,
}

impl Networks {
    pub fn build(registry: &Registry, resolution: &Resolution) -> Self {
        let mut declared: HashMap<String, Vec<(Validity, IpNet)>> = HashMap::new();
        for user in &registry.users {
            for alias in resolution.aliases(&resolution.keys(user)) {
                let nets = user.networks.iter().map(|net| (net.valid, net.value));
                declared.entry(alias).or_default().extend(nets);
            }
        }
        let mut windows: HashMap<String, Vec<OpenWindow>> = HashMap::new();
        for window in &registry.windows {
            let ranges = (!window.networks.is_empty()).then(|| Ranges::of(&window.networks));
            for alias in resolution.aliases(&resolution.keys_of(&window.user)) {
                let (kind, valid) = (window.kind, window.valid);
                let open = OpenWindow {
                    kind,
                    valid,
                    ranges: ranges.clone(),
                };
                windows.entry(alias).or_default().push(open);
            }
        }
        let users = declared
            .into_iter()
            .map(|(key, nets)| (key, Timeline::of(&nets)))
            .collect();
        Self { users, windows }
    }

    /// Whether `ip` is in a network that is declared for the user at that time (milliseconds
    /// UTC). None where nothing is declared and valid then.
    pub fn contains(&self, user_key: &str, ip: IpAddr, at_ms: i64) -> Option<bool> {
        let span = self.users.get(user_key)?.at(at_ms)?;
        Some(span.ranges.contains(number(ip)))
    }

    /// The declared network that `ip` is in or numerically nearest to, in CIDR form.
    pub fn nearest(&self, user_key: &str, ip: IpAddr, at_ms: i64) -> Option<String> {
        let span = self.users.get(user_key)?.at(at_ms)?;
        let ip = number(ip);
        let distance = |net: &&IpNet| {
            let (low, high) = (number(net.network()), number(net.broadcast()));
            low.saturating_sub(ip).max(ip.saturating_sub(high))
        };
        span.nets.iter().min_by_key(distance).map(IpNet::to_string)
    }

    /// Whether a window of this kind is open for the user, at that time, for that address. An
    /// address that could not be read (None) fits only windows without networks.
    pub fn in_window(
        &self,
        user_key: &str,
        ip: Option<IpAddr>,
        at_ms: i64,
        kind: WindowKind,
    ) -> bool {
        let Some(windows) = self.windows.get(user_key) else {
            return false;
        };
        windows.iter().any(|window| {
            window.kind == kind
                && window.valid.contains(at_ms)
                && match (&window.ranges, ip) {
                    (None, _) => true,
                    (Some(ranges), Some(ip)) => ranges.contains(number(ip)),
                    (Some(_), None) => false,
                }
        })
    }
}

impl Timeline {
    fn of(declared: &[(Validity, IpNet)]) -> Self {
        let mut cuts: Vec<i64> = declared
            .iter()
            .flat_map(|(valid, _)| [valid.from_ms, valid.to_ms])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut spans = vec![];
        for cut in cuts.windows(2) {
            let valid = Validity {
                from_ms: cut[0],
                to_ms: cut[1],
            };
            let holds = declared
                .iter()
                .filter(|(own, _)| own.contains(valid.from_ms));
            let mut nets: Vec<IpNet> = holds.map(|(_, net)| *net).collect();
            if nets.is_empty() {
                continue;
            }
            nets.sort_unstable();
            nets.dedup();
            spans.push(Span {
                valid,
                ranges: Ranges::of(&nets),
                nets,
            });
        }
        Self { spans }
    }

    fn at(&self, at_ms: i64) -> Option<&Span> {
        let next = self
            .spans
            .partition_point(|span| span.valid.from_ms <= at_ms);
        let span = &self.spans[next.checked_sub(1)?];
        (at_ms < span.valid.to_ms).then_some(span)
    }
}

/// Disjoint ranges of addresses, both ends included, in order. IPv4 is mapped into IPv6.
#[derive(Debug, Clone)]
struct Ranges(Vec<(u128, u128)>);

/// First and last number of IPv4 mapped into IPv6.
const MAPPED: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

impl Ranges {
    fn of(nets: &[IpNet]) -> Self {
        let mut ranges: Vec<(u128, u128)> = vec![];
        for net in nets {
            let (low, high) = (number(net.network()), number(net.broadcast()));
            if low < MAPPED.0 && high > MAPPED.1 {
                // An IPv6 network around the mapped block (::/0) says nothing about IPv4.
                ranges.extend([(low, MAPPED.0 - 1), (MAPPED.1 + 1, high)]);
            } else {
                ranges.push((low, high));
            }
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = vec![];
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Self(merged)
    }

    fn contains(&self, ip: u128) -> bool {
        let next = self.0.partition_point(|(low, _)| *low <= ip);
        next > 0 && ip <= self.0[next - 1].1
    }
}

fn number(ip: IpAddr) -> u128 {
    u128::from_be_bytes(ip_key(ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::parse_ip;

    const KEY: &str = "005000000000001AAA";

    fn networks(text: &str) -> Networks {
        let registry = Registry::parse(text, "registry.toml").unwrap();
        let known = [(KEY.to_owned(), "ERP@Example.com".to_owned())];
        Networks::build(&registry, &Resolution::new(&registry, known))
    }

    fn ip(text: &str) -> IpAddr {
        parse_ip(text.as_bytes()).unwrap()
    }

    fn ms(text: &str) -> i64 {
        text.parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
            .timestamp_millis()
    }

    const ERP: &str = "[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"\n";

    #[test]
    fn the_first_and_the_last_address_of_a_network_are_in_it() {
        let n = networks(&format!(
            "{ERP}networks = [\"198.51.100.0/28\", \"2001:db8:10::/48\"]"
        ));
        for (text, inside) in [
            ("198.51.100.0", true),
            ("198.51.100.15", true),
            ("::ffff:198.51.100.15", true),
            ("198.51.100.16", false),
            ("198.51.99.255", false),
            ("2001:db8:10::", true),
            ("2001:db8:10:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8:11::", false),
            ("2001:db8:bad::1", false),
        ] {
            assert_eq!(n.contains(KEY, ip(text), 0), Some(inside), "{text}");
            assert_eq!(
                n.contains("erp@example.com", ip(text), 0),
                Some(inside),
                "{text}"
            );
        }
        assert_eq!(n.contains("crm@example.com", ip("198.51.100.1"), 0), None);
    }

    #[test]
    fn a_network_of_one_family_allows_nothing_of_the_other() {
        let v6 = networks(&format!("{ERP}networks = [\"::/0\"]"));
        assert_eq!(v6.contains(KEY, ip("192.0.2.66"), 0), Some(false));
        assert_eq!(v6.contains(KEY, ip("2001:db8::1"), 0), Some(true));
        assert_eq!(v6.contains(KEY, ip("::1"), 0), Some(true));
        let v4 = networks(&format!("{ERP}networks = [\"0.0.0.0/0\"]"));
        assert_eq!(v4.contains(KEY, ip("192.0.2.66"), 0), Some(true));
        assert_eq!(v4.contains(KEY, ip("2001:db8::1"), 0), Some(false));
    }

    #[test]
    fn networks_hold_from_their_first_to_before_their_last_moment() {
        let n = networks(&format!(
            "{ERP}valid_from = 2026-01-01\nnetworks = [
            {{ network = \"198.51.100.0/28\", valid_to = 2026-02-01 }},
            {{ network = \"203.0.113.0/26\", valid_from = 2026-01-15T12:00:00Z, valid_to = 2026-02-01 }}]"
        ));
        let old = ip("198.51.100.1");
        let new = ip("203.0.113.1");
        assert_eq!(n.contains(KEY, old, ms("2025-12-31T23:59:59.999Z")), None);
        assert_eq!(n.contains(KEY, old, ms("2026-01-01T00:00:00Z")), Some(true));
        assert_eq!(
            n.contains(KEY, new, ms("2026-01-15T11:59:59.999Z")),
            Some(false)
        );
        assert_eq!(n.contains(KEY, new, ms("2026-01-15T12:00:00Z")), Some(true));
        assert_eq!(
            n.contains(KEY, old, ms("2026-01-31T23:59:59.999Z")),
            Some(true)
        );
        assert_eq!(n.contains(KEY, old, ms("2026-02-01T00:00:00Z")), None);
    }

    #[test]
    fn entries_that_adjoin_take_over_from_one_another() {
        let n = networks(&format!(
            "{ERP}valid_to = 2026-02-01\nnetworks = [\"198.51.100.0/28\"]\n
             {ERP}valid_from = 2026-02-01\nnetworks = [\"203.0.113.0/26\"]"
        ));
        assert_eq!(
            n.contains(KEY, ip("198.51.100.1"), ms("2026-01-31T23:59:59Z")),
            Some(true)
        );
        assert_eq!(
            n.contains(KEY, ip("198.51.100.1"), ms("2026-02-01T00:00:00Z")),
            Some(false)
        );
        assert_eq!(
            n.contains(KEY, ip("203.0.113.1"), ms("2026-02-01T00:00:00Z")),
            Some(true)
        );
    }

    #[test]
    fn the_nearest_network_is_of_the_same_family_where_there_is_one() {
        let n = networks(&format!(
            "{ERP}networks = [\"2001:db8:10::/48\", \"198.51.100.0/28\", \"203.0.113.0/26\"]"
        ));
        for (from, net) in [
            ("198.51.100.200", "198.51.100.0/28"),
            ("203.0.112.255", "203.0.113.0/26"),
            ("203.0.113.7", "203.0.113.0/26"),
            ("2001:db8:bad::1", "2001:db8:10::/48"),
        ] {
            assert_eq!(n.nearest(KEY, ip(from), 0).as_deref(), Some(net), "{from}");
        }
        assert_eq!(n.nearest("crm@example.com", ip("192.0.2.1"), 0), None);
    }

    #[test]
    fn a_window_opens_for_its_user_time_kind_and_networks_only() {
        let n = networks(
            "[[window]]\nkind = \"consent\"\nuser = \"erp@example.com\"\nfrom = 2026-01-15T09:00:00Z
             to = 2026-01-15T10:00:00Z\nnetworks = [\"198.51.100.0/28\"]
             [[window]]\nkind = \"maintenance\"\nuser = \"005000000000001\"\nfrom = 2026-01-15
             to = 2026-01-16",
        );
        let (inside, outside) = (Some(ip("198.51.100.3")), Some(ip("192.0.2.66")));
        let at = ms("2026-01-15T09:30:00Z");
        let consent = WindowKind::Consent;
        assert!(n.in_window(KEY, inside, at, consent));
        assert!(n.in_window("erp@example.com", inside, at, consent));
        assert!(!n.in_window(KEY, outside, at, consent));
        assert!(!n.in_window(KEY, None, at, consent));
        assert!(!n.in_window(KEY, inside, ms("2026-01-15T10:00:00Z"), consent));
        assert!(!n.in_window(KEY, inside, ms("2026-01-15T08:59:59Z"), consent));
        assert!(!n.in_window(KEY, inside, at, WindowKind::Breakglass));
        assert!(!n.in_window("crm@example.com", inside, at, consent));
        assert!(n.in_window(KEY, None, at, WindowKind::Maintenance));
    }

    #[test]
    fn any_set_of_networks_agrees_with_asking_each() {
        use proptest::prelude::*;
        proptest!(|(nets in prop::collection::vec((any::<u32>(), 0u8..=32), 1..20), ips in prop::collection::vec(any::<u32>(), 1..50))| {
            let nets: Vec<IpNet> = nets
                .into_iter()
                .map(|(ip, bits)| IpNet::new(IpAddr::from(ip.to_be_bytes()), bits).unwrap().trunc())
                .collect();
            let ranges = Ranges::of(&nets);
            let edges = nets.iter().flat_map(|net| [net.network(), net.broadcast()]);
            for ip in ips.into_iter().map(|ip| IpAddr::from(ip.to_be_bytes())).chain(edges) {
                prop_assert_eq!(ranges.contains(number(ip)), nets.iter().any(|net| net.contains(&ip)));
            }
        });
    }
}
