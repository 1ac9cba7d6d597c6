//! The networks to propose for an account, and the addresses that are not.

use std::net::IpAddr;

use chrono::NaiveDate;
use ipnet::IpNet;

use super::model::{Account, Sight};
use super::trust::{Scale, Trust};
use crate::registry::{Bounds, Standing, aggregate};

/// A network to propose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposed {
    pub net: IpNet,
    /// All that was seen from inside of it.
    pub sight: Sight,
    /// Addresses of it that were seen.
    pub addresses: usize,
    /// Those of them that nothing but their neighbours speaks for.
    pub by_neighbours: Vec<IpAddr>,
    /// First day on which it no longer holds.
    pub given_up: Option<NaiveDate>,
}

/// An address that is not proposed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    pub ip: IpAddr,
    pub sight: Sight,
    pub trust: Trust,
}

/// Splits what was seen into what may be proposed and what may not.
pub(super) fn networks(
    account: &Account,
    scale: &Scale,
    bounds: &Bounds,
) -> (Vec<Proposed>, Vec<Refused>) {
    let units = sights_of_units(account, bounds);
    let trust_of = |ip: &IpAddr| {
        units
            .get(&unit(*ip, bounds))
            .map(|sight| scale.judge(sight))
    };
    let standings: Vec<(IpAddr, Standing)> = account
        .addresses
        .keys()
        .filter_map(|ip| match trust_of(ip)? {
            Trust::Proven => Some((*ip, Standing::Proven)),
            // Long ago and from next door: an address of the same pool, not of an attack that
            // may still go on.
            Trust::Rare => Some((*ip, Standing::Neighbour)),
            Trust::RareAndRecent | Trust::New => None,
        })
        .collect();
    let mut proposed: Vec<Proposed> = aggregate(&standings, bounds)
        .into_iter()
        .map(|net| Proposed {
            net,
            sight: Sight::default(),
            addresses: 0,
            by_neighbours: vec![],
            given_up: None,
        })
        .collect();
    let mut refused = vec![];
    for (ip, sight) in &account.addresses {
        let Some(own) = proposed.iter_mut().find(|own| own.net.contains(ip)) else {
            let trust = trust_of(ip).unwrap_or(Trust::Rare);
            refused.push(Refused {
                ip: *ip,
                sight: sight.clone(),
                trust,
            });
            continue;
        };
        own.sight.add(sight);
        own.addresses += 1;
        if trust_of(ip) != Some(Trust::Proven) {
            own.by_neighbours.push(*ip);
        }
    }
    for own in &mut proposed {
        own.given_up = scale.given_up(&own.sight);
    }
    (proposed, refused)
}

/// What is judged as one: an IPv4 address, and the /64 of an IPv6 address, in which hosts may
/// change their address daily.
fn unit(ip: IpAddr, bounds: &Bounds) -> IpNet {
    match ip {
        IpAddr::V6(_) if bounds.max_prefix_v6 <= 64 => {
            IpNet::new(ip, 64).map_or(IpNet::from(ip), |net| net.trunc())
        }
        ip => IpNet::from(ip),
    }
}

fn sights_of_units(account: &Account, bounds: &Bounds) -> std::collections::BTreeMap<IpNet, Sight> {
    let mut units = std::collections::BTreeMap::<IpNet, Sight>::new();
    for (ip, sight) in &account.addresses {
        units.entry(unit(*ip, bounds)).or_default().add(sight);
    }
    units
}
