//! What a test case says of networks, in the place of databases and lists.

use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::database::Tells;
use super::networks::{NetworkClass, NetworkLists};
use super::place::{Place, Point, country_code};
use crate::clock::Validity;

/// Name of the list that the stated classes make.
const LIST: &str = "case";

/// One statement; what is not said is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct StatedNetwork {
    pub network: IpNet,
    pub asn: Option<u32>,
    pub as_name: Option<String>,
    /// ISO code of two letters.
    pub country: Option<String>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub radius_km: Option<f64>,
    pub class: Option<NetworkClass>,
    /// Of the class alone: places have no time.
    pub valid: Validity,
}

/// Places by network; of several networks around an address the narrowest that knows is believed.
#[derive(Debug, Default)]
pub(super) struct StatedPlaces {
    places: JointPrefixMap<IpNet, Place>,
    tells: Tells,
}

impl StatedPlaces {
    pub fn of(networks: &[StatedNetwork]) -> Self {
        let mut all = Self::default();
        for stated in networks {
            let point = stated.latitude.zip(stated.longitude);
            let place = Place {
                asn: stated.asn,
                as_name: stated.as_name.as_deref().map(Into::into),
                country: stated.country.as_deref().and_then(country_code),
                point: point.and_then(|(lat, lon)| Point::new(lat, lon, stated.radius_km)),
            };
            all.tells.asn |= place.asn.is_some();
            all.tells.country |= place.country.is_some();
            all.tells.location |= place.point.is_some();
            // Two statements about one network add to each other.
            let known = all.places.remove(&stated.network).unwrap_or_default();
            all.places.insert(stated.network, known.or(place));
        }
        all
    }

    pub fn tells(&self) -> Tells {
        self.tells
    }

    pub fn place(&self, ip: IpAddr) -> Place {
        let around = self.places.cover_values(&IpNet::from(ip));
        // The widest comes first.
        around.fold(Place::default(), |wider, narrower| {
            narrower.clone().or(wider)
        })
    }
}

/// The stated classes as a list.
pub(super) fn lists(networks: &[StatedNetwork]) -> NetworkLists {
    let mut lists = NetworkLists::default();
    for stated in networks {
        if let Some(class) = stated.class {
            lists.add(stated.network, class, LIST, stated.valid);
        }
    }
    lists.indexed()
}
