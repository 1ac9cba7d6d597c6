//! The smallest set of networks that holds the addresses that were seen, and few others.
//!
//! An address that proved itself is always inside. One that was seen, but proves nothing by
//! itself, only helps two others to be one network; it never gets a network of its own. A network
//! is no wider than a stated prefix, and holds at most a stated number of addresses that nobody
//! has seen. IPv6 is counted in /64: whoever has one address of it may use them all, and many
//! hosts change theirs daily. A single address stays a single address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// How far a network may go beyond what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Shortest prefix of an IPv4 network, 0 to 32.
    pub max_prefix_v4: u8,
    /// Shortest prefix of an IPv6 network, 0 to 128.
    pub max_prefix_v6: u8,
    /// Most addresses (IPv6: /64) of one network that nobody has seen.
    pub max_unseen: u64,
}

impl Default for Bounds {
    /// At most a /24 or a /48; 14, so that two addresses make a /28 and no more.
    fn default() -> Self {
        Self {
            max_prefix_v4: 24,
            max_prefix_v6: 48,
            max_unseen: 14,
        }
    }
}

/// What an address that was seen says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may help others to be one network.
    Neighbour,
    /// It belongs to the machine.
    Proven,
}

/// The fewest networks within the bounds that hold every proven address; disjoint, IPv4 first,
/// ascending. IPv4 inside IPv6 counts as IPv4. The order of `seen` does not matter.
pub fn aggregate(seen: &[(IpAddr, Standing)], bounds: &Bounds) -> Vec<IpNet> {
    let mut v4: BTreeMap<u128, Standing> = BTreeMap::new();
    let mut v6: BTreeMap<u128, Standing> = BTreeMap::new();
    for (ip, standing) in seen {
        let (points, number) = match ip.to_canonical() {
            IpAddr::V4(ip) => (&mut v4, u128::from(u32::from(ip))),
            IpAddr::V6(ip) => (&mut v6, u128::from(ip)),
        };
        let known = points.entry(number).or_insert(*standing);
        *known = (*known).max(*standing);
    }
    let mut nets = vec![];
    let family = Family {
        bits: 32,
        unit: 32,
        widest: bounds.max_prefix_v4.min(32),
        max_unseen: bounds.max_unseen,
    };
    family.split(0, &v4.into_iter().collect::<Vec<_>>(), &mut nets);
    let widest = bounds.max_prefix_v6.min(128);
    let family = Family {
        bits: 128,
        // Who asks for networks narrower than a /64 means single addresses.
        unit: if widest <= 64 { 64 } else { 128 },
        widest,
        max_unseen: bounds.max_unseen,
    };
    family.split(0, &v6.into_iter().collect::<Vec<_>>(), &mut nets);
    nets
}

struct Family {
    bits: u8,
    /// Prefix of what is counted.
    unit: u8,
    widest: u8,
    max_unseen: u64,
}

type Point = (u128, Standing);

impl Family {
    /// `points` are all those of one block of this prefix, ascending.
    fn split(&self, prefix: u8, points: &[Point], nets: &mut Vec<IpNet>) {
        if !points.iter().any(|(_, s)| *s == Standing::Proven) {
            return;
        }
        if prefix == self.bits
            || (prefix >= self.widest && self.unseen(prefix, points) <= self.max_unseen)
        {
            nets.extend(self.net_of(points));
            return;
        }
        let half = points.partition_point(|(n, _)| n >> (self.bits - prefix - 1) & 1 == 0);
        self.split(prefix + 1, &points[..half], nets);
        self.split(prefix + 1, &points[half..], nets);
    }

    /// Units of the block that no point is in.
    fn unseen(&self, prefix: u8, points: &[Point]) -> u64 {
        if prefix >= self.unit {
            return 0;
        }
        let all = 1u128.checked_shl(u32::from(self.unit - prefix));
        let shift = self.bits - self.unit;
        let mut units: Vec<u128> = points.iter().map(|(n, _)| n >> shift).collect();
        units.dedup();
        let unseen = all.unwrap_or(u128::MAX) - units.len() as u128;
        u64::try_from(unseen).unwrap_or(u64::MAX)
    }

