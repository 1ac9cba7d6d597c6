//! Inputs of rules that are no logs: what others know of addresses, user agents and apps. A rule
//! that needs a file which is not configured is told as such and never asked.

use chrono::NaiveDate;

use super::inputs::Sight;
use crate::enrich::Enrichment;

/// Names of these inputs.
pub const KNOWLEDGE: [&str; 4] = ["asn", "locations", "network_lists", "indicators"];

/// Which of them are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    asn: bool,
    locations: bool,
    /// Last day on which an entry of the network lists holds.
    listed_until: Option<NaiveDate>,
    indicators: bool,
}

impl Known {
    pub fn of(enrichment: &Enrichment) -> Self {
        let tells = enrichment.tells();
        Self {
            asn: tells.asn,
            locations: tells.location,
            listed_until: enrichment.last_listed_day(),
            indicators: !enrichment.indicators().is_empty(),
        }
    }

    /// Judges one of [`KNOWLEDGE`] for a night that ends with `last_day`.
    pub fn judge(&self, name: &str, last_day: NaiveDate) -> Sight {
        let never = |what: &str| Sight::NeverHadInput(format!("never had input: {what}"));
        match name {
            "asn" if !self.asn => {
                never("needs an address database with autonomous systems (`databases` in [enrich])")
            }
            "locations" if !self.locations => {
                never("needs an address database with locations (`databases` in [enrich])")
            }
            "indicators" if !self.indicators => never("there are no indicators"),
            "network_lists" => match self.listed_until {
                None => never("needs a network list (`networks` in [enrich])"),
                Some(day) if day < last_day => Sight::Blind(format!(
                    "blind: the last entry of the network lists ended on {day}"
                )),
                Some(_) => Sight::Sees,
            },
            _ => Sight::Sees,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::StatedNetwork;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_configured_was_never_there_and_lists_that_ended_are_blind() {
        let last = day("2026-01-31");
        let nothing = Known::of(&Enrichment::none());
        for name in KNOWLEDGE {
            assert!(
                matches!(nothing.judge(name, last), Sight::NeverHadInput(_)),
                "{name}"
            );
        }
        let shipped = Known::of(&Enrichment::shipped().unwrap());
        assert_eq!(shipped.judge("indicators", last), Sight::Sees);

        let listed = |valid_to: &str| {
            let stated = StatedNetwork {
                network: "192.0.2.0/24".parse().unwrap(),
                asn: Some(64_500),
                as_name: None,
                country: None,
                latitude: None,
                longitude: None,
                radius_km: None,
                class: crate::enrich::NetworkClass::from_word("tor"),
                valid: crate::clock::Validity {
                    to_ms: day(valid_to)
                        .and_time(Default::default())
                        .and_utc()
                        .timestamp_millis(),
                    ..crate::clock::Validity::ALWAYS
                },
            };
            Known::of(&Enrichment::stated(&[stated], None).unwrap())
        };
        let known = listed("2026-02-01");
        assert_eq!(known.judge("asn", last), Sight::Sees);
        assert!(matches!(
            known.judge("locations", last),
            Sight::NeverHadInput(_)
        ));
        assert_eq!(known.judge("network_lists", last), Sight::Sees);
        let Sight::Blind(reason) = listed("2026-01-31").judge("network_lists", last) else {
            panic!("lists that ended must be told");
        };
        assert!(reason.contains("2026-01-30"), "{reason}");
    }
}
