//! Names of MITRE ATT&CK: what a technique's id stands for, and the tactics that it serves.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

const NAMES: &str = include_str!("data/attack.toml");

/// Names of one version of ATT&CK Enterprise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    pub version: String,
    tactics: BTreeMap<String, String>,
    techniques: BTreeMap<String, Technique>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Technique {
    name: String,
    /// Empty for a sub-technique: they are those of its technique.
    #[serde(default)]
    tactics: Vec<String>,
}

impl Attack {
    /// The names compiled in.
    pub fn get() -> &'static Self {
        static ATTACK: OnceLock<Attack> = OnceLock::new();
        // The text is compiled in and read by a test.
        ATTACK.get_or_init(|| toml::from_str(NAMES).unwrap_or_default())
    }

    /// Name of a technique or sub-technique, if it is known.
    pub fn name(&self, id: &str) -> Option<&str> {
        Some(self.techniques.get(id)?.name.as_str())
    }

    /// Id and name of each tactic that a technique, or that of a sub-technique, serves.
    pub fn tactics(&self, id: &str) -> Vec<(&str, &str)> {
        let of = |id: &str| self.techniques.get(id).map(|technique| &technique.tactics);
        let (technique, _) = id.split_once('.').unwrap_or((id, ""));
        let own = of(id).filter(|tactics| !tactics.is_empty());
        let ids = own.or_else(|| of(technique)).into_iter().flatten();
        ids.filter_map(|id| Some((id.as_str(), self.tactics.get(id)?.as_str())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleSet;

    #[test]
    fn every_technique_of_the_rules_has_a_name_and_a_tactic() {
        let attack: Attack = toml::from_str(NAMES).unwrap();
        for rule in RuleSet::embedded().unwrap().iter() {
            for id in &rule.attack {
                assert!(attack.name(id).is_some(), "{id} of {}", rule.id);
                assert!(!attack.tactics(id).is_empty(), "{id} of {}", rule.id);
                let (technique, _) = id.split_once('.').unwrap_or((id, ""));
                assert!(attack.name(technique).is_some(), "{technique}");
            }
        }
    }

    #[test]
    fn a_sub_technique_serves_the_tactics_of_its_technique() {
        let attack = Attack::get();
        assert_eq!(attack.name("T1110.003"), Some("Password Spraying"));
        assert_eq!(
            attack.tactics("T1110.003"),
            [("TA0006", "Credential Access")]
        );
        assert!(attack.name("T9999").is_none() && attack.tactics("T9999").is_empty());
    }
}
