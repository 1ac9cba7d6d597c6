//! The registry's networks and windows by row: `in_networks`, `nearest_network`, `in_window`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use datafusion::common::exec_err;
use datafusion::logical_expr::ScalarUDF;

use super::address::address;
use super::scalar::{RowFunction, cell, text, text_rows};
use crate::catalog::timestamp_ms;
use crate::registry::{Networks, WindowKind};

const TEXT: DataType = DataType::Utf8View;

pub(super) fn functions(networks: &Arc<Networks>) -> Vec<ScalarUDF> {
    vec![
        in_networks(networks),
        nearest_network(networks),
        in_window(networks),
    ]
}

/// `in_networks(user_key, ip, at)`: whether a network that is declared for the user and valid
/// at that time holds the address. NULL where none is declared and valid, or where the text is
/// no address.
fn in_networks(networks: &Arc<Networks>) -> ScalarUDF {
    let networks = Arc::clone(networks);
    let takes = vec![TEXT, TEXT, timestamp_ms()];
    RowFunction::udf("in_networks", takes, DataType::Boolean, move |args| {
        let rows = Rows::of(args);
        let inside: BooleanArray = (0..rows.len())
            .map(|row| {
                let (user, at) = rows.user_at(row)?;
                networks.contains(user, rows.address(row)?, at)
            })
            .collect();
        Ok(Arc::new(inside))
    })
}

/// `nearest_network(user_key, ip, at)`: the declared network that the address is in or nearest
/// to, for messages. NULL as in `in_networks`.
fn nearest_network(networks: &Arc<Networks>) -> ScalarUDF {
    let networks = Arc::clone(networks);
    let takes = vec![TEXT, TEXT, timestamp_ms()];
    RowFunction::udf("nearest_network", takes, TEXT, move |args| {
        let rows = Rows::of(args);
        Ok(text_rows(rows.len(), |row| {
            let (user, at) = rows.user_at(row)?;
            networks.nearest(user, rows.address(row)?, at)
        }))
    })
}

/// `in_window(user_key, ip, at, kind)`: whether a ticketed exception of this kind (consent,
/// breakglass, maintenance) covers the user at that time from that address. A window with
/// networks never covers text that is no address. False, not NULL, where there is none; an
/// unknown kind is an error of the query.
fn in_window(networks: &Arc<Networks>) -> ScalarUDF {
    let networks = Arc::clone(networks);
    let takes = vec![TEXT, TEXT, timestamp_ms(), TEXT];
    RowFunction::udf("in_window", takes, DataType::Boolean, move |args| {
        let rows = Rows::of(args);
        let words = text(args, 3);
        let mut kinds: HashMap<&str, Option<WindowKind>> = HashMap::new();
        let mut covered = Vec::with_capacity(rows.len());
        for row in 0..rows.len() {
            let Some(word) = cell(words, row) else {
                covered.push(false);
                continue;
            };
            let Some(kind) = *kinds
                .entry(word)
                .or_insert_with(|| WindowKind::from_word(word))
            else {
                return exec_err!("in_window: the kind is consent, breakglass or maintenance");
            };
            covered.push(
                rows.user_at(row).is_some_and(|(user, at)| {
                    networks.in_window(user, rows.address(row), at, kind)
                }),
            );
        }
        Ok(Arc::new(BooleanArray::from(covered)))
    })
}

/// The arguments user key, address, time.
struct Rows<'a> {
    users: &'a arrow::array::StringViewArray,
    addresses: &'a arrow::array::StringViewArray,
    times: &'a TimestampMillisecondArray,
}

impl<'a> Rows<'a> {
    fn of(args: &'a [ArrayRef]) -> Self {
        Self {
            users: text(args, 0),
            addresses: text(args, 1),
            times: args[2].as_primitive::<TimestampMillisecondType>(),
        }
    }

    fn len(&self) -> usize {
        self.users.len()
    }

    fn user_at(&self, row: usize) -> Option<(&str, i64)> {
        let user = cell(self.users, row)?;
        self.times
            .is_valid(row)
            .then(|| (user, self.times.value(row)))
    }

    fn address(&self, row: usize) -> Option<IpAddr> {
        address(cell(self.addresses, row)?)
    }
}
