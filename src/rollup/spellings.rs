//! One login may stand in LoginHistory exports of several kinds: a SOQL export names the user by
//! id, the Setup page's download by username, and their columns differ. Rows of one kind are
//! distinct logins, however equal; rows of different kinds may be the same one.

use std::collections::HashMap;

/// What tells LoginHistory rows apart. Texts are numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub second: i64,
    pub outcome: u32,
    pub ip: Option<[u8; 16]>,
    /// None where this kind of export has no such column.
    pub login_type: Option<u32>,
    pub app: Option<u32>,
    pub status: Option<u32>,
    /// Kind of export, below 64.
    pub spelling: u8,
}

/// Groups rows of one user into logins; each group lists its rows, richest kind first.
/// Groups are in the order of their first row.
pub(super) fn merge(rows: &[Told]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    // n-th row of a kind goes with the n-th row of another kind.
    let mut equal: HashMap<Key, Vec<usize>> = HashMap::new();
    let mut seen: HashMap<(Key, u8), usize> = HashMap::new();
    for (row, told) in rows.iter().enumerate() {
        let key = key(told);
        let nth = seen.entry((key, told.spelling)).or_default();
        let places = equal.entry(key).or_default();
        match places.get(*nth) {
            Some(&group) => groups[group].push(row),
            None => {
                places.push(groups.len());
                groups.push(vec![row]);
            }
        }
        *nth += 1;
    }
    let mut groups = join_incomplete(rows, groups);
    for group in &mut groups {
        group.sort_by_key(|&row| (std::cmp::Reverse(rows[row].spelling.count_ones()), row));
    }
    groups
}

/// Second, outcome and address.
type Place = (i64, u32, Option<[u8; 16]>);

type Key = (
    i64,
    u32,
    Option<[u8; 16]>,
    Option<u32>,
    Option<u32>,
    Option<u32>,
);

fn key(told: &Told) -> Key {
    (
        told.second,
        told.outcome,
        told.ip,
        told.login_type,
        told.app,
        told.status,
    )
}

/// An export without a column (no Application, say) cannot contradict one that has it.
fn join_incomplete(rows: &[Told], groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let incomplete = |t: &Told| t.login_type.is_none() || t.app.is_none() || t.status.is_none();
    if !rows.iter().any(incomplete) {
        return groups;
    }
    let mut joined: Vec<Vec<usize>> = vec![];
    let mut at: HashMap<Place, Vec<usize>> = HashMap::new();
    for group in groups {
        let told = &rows[group[0]];
        let places = at.entry((told.second, told.outcome, told.ip)).or_default();
        let host = places.iter().copied().find(|&place| {
            let host: &Vec<usize> = &joined[place];
            host.iter().all(|&a| {
                group.iter().all(|&b| {
                    let (a, b) = (&rows[a], &rows[b]);
                    a.spelling != b.spelling && compatible(a, b)
                })
            })
        });
        match host {
            Some(place) => joined[place].extend(group),
            None => {
                places.push(joined.len());
                joined.push(group);
            }
        }
    }
    joined
}

fn compatible(a: &Told, b: &Told) -> bool {
    let fits = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    fits(a.login_type, b.login_type) && fits(a.app, b.app) && fits(a.status, b.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOQL: u8 = 0b011;
    const PAGE: u8 = 0b100;

    fn told(second: i64, spelling: u8) -> Told {
        Told {
            second,
            outcome: 0,
            ip: Some([1; 16]),
            login_type: Some(1),
            app: Some(1),
            status: Some(1),
            spelling,
        }
    }

    #[test]
    fn one_login_in_two_kinds_of_export_is_one_login() {
        assert_eq!(merge(&[told(1, PAGE), told(1, SOQL)]), [vec![1, 0]]);
    }

    #[test]
    fn two_equal_logins_of_one_export_stay_two() {
        let rows = [told(1, SOQL), told(1, SOQL), told(1, PAGE)];
        assert_eq!(merge(&rows), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn different_apps_are_different_logins() {
        let other = Told {
            app: Some(2),
            ..told(1, PAGE)
        };
        assert_eq!(merge(&[told(1, SOQL), other]), [vec![0], vec![1]]);
    }

    #[test]
    fn a_column_that_an_export_lacks_is_no_difference() {
        let no_app = Told {
            app: None,
            ..told(1, SOQL)
        };
        assert_eq!(merge(&[no_app, told(1, PAGE)]), [vec![0, 1]]);
    }
}
