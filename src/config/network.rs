//! Networks as people write them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::value::BadValue;

/// A network in CIDR form; a single address is a network of one. IPv4 inside IPv6 is unfolded.
/// Host bits are refused rather than cut: `198.51.100.7/28` may mean one host or sixteen.
pub fn parse_network(text: &str) -> Result<IpNet, BadValue> {
    let text = text.trim();
    let shown = crate::privacy::printable(text, 60);
    let Some((address, prefix)) = text.split_once('/') else {
        let bad = |_| {
            BadValue::new(
                format!("\"{shown}\" is no network"),
                "write address/prefix, as in 198.51.100.0/28 or 2001:db8::/48",
            )
        };
        return Ok(unfolded(IpNet::from(text.parse::<IpAddr>().map_err(bad)?)));
    };
    let bad_address = |_| {
        BadValue::new(
            format!("\"{shown}\" has no address before the /"),
            "write address/prefix, as in 198.51.100.0/28 or 2001:db8::/48",
        )
    };
    let address: IpAddr = address.parse().map_err(bad_address)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let digits =
        !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
    let net = prefix
        .parse()
        .ok()
        .filter(|_| digits)
        .and_then(|bits| IpNet::new(address, bits).ok());
    let Some(net) = net else {
        let message = format!("\"{shown}\" has no valid prefix length after the /");
        return Err(BadValue::new(
            message,
            format!("a number from 0 to {longest}"),
        ));
    };
    if net.addr() != net.network() {
        let message = format!("\"{shown}\" has bits set behind its prefix");
        let hint = format!(
            "the network is {}, the single address {}",
            net.trunc(),
            IpNet::from(address)
        );
        return Err(BadValue::new(message, hint));
    }
    Ok(unfolded(net))
}

fn unfolded(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        // 128 - 96 bits are left at most, so the prefix fits IPv4.
        (Some(v4), Some(bits)) => IpNet::new(IpAddr::V4(v4), bits).unwrap_or(net),
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(text: &str) -> String {
        parse_network(text).unwrap_err().hint.unwrap()
    }

    #[test]
    fn networks_of_both_families_are_read() {
        for (text, net) in [
            ("198.51.100.0/28", "198.51.100.0/28"),
            ("2001:DB8:10::/48", "2001:db8:10::/48"),
            ("198.51.100.7", "198.51.100.7/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:198.51.100.0/120", "198.51.100.0/24"),
            ("::ffff:198.51.100.7", "198.51.100.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), net, "{text}");
        }
    }

    #[test]
    fn host_bits_are_refused_with_the_network_that_was_meant() {
        assert_eq!(
            hint("198.51.100.7/28"),
            "the network is 198.51.100.0/28, the single address 198.51.100.7/32"
        );
        assert!(hint("2001:db8::1/48").starts_with("the network is 2001:db8::/48"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_form_to_write() {
        for text in [
            "198.51.100/24",
            "erp",
            "",
            "198.51.100.256/24",
            "198.51.100.07/32",
            "/24",
        ] {
            assert!(hint(text).contains("address/prefix"), "{text}");
        }
        for text in [
            "198.51.100.0/33",
            "198.51.100.0/",
            "198.51.100.0/-1",
            "198.51.100.0/+8",
        ] {
            assert_eq!(hint(text), "a number from 0 to 32", "{text}");
        }
        assert_eq!(hint("2001:db8::/129"), "a number from 0 to 128");
    }
}
