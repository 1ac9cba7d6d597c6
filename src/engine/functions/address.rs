//! Addresses and ids: `ip_in`, `ip_kind`, `network_of`, `sf_id18`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, FixedSizeBinaryBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::exec_err;
use datafusion::logical_expr::ScalarUDF;
use ipnet::IpNet;

use super::scalar::{RowFunction, cell, map_text, text, text_rows};
use crate::catalog::{classify, ip_key, parse_ip, sf_id18};

const TEXT: DataType = DataType::Utf8View;

/// Prefix lengths of `network_of` where the query gives none.
const NETWORK_V4: u8 = 24;
const NETWORK_V6: u8 = 48;

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        ip_in(),
        ip_key_udf(),
        ip_kind(),
        network_of(),
        sf_id18_udf(),
    ]
}

/// The address in a text, IPv4 inside IPv6 unfolded.
pub(super) fn address(value: &str) -> Option<IpAddr> {
    parse_ip(value.as_bytes())
}

/// `ip_in(ip, cidr)`: whether the address lies in the network (`198.51.100.0/28`) or is the
/// address (`198.51.100.3`). NULL where either is NULL, is no address or no network. An address
/// of one family is in no network of the other; IPv4 inside IPv6 counts as IPv4.
fn ip_in() -> ScalarUDF {
    RowFunction::udf("ip_in", vec![TEXT, TEXT], DataType::Boolean, |args| {
        let (ips, cidrs) = (text(args, 0), text(args, 1));
        let mut networks: HashMap<&str, Option<IpNet>> = HashMap::new();
        let inside: BooleanArray = (0..ips.len())
            .map(|row| {
                let ip = address(cell(ips, row)?)?;
                let cidr = cell(cidrs, row)?;
                let network = networks.entry(cidr).or_insert_with(|| network(cidr));
                Some(network.as_ref()?.contains(&ip))
            })
            .collect();
        Ok(Arc::new(inside))
    })
}

/// A network in CIDR form or a single address; a mapped IPv4 network is unfolded.
pub(super) fn network(cidr: &str) -> Option<IpNet> {
    let Ok(network) = cidr.trim().parse::<IpNet>() else {
        return address(cidr).map(IpNet::from);
    };
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - 96).ok(),
            None => Some(network),
        },
        _ => Some(network),
    }
}

/// `ip_key(text)`: the address in 16 bytes that compare as addresses do, IPv4 mapped into IPv6;
/// NULL where the text is no address. As the column `ip_key` of the logs.
fn ip_key_udf() -> ScalarUDF {
    const KEY_BYTES: i32 = 16;
    let returns = DataType::FixedSizeBinary(KEY_BYTES);
    RowFunction::udf("ip_key", vec![TEXT], returns, |args| {
        let cells = text(args, 0);
        let mut keys = FixedSizeBinaryBuilder::with_capacity(cells.len(), KEY_BYTES);
        for row in 0..cells.len() {
            match cell(cells, row).and_then(address) {
                Some(ip) => keys.append_value(ip_key(ip))?,
                None => keys.append_null(),
            }
        }
        Ok(Arc::new(keys.finish()))
    })
}

/// `ip_kind(text)`: public, private, salesforce, unparsed or missing (also for NULL).
fn ip_kind() -> ScalarUDF {
    RowFunction::udf("ip_kind", vec![TEXT], TEXT, |args| {
        let cells = text(args, 0);
        Ok(text_rows(cells.len(), |row| {
            let value = cell(cells, row).unwrap_or_default();
            Some(classify(value.as_bytes()).0.as_str())
        }))
    })
}

/// `network_of(ip[, v4_prefix, v6_prefix])`: the network around an address in CIDR form, /24 and
/// /48 unless said otherwise. NULL where the text is no address. A prefix longer than the family
/// has bits is an error of the query.
fn network_of() -> ScalarUDF {
    let long = vec![TEXT, DataType::Int64, DataType::Int64];
    RowFunction::with_forms("network_of", vec![vec![TEXT], long], TEXT, |args| {
        let ips = text(args, 0);
        let prefix = |index: usize, row: usize, default: i64| match args.get(index) {
            None => Some(default),
            Some(array) => array
                .is_valid(row)
                .then(|| array.as_primitive::<Int64Type>().value(row)),
        };
        let mut wrong = None;
        let networks = text_rows(ips.len(), |row| {
            let ip = address(cell(ips, row)?)?;
            let bits = match ip {
                IpAddr::V4(_) => prefix(1, row, NETWORK_V4.into())?,
                IpAddr::V6(_) => prefix(2, row, NETWORK_V6.into())?,
            };
            let network = u8::try_from(bits)
                .ok()
                .and_then(|bits| IpNet::new(ip, bits).ok());
            if network.is_none() {
                wrong = Some(bits);
            }
            network.map(|n| n.trunc().to_string())
        });
        match wrong {
            Some(bits) => {
                exec_err!("network_of: {bits} is no prefix length of the address's family")
            }
            None => Ok(networks),
        }
    })
}

/// `network_of` of an address without prefixes.
pub fn network_around(ip: IpAddr) -> IpNet {
    let bits = if ip.is_ipv4() { NETWORK_V4 } else { NETWORK_V6 };
    // Both are shorter than their families' addresses.
    IpNet::new(ip, bits)
        .unwrap_or_else(|_| IpNet::from(ip))
        .trunc()
}

/// `sf_id18(text)`: the 18-character form of a Salesforce id of 15 or 18 characters, else NULL.
fn sf_id18_udf() -> ScalarUDF {
    RowFunction::udf("sf_id18", vec![TEXT], TEXT, |args| {
        Ok(map_text(args, sf_id18))
    })
}
