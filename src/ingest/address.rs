//! The address of each row, from its address columns.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::column::{Cells, Texts};
use crate::catalog::{IpKind, classify, ip_key, parse_ip};

const KEY_BYTES: usize = 16;

/// What one pair of cells comes to.
#[derive(Clone, Copy)]
struct Address {
    text: Option<u128>,
    kind: Option<u128>,
    key: Option<[u8; KEY_BYTES]>,
}

/// `ip`, `ip_key` and `ip_kind`: of the first of at most two address columns that parses, else
/// of the first one that holds anything.
pub fn addresses(cells: &Cells, columns: &[usize]) -> Result<[ArrayRef; 3], ArrowError> {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    let mut kinds = Texts::new(rows);
    let mut keys = Vec::with_capacity(rows * KEY_BYTES);
    let mut valid = Vec::with_capacity(rows);
    let mut seen: HashMap<[&[u8]; 2], Address> = HashMap::new();
    for row in 0..rows {
        let raw = |n: usize| columns.get(n).map_or(&[][..], |&c| cells.raw(row, c));
        let pair = [raw(0), raw(1)];
        let address = *seen.entry(pair).or_insert_with(|| {
            let ip = pair.iter().find_map(|cell| parse_ip(cell));
            Address {
                text: ip.and_then(|ip| texts.make_text(&ip.to_string())),
                kind: kinds.make_text(kind(ip, &pair).as_str()),
                key: ip.map(ip_key),
            }
        });
        texts.push_made(address.text);
        kinds.push_made(address.kind);
        keys.extend(address.key.unwrap_or_default());
        valid.push(address.key.is_some());
    }
    let width = KEY_BYTES as i32;
    let keys = FixedSizeBinaryArray::try_new(
        width,
        Buffer::from_vec(keys),
        Some(NullBuffer::from(valid)),
    )?;
    Ok([
        texts.finish(cells.bytes),
        Arc::new(keys),
        kinds.finish(cells.bytes),
    ])
}

fn kind(ip: Option<IpAddr>, cells: &[&[u8]]) -> IpKind {
    match ip {
        Some(ip) => IpKind::of(ip),
        None => cells
            .iter()
            .map(|cell| classify(cell).0)
            .find(|kind| *kind != IpKind::Missing)
            .unwrap_or(IpKind::Missing),
    }
}
