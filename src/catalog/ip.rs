//! Addresses as logs write them: parsed to one canonical form, or named by kind where the cell
//! holds Salesforce's own words, nothing, or something else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpKind {
    /// A routable address. The documentation ranges count as such.
    Public,
    /// RFC 1918, carrier-grade NAT, loopback, link-local, unique local or unspecified.
    Private,
    /// `Salesforce.com IP` or `Internal IP`: a hop inside Salesforce.
    Salesforce,
    /// Text that is no address.
    Unparsed,
    /// Nothing.
    Missing,
}

impl IpKind {
    pub fn as_str(self) -> &'static str {
        match self {
            IpKind::Public => "public",
            IpKind::Private => "private",
            IpKind::Salesforce => "salesforce",
            IpKind::Unparsed => "unparsed",
            IpKind::Missing => "missing",
        }
    }

    /// Kind of a parsed address.
    pub fn of(ip: IpAddr) -> Self {
        let private = match ip {
            IpAddr::V4(v4) => is_private_v4(v4),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => is_private_v4(v4),
                None => {
                    v6.is_loopback()
                        || v6.is_unspecified()
                        || v6.is_unique_local()
                        || v6.is_unicast_link_local()
                }
            },
        };
        if private {
            IpKind::Private
        } else {
            IpKind::Public
        }
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
}

/// The address that a cell holds, IPv4 inside IPv6 (`::ffff:192.0.2.1`) unfolded. Blanks around
/// it do not count; ports, brackets, zones, prefixes and lists make it no address.
pub fn parse_ip(cell: &[u8]) -> Option<IpAddr> {
    // No address is longer than 45 bytes; blanks around one may be.
    let cell = cell.trim_ascii();
    if cell.len() < 2 || cell.len() > 45 {
        return None;
    }
    let ip: IpAddr = str::from_utf8(cell).ok()?.parse().ok()?;
    Some(ip.to_canonical())
}

/// Kind of a cell, with the address where it is one.
pub fn classify(cell: &[u8]) -> (IpKind, Option<IpAddr>) {
    let cell = cell.trim_ascii();
    if cell.is_empty() {
        return (IpKind::Missing, None);
    }
    if let Some(ip) = parse_ip(cell) {
        return (IpKind::of(ip), Some(ip));
    }
    let internal = [&b"Salesforce.com IP"[..], b"Internal IP"];
    if internal
        .iter()
        .any(|words| cell.eq_ignore_ascii_case(words))
    {
        return (IpKind::Salesforce, None);
    }
    (IpKind::Unparsed, None)
}

/// Sixteen bytes in the order of addresses, IPv4 mapped into `::ffff:0:0/96`.
pub fn ip_key(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The address of a key made by [`ip_key`].
pub fn ip_of_key(key: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(key)).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        classify(text.as_bytes()).0.as_str()
    }

    #[test]
    fn one_address_has_one_text_and_one_key_however_it_is_written() {
        for text in [
            "192.0.2.1",
            " 192.0.2.1 ",
            "::ffff:192.0.2.1",
            "::FFFF:C000:0201",
        ] {
            let ip = parse_ip(text.as_bytes()).unwrap();
            assert_eq!(ip.to_string(), "192.0.2.1");
            assert_eq!(ip_key(ip)[10..], [0xff, 0xff, 192, 0, 2, 1]);
            assert_eq!(ip_of_key(ip_key(ip)), ip);
        }
        let ip = parse_ip(b"2001:DB8:0:0::1").unwrap();
        assert_eq!(ip.to_string(), "2001:db8::1");
        assert_eq!(ip_of_key(ip_key(ip)), ip);
    }

    #[test]
    fn keys_sort_as_addresses_do() {
        let key = |text: &str| ip_key(parse_ip(text.as_bytes()).unwrap());
        assert!(key("192.0.2.9") < key("192.0.2.10"));
        assert!(key("255.255.255.255") < key("2001:db8::"));
    }

    #[test]
    fn what_is_almost_an_address_is_none() {
        for text in [
            "192.0.2.1:443",
            "[2001:db8::1]",
            "fe80::1%eth0",
            "192.0.2.0/24",
            "192.0.2.1, 192.0.2.2",
            "192.0.2",
            "192.0.2.01",
            "192.0.2.256",
            "1",
            ":",
            "localhost",
            "192.0.2.1\0",
        ] {
            assert_eq!(kind(text), "unparsed", "{text}");
        }
    }

    #[test]
    fn salesforces_own_words_are_a_kind_in_any_case() {
        for text in ["Salesforce.com IP", "salesforce.com ip", " INTERNAL IP "] {
            assert_eq!(kind(text), "salesforce");
        }
        assert_eq!(kind("Salesforce.com IPs"), "unparsed");
    }

    #[test]
    fn empty_cells_are_missing() {
        assert_eq!(kind(""), "missing");
        assert_eq!(kind("  "), "missing");
    }

    #[test]
    fn private_ranges_end_where_the_standards_say() {
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "0.0.0.0",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(kind(text), "private", "{text}");
        }
        for text in [
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "2001:db8::1",
            "::ffff:203.0.113.1",
        ] {
            assert_eq!(kind(text), "public", "{text}");
        }
    }
}
