//! Addresses, by who has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::acts::Text;
use super::super::draw::Draw;
use super::machine::Site;

/// Blocks of eight addresses that the org's own machines and vendors share among them.
const OWN_BLOCKS: usize = 24;
const VENDOR_BLOCKS: usize = 26;

/// The addresses from which the people in the office reach the internet.
pub fn office() -> Vec<Text> {
    let host = |n| Text::from(Ipv4Addr::new(198, 51, 100, n).to_string());
    (200..206).map(host).collect()
}

/// The network of the nth own machine, or of the nth one of a vendor, with `hosts` of it in use.
pub fn site(own: bool, n: usize, hosts: usize) -> Site {
    let (blocks, net) = match own {
        true => (OWN_BLOCKS, [198, 51, 100]),
        false => (VENDOR_BLOCKS, [203, 0, 113]),
    };
    if n >= blocks {
        return far_site(
            0x1000 + (n as u16 & 0x7ff) + if own { 0 } else { 0x800 },
            hosts,
        );
    }
    let first = (n * 8) as u8;
    let host = |h: usize| {
        Text::from(Ipv4Addr::new(net[0], net[1], net[2], first + 1 + h as u8).to_string())
    };
    Site {
        networks: vec![format!("{}.{}.{}.{first}/29", net[0], net[1], net[2]).into()],
        hosts: (0..hosts.min(6)).map(host).collect(),
    }
}

/// The nth second site, in a network of its own.
pub fn second_site(n: usize, hosts: usize) -> Site {
    far_site(0x3000 + (n as u16 & 0xfff), hosts)
}

fn far_site(block: u16, hosts: usize) -> Site {
    let host = |h: usize| {
        let ip = Ipv6Addr::new(0x2001, 0xdb8, block, 1, 0, 0, 0, 0x10 + h as u16);
        Text::from(ip.to_string())
    };
    Site {
        networks: vec![format!("2001:db8:{block:x}:1::/64").into()],
        hosts: (0..hosts).map(host).collect(),
    }
}

/// Where the nth person lives: some homes speak IPv4, most IPv6.
pub fn home(n: usize, draw: &mut Draw) -> Text {
    if n < 40 && draw.chance(0.3) {
        return Ipv4Addr::new(203, 0, 113, 210 + n as u8).to_string().into();
    }
    let block = 0x4000 + (n as u16 & 0x1fff);
    let ip = Ipv6Addr::new(0x2001, 0xdb8, block, 0, 0, 0, 0, 1 + draw.below(200) as u16);
    ip.to_string().into()
}

/// An address of a mobile carrier: another one for every draw.
pub fn mobile(carrier: u16, draw: &mut Draw) -> Text {
    let host = draw.below(0xffff) as u16;
    let ip = Ipv6Addr::new(
        0x2001,
        0xdb8,
        0x6000 + carrier % 12,
        draw.below(256) as u16,
        0,
        0,
        0,
        host,
    );
    ip.to_string().into()
}

/// A visitor of a public site.
pub fn visitor_address(draw: &mut Draw) -> Text {
    let ip = Ipv6Addr::new(
        0x2001,
        0xdb8,
        0x7000 + draw.below(0x400) as u16,
        0,
        0,
        0,
        0,
        1 + draw.below(9) as u16,
    );
    ip.to_string().into()
}

/// One of the many addresses of a crowd of hijacked machines.
pub fn crowd_address(number: u64) -> Text {
    let ip = Ipv6Addr::new(
        0x2001,
        0xdb8,
        0xb000 + (number & 0xfff) as u16,
        0,
        0,
        0,
        0,
        0x66,
    );
    ip.to_string().into()
}

/// The hth address of the nth attacker: the even ones all sit in 192.0.2.0/24, the odd ones in a
/// /48 of their own each.
pub fn attacker_host(n: usize, h: u16) -> Text {
    match n % 2 {
        0 => {
            let host = (10 + (n / 2 * 12) as u16 + h) % 240 + 8;
            Ipv4Addr::new(192, 0, 2, host as u8).to_string().into()
        }
        _ => {
            let block = 0xba00 + (n as u16 & 0xff);
            let ip = Ipv6Addr::new(0x2001, 0xdb8, block, 0, 0, 0, 0, 0x66 + h);
            ip.to_string().into()
        }
    }
}

/// Whether an address belongs neither to the org, nor to its vendors, people and visitors.
pub fn is_foreign(ip: &str) -> bool {
    match ip.parse() {
        Ok(IpAddr::V4(ip)) => !matches!(ip.octets(), [198, 51, 100, _] | [203, 0, 113, _]),
        Ok(IpAddr::V6(ip)) => ip.segments()[2] >= 0xb000,
        Err(_) => false,
    }
}
