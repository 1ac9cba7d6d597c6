//! A small writer of address databases in MaxMind's format: a binary search tree over the bits of
//! addresses, then the records. Nobody's data: tests make what they need.

#![allow(
    dead_code,
    reason = "the library's tests and the program's use different parts"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value of a record.
#[derive(Debug, Clone)]
pub enum Value {
    Text(&'static str),
    Double(f64),
    Unsigned(u32),
    Map(Vec<(&'static str, Value)>),
}

/// The record of an ASN database.
pub fn asn(number: u32, name: &'static str) -> Value {
    Value::Map(vec![
        ("autonomous_system_number", Value::Unsigned(number)),
        ("autonomous_system_organization", Value::Text(name)),
    ])
}

/// The record of a City database, with a part that nobody asks for.
pub fn city(country: &'static str, latitude: f64, longitude: f64, radius: u32) -> Value {
    let location = vec![
        ("accuracy_radius", Value::Unsigned(radius)),
        ("latitude", Value::Double(latitude)),
        ("longitude", Value::Double(longitude)),
        ("time_zone", Value::Text("Etc/UTC")),
    ];
    let names = vec![("en", Value::Text("Somewhere"))];
    Value::Map(vec![
        ("city", Value::Map(vec![("names", Value::Map(names))])),
        (
            "country",
            Value::Map(vec![("iso_code", Value::Text(country))]),
        ),
        ("location", Value::Map(location)),
    ])
}

/// A database to be.
pub struct Writer {
    /// `GeoLite2-City` and the like.
    pub kind: &'static str,
    /// When it says that it was built, in seconds since 1970.
    pub built: u64,
    /// 24, 28 or 32.
    pub record_bits: u16,
    networks: Vec<(IpAddr, u8, Value)>,
}

impl Writer {
    pub fn new(kind: &'static str, built: u64) -> Self {
        Self {
            kind,
            built,
            record_bits: 28,
            networks: vec![],
        }
    }

    /// Adds a network; a later one within an earlier one takes its place there.
    pub fn add(&mut self, network: &str, record: Value) -> &mut Self {
        let (address, bits) = network.split_once('/').expect("address/prefix");
        let address = address.parse().expect("an address");
        let bits = bits.parse().expect("a prefix length");
        self.networks.push((address, bits, record));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        // Child of a node on a bit: another node, a record, or nothing.
        #[derive(Clone, Copy)]
        enum Child {
            Nothing,
            Node(usize),
            Record(usize),
        }
        let mut data = vec![];
        let mut nodes = vec![[Child::Nothing; 2]];
        for (address, bits, record) in &self.networks {
            let at = data.len();
            write(record, &mut data);
            let (key, bits) = match address {
                // As the format has it: IPv4 lies in the first 96 zero bits of IPv6.
                IpAddr::V4(v4) => (u128::from(u32::from(*v4)), usize::from(*bits) + 96),
                IpAddr::V6(v6) => (u128::from(*v6), usize::from(*bits)),
            };
            let bit = |depth: usize| (key >> (127 - depth) & 1) as usize;
            let mut node = 0;
            for depth in 0..bits - 1 {
                let child = nodes[node][bit(depth)];
                node = match child {
                    Child::Node(next) => next,
                    // A record of a wider network stands for both halves below.
                    leaf => {
                        nodes.push([leaf; 2]);
                        let next = nodes.len() - 1;
                        nodes[node][bit(depth)] = Child::Node(next);
                        next
                    }
                };
            }
            nodes[node][bit(bits - 1)] = Child::Record(at);
        }

        let count = nodes.len();
        let value = |child: Child| match child {
            Child::Nothing => count,
            Child::Node(node) => node,
            // Behind the tree come 16 zero bytes, then the records.
            Child::Record(at) => count + 16 + at,
        };
        let mut out = vec![];
        for node in &nodes {
            let [left, right] = node.map(|child| value(child) as u64);
            match self.record_bits {
                24 => {
                    out.extend_from_slice(&left.to_be_bytes()[5..]);
                    out.extend_from_slice(&right.to_be_bytes()[5..]);
                }
                28 => {
                    out.extend_from_slice(&left.to_be_bytes()[5..]);
                    out.push((left >> 24 << 4 | right >> 24) as u8);
                    out.extend_from_slice(&right.to_be_bytes()[5..]);
                }
                _ => {
                    out.extend_from_slice(&left.to_be_bytes()[4..]);
                    out.extend_from_slice(&right.to_be_bytes()[4..]);
                }
            }
        }
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&data);
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        self.write_metadata(count, &mut out);
        out
    }

    fn write_metadata(&self, nodes: usize, out: &mut Vec<u8>) {
        let text = |text: &str, out: &mut Vec<u8>| {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        };
        let number = |kind: u8, value: u64, out: &mut Vec<u8>| {
            let bytes = value.to_be_bytes();
            let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(8);
            control(kind, 8 - first, out);
            out.extend_from_slice(&bytes[first..]);
        };
        control(7, 9, out);
        text("binary_format_major_version", out);
        number(5, 2, out);
        text("binary_format_minor_version", out);
        number(5, 0, out);
        text("build_epoch", out);
        number(9, self.built, out);
        text("database_type", out);
        text(self.kind, out);
        text("description", out);
        control(7, 1, out);
        text("en", out);
        text("made by a test", out);
        text("ip_version", out);
        number(5, 6, out);
        text("languages", out);
        control(11, 1, out);
        text("en", out);
        text("node_count", out);
        number(6, nodes as u64, out);
        text("record_size", out);
        number(5, u64::from(self.record_bits), out);
    }
}

/// Networks and what was said of each, with their own answer: the last that holds an address and
/// is the narrowest. What a reader is compared with.
pub struct Expected(BTreeMap<(u8, u128), u32>);

impl Expected {
    pub fn of(networks: &[(u128, u8, u32)]) -> Self {
        let masked = |key: u128, bits: u8| key & mask(bits);
        Self(
            networks
                .iter()
                .map(|(key, bits, asn)| ((*bits, masked(*key, *bits)), *asn))
                .collect(),
        )
    }

    pub fn asn(&self, key: u128) -> Option<u32> {
        (1..=128)
            .rev()
            .find_map(|bits| self.0.get(&(bits, key & mask(bits))).copied())
    }
}

/// An address by its number in the tree.
pub fn address(key: u128) -> IpAddr {
    match u32::try_from(key) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(key)),
    }
}

fn mask(bits: u8) -> u128 {
    u128::MAX << (128 - u32::from(bits))
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Unsigned(number) => {
            control(6, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in entries {
                write(&Value::Text(key), out);
                write(value, out);
            }
        }
    }
}

/// The byte, or bytes, before a value: its type and its size.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (low, more) = match size {
        0..=28 => (size as u8, None),
        _ => (29, Some((size - 29) as u8)),
    };
    match kind {
        1..=7 => out.push(kind << 5 | low),
        _ => out.extend_from_slice(&[low, kind - 7]),
    }
    out.extend(more);
}
