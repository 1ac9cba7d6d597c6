//! How good the detections are: findings held against labels of which the answer is known.
//!
//! ```text
//! labels.csv ─► labels ─┐
//! ledger ─────► claims ─┼─► judge ─► Org ─┐
//! lake ─► comparators ──┘                 ├─► score ─► tables
//! results of other runs ─────────► Org …  ┘
//! ```
//!
//! **Matching.** A finding answers an attack's label when its rule is one of the label's `rules`,
//! it is about the label's subject, and its events overlap the label's days. Subjects agree by the
//! user where both name one, else by the app or the network. A finding about the org as a whole
//! agrees with every label, as everything does with the label of a wave: one that names neither
//! user nor app, for it strikes many users from many addresses. Days are whole UTC days, and one more after the
//! last: rules that judge whole days or look a day back tell then. What an alert counts under
//! another finding answers what that one answers. All else is told of a story (of its subject in
//! its days: a look-alike, or a false alarm where it is graver than the story's `max_severity`),
//! or it is a false alarm.
//!
//! **What counts.** Precision is about the families misuse, attack and behaviour: they claim that
//! somebody does what he should not. Findings of credential, identity and coverage that answer no
//! label are true statements about how the org is laid out, kept and logged, and listed apart as
//! hygiene; the budget of clean nights counts every family. A label is told by a rule of its
//! `must` of `min_severity` or above, a raised severity included. A clean night is a day with logs
//! on which, and on the day before which, no attack goes on.

mod claim;
mod comparators;
mod error;
mod judge;
mod labels;
mod org;
mod peers;
mod ratio;
mod result;
mod score;
mod sections;

pub use comparators::{Comparator, JudgedComparator, ask};
pub use error::EvaluateError;
pub use judge::{Judged, JudgedFinding, JudgedLabel, Verdict, judge};
pub use labels::{Kind, Label, read as read_labels};
pub use org::{Org, evaluate};
pub use peers::PeerScore;
pub use ratio::Ratio;
pub use result::{read_result, to_result};
pub use score::{BUDGET, Clean, FalseAlarm, Found, Missed, Rate, Score, Tally, score};
pub use sections::{Section, sections, share};

#[cfg(test)]
mod tests;
