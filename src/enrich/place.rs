//! What is known of an address: who runs its network, and where it is.

use std::sync::Arc;

/// Mean radius of the Earth.
const EARTH_KM: f64 = 6_371.008_8;

/// What is known of one address; None where nothing is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Place {
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs it.
    pub as_name: Option<Arc<str>>,
    /// ISO 3166 code of two capital letters.
    pub country: Option<Arc<str>>,
    pub point: Option<Point>,
}

/// A place on the map, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub latitude: f64,
    pub longitude: f64,
    /// The address is probably within this distance.
    pub radius_km: Option<f64>,
}

impl Place {
    /// This, and of what it does not know, the other.
    pub(super) fn or(self, other: Self) -> Self {
        // A name belongs to the number beside it.
        let (asn, as_name) = match self.asn {
            Some(asn) => (Some(asn), self.as_name),
            None => (other.asn, other.as_name.or(self.as_name)),
        };
        Self {
            asn,
            as_name,
            country: self.country.or(other.country),
            point: self.point.or(other.point),
        }
    }
}

impl Point {
    /// None for what is no place on Earth.
    pub(super) fn new(latitude: f64, longitude: f64, radius_km: Option<f64>) -> Option<Self> {
        let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        on_earth.then_some(Self {
            latitude,
            longitude,
            radius_km: radius_km.filter(|radius| radius.is_finite() && *radius >= 0.0),
        })
    }
}

/// Two letters, as capitals.
pub(super) fn country_code(written: &str) -> Option<Arc<str>> {
    let plain = written.len() == 2 && written.bytes().all(|b| b.is_ascii_alphabetic());
    plain.then(|| written.to_ascii_uppercase().into())
}

/// Distance along the surface in kilometres, to half a percent; None where a coordinate is no
/// place on Earth.
pub fn km_between(from: (f64, f64), to: (f64, f64)) -> Option<f64> {
    let from = Point::new(from.0, from.1, None)?;
    let to = Point::new(to.0, to.1, None)?;
    let (lat_a, lat_b) = (from.latitude.to_radians(), to.latitude.to_radians());
    let north = ((lat_b - lat_a) / 2.0).sin().powi(2);
    let east = ((to.longitude - from.longitude).to_radians() / 2.0)
        .sin()
        .powi(2);
    let chord = (north + lat_a.cos() * lat_b.cos() * east).clamp(0.0, 1.0);
    Some(2.0 * EARTH_KM * chord.sqrt().asin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_agree_with_the_map_and_hold_at_its_edges() {
        let km = |a, b| km_between(a, b).unwrap().round();
        let (berlin, sao_paulo) = ((52.52, 13.405), (-23.55, -46.633));
        assert_eq!(km(berlin, sao_paulo), 10_253.0);
        assert_eq!(km(sao_paulo, berlin), km(berlin, sao_paulo));
        assert_eq!(km(berlin, berlin), 0.0);
        // Two sides of the date line, and two ends of the Earth.
        assert_eq!(km((0.0, 179.5), (0.0, -179.5)), 111.0);
        assert_eq!(km((90.0, 0.0), (-90.0, 120.0)), 20_015.0);
        for wrong in [
            (91.0, 0.0),
            (0.0, 181.0),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(km_between(wrong, berlin), None);
        }
    }

    #[test]
    fn a_name_never_comes_to_a_number_that_is_not_its_own() {
        let place = |asn, name: Option<&str>| Place {
            asn,
            as_name: name.map(Into::into),
            ..Place::default()
        };
        let other = place(Some(64_501), Some("Other"));
        assert_eq!(
            place(Some(64_500), None).or(other.clone()),
            place(Some(64_500), None)
        );
        assert_eq!(place(None, None).or(other.clone()), other);
    }
}