    /// The narrowest network around the points.
    fn net_of(&self, points: &[Point]) -> Option<IpNet> {
        let (first, last) = (points.first()?.0, points.last()?.0);
        let differing = 128 - (first ^ last).leading_zeros();
        let mut prefix = self.bits - u8::try_from(differing).ok()?;
        if first != last {
            prefix = prefix.min(self.unit);
        }
        let ip = match self.bits {
            32 => IpAddr::from(u32::try_from(first).ok()?.to_be_bytes()),
            _ => IpAddr::from(first.to_be_bytes()),
        };
        IpNet::new(ip, prefix).ok().map(|net| net.trunc())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nets(text: &str, bounds: &Bounds) -> String {
        let seen: Vec<_> = text
            .split_whitespace()
            .map(|word| match word.strip_suffix('?') {
                Some(ip) => (ip.parse().unwrap(), Standing::Neighbour),
                None => (word.parse().unwrap(), Standing::Proven),
            })
            .collect();
        let nets: Vec<String> = aggregate(&seen, bounds)
            .iter()
            .map(IpNet::to_string)
            .collect();
        nets.join(" ")
    }

    #[test]
    fn addresses_become_the_fewest_networks_that_admit_little_else() {
        let bounds = Bounds::default();
        for (seen, expected) in [
            ("", ""),
            ("198.51.100.7", "198.51.100.7/32"),
            ("198.51.100.6 198.51.100.7", "198.51.100.6/31"),
            // Two addresses of a /28, at its ends.
            ("198.51.100.0 198.51.100.15", "198.51.100.0/28"),
            // The next block is another network: a /27 would admit 30 more.
            (
                "198.51.100.15 198.51.100.16",
                "198.51.100.15/32 198.51.100.16/32",
            ),
            (
                "198.51.100.3 203.0.113.9 198.51.100.4",
                "198.51.100.0/29 203.0.113.9/32",
            ),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::1 2001:db8::ffff:1", "2001:db8::/64"),
            ("2001:db8:0:1::1 2001:db8:0:2::1", "2001:db8::/62"),
            (
                "2001:db8::1 2001:db8:0:10::1",
                "2001:db8::1/128 2001:db8:0:10::1/128",
            ),
            ("::ffff:198.51.100.7 198.51.100.7", "198.51.100.7/32"),
            (
                "2001:db8::1 198.51.100.7",
                "198.51.100.7/32 2001:db8::1/128",
            ),
        ] {
            assert_eq!(nets(seen, &bounds), expected, "{seen}");
        }
    }

    #[test]
    fn a_neighbour_helps_but_is_never_admitted_alone() {
        let bounds = Bounds::default();
        assert_eq!(nets("192.0.2.66?", &bounds), "");
        assert_eq!(
            nets(
                "198.51.100.3 198.51.100.4 198.51.100.15? 192.0.2.66?",
                &bounds
            ),
            "198.51.100.0/28"
        );
        assert_eq!(
            nets("198.51.100.3 198.51.100.16?", &bounds),
            "198.51.100.3/32"
        );
        assert_eq!(
            nets("198.51.100.3 198.51.100.3?", &bounds),
            "198.51.100.3/32"
        );
    }

    #[test]
    fn a_full_pool_grows_to_the_widest_prefix_and_no_further() {
        let pool = |from: u32, n: u32| -> String {
            (from..from + n)
                .map(|k| format!("198.51.{}.{} ", k / 256, k % 256))
                .collect()
        };
        let bounds = Bounds::default();
        assert_eq!(nets(&pool(0, 250), &bounds), "198.51.0.0/24");
        assert_eq!(nets(&pool(0, 512), &bounds), "198.51.0.0/24 198.51.1.0/24");
        let narrow = Bounds {
            max_prefix_v4: 26,
            ..bounds
        };
        assert_eq!(nets(&pool(0, 128), &narrow), "198.51.0.0/26 198.51.0.64/26");
        let single = Bounds {
            max_unseen: 0,
            ..bounds
        };
        assert_eq!(nets(&pool(1, 3), &single), "198.51.0.1/32 198.51.0.2/31");
        let hosts = Bounds {
            max_prefix_v6: 128,
            ..bounds
        };
        assert_eq!(
            nets("2001:db8::1 2001:db8::2", &hosts),
            "2001:db8::1/128 2001:db8::2/128"
        );
        let everything = Bounds {
            max_prefix_v4: 0,
            max_prefix_v6: 0,
            max_unseen: u64::MAX,
        };
        assert_eq!(nets("0.0.0.0 255.255.255.255", &everything), "0.0.0.0/0");
        assert_eq!(nets("::1 ffff::1", &everything), "::/0");
    }

    fn addresses() -> impl Strategy<Value = Vec<(IpAddr, Standing)>> {
        let standing = prop_oneof![Just(Standing::Proven), Just(Standing::Neighbour)];
        // Crowded blocks, so that there is something to join.
        let v4 = (0u32..600).prop_map(|n| IpAddr::from((0xC633_6400 + n).to_be_bytes()));
        let v6 = (0u128..40, 0u128..4).prop_map(|(net, host)| {
            IpAddr::from(((0x2001_0db8_u128 << 96) + (net << 64) + (host << 20)).to_be_bytes())
        });
        prop::collection::vec((prop_oneof![v4, v6], standing), 0..120)
    }

    proptest! {
        #[test]
        fn every_proven_address_is_in_one_network_and_no_network_goes_beyond_the_bounds(
            seen in addresses(),
            max_unseen in 0u64..40,
            max_prefix_v4 in 20u8..=32,
            max_prefix_v6 in 48u8..=64,
        ) {
            let bounds = Bounds { max_prefix_v4, max_prefix_v6, max_unseen };
            let nets = aggregate(&seen, &bounds);
            for (ip, standing) in &seen {
                let holding = nets.iter().filter(|net| net.contains(ip)).count();
                prop_assert!(holding <= 1);
                prop_assert!(*standing == Standing::Neighbour || holding == 1);
            }
            for net in &nets {
                let inside: Vec<_> = seen.iter().filter(|(ip, _)| net.contains(ip)).collect();
                prop_assert!(inside.iter().any(|(_, s)| *s == Standing::Proven));
                let (unit, widest) = if net.addr().is_ipv4() { (32, max_prefix_v4) } else { (64, max_prefix_v6) };
                prop_assert!(net.prefix_len() >= widest);
                if net.prefix_len() < unit {
                    let mut units: Vec<_> = inside.iter().map(|(ip, _)| IpNet::new(*ip, unit).unwrap().trunc()).collect();
                    units.sort();
                    units.dedup();
                    prop_assert!((1u64 << (unit - net.prefix_len())) - units.len() as u64 <= max_unseen);
                }
            }
            let mut other_order = seen.clone();
            other_order.reverse();
            prop_assert_eq!(aggregate(&other_order, &bounds), nets);
        }
    }
}
