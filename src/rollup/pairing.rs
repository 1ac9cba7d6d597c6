//! Which two accounts tell of one login attempt: the EventLogFile's and LoginHistory's rows of
//! one user, paired by time, address and outcome. Pure, and linear in the number of rows: every
//! candidate is found by hash, never by comparing all with all.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Farthest that the two accounts of one attempt may lie apart, in seconds.
pub(super) const MAX_SECONDS_APART: i64 = 5;

/// Within this the pair is as close as the clocks of the two logs.
const CLOSE_SECONDS: i64 = 1;

/// What pairing looks at. Texts are numbered by the caller: equal number, equal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub second: i64,
    pub outcome: u32,
    /// None where the row has no usable address.
    pub ip: Option<[u8; 16]>,
    /// The door that this account alone names.
    pub path: u32,
    /// LoginHistory's application; None in the EventLogFile.
    pub app: Option<u32>,
}

/// How sure a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// At most a second apart, and no other candidate says anything else.
    Exact,
    /// Farther apart, and no other candidate says anything else.
    Nearest,
    /// Equally good candidates name different apps, or there are fewer of them than attempts.
    Ambiguous,
}

/// For every row of `elf`, its row of `lh`, if it has one. Both in order of time; rows that tie
/// are taken in the order given.
///
/// Closest first: up to a second apart, then farther; in both, rows that name the same door
/// before others, equal addresses before one that is unusable.
pub(super) fn pair(elf: &[Account], lh: &[Account]) -> Vec<Option<(usize, Quality)>> {
    let mut matched = Matching::new(elf, lh);
    for distances in [0..=CLOSE_SECONDS, CLOSE_SECONDS + 1..=MAX_SECONDS_APART] {
        for same_path in [true, false] {
            for distance in distances.clone() {
                for same_ip in [true, false] {
                    matched.round(distance, same_path, same_ip);
                }
            }
        }
    }
    let qualities = matched.qualities();
    matched
        .of_elf
        .iter()
        .zip(qualities)
        .map(|(m, q)| Some((m.as_ref()?.lh, q?)))
        .collect()
}

/// How a row of the EventLogFile found its partner.
#[derive(Debug, Clone, Copy)]
struct Match {
    lh: usize,
    distance: i64,
    same_path: bool,
}

struct Matching<'a> {
    elf: &'a [Account],
    lh: &'a [Account],
    of_elf: Vec<Option<Match>>,
    taken: Vec<bool>,
    by_ip_and_path: Queues<(i64, u32, Option<[u8; 16]>, u32)>,
    by_ip: Queues<(i64, u32, Option<[u8; 16]>)>,
    by_path: Queues<(i64, u32, u32)>,
    by_second: Queues<(i64, u32)>,
}

type Queues<K> = HashMap<K, VecDeque<usize>>;

impl<'a> Matching<'a> {
    fn new(elf: &'a [Account], lh: &'a [Account]) -> Self {
        Self {
            elf,
            lh,
            of_elf: vec![None; elf.len()],
            taken: vec![false; lh.len()],
            by_ip_and_path: queues(lh, |a| (a.second, a.outcome, a.ip, a.path)),
            by_ip: queues(lh, |a| (a.second, a.outcome, a.ip)),
            by_path: queues(lh, |a| (a.second, a.outcome, a.path)),
            by_second: queues(lh, |a| (a.second, a.outcome)),
        }
    }

    fn round(&mut self, distance: i64, same_path: bool, same_ip: bool) {
        if self.lh.is_empty() {
            return;
        }
        for n in 0..self.elf.len() {
            if self.of_elf[n].is_some() {
                continue;
            }
            // LoginHistory cuts fractions off, so the earlier second is the likelier.
            let seconds = [self.elf[n].second - distance, self.elf[n].second + distance];
            let found = seconds
                .into_iter()
                .find_map(|second| self.free(&self.elf[n].clone(), second, same_path, same_ip));
            if let Some(lh) = found {
                self.taken[lh] = true;
                self.of_elf[n] = Some(Match {
                    lh,
                    distance,
                    same_path,
                });
            }
        }
    }

    /// The first free row of LoginHistory at that second.
    fn free(&mut self, a: &Account, second: i64, same_path: bool, same_ip: bool) -> Option<usize> {
        let taken = &self.taken;
        let mut keyed = |ip| match same_path {
            true => front(
                &mut self.by_ip_and_path,
                &(second, a.outcome, ip, a.path),
                taken,
            ),
            false => front(&mut self.by_ip, &(second, a.outcome, ip), taken),
        };
        match (same_ip, a.ip) {
            (true, ip) => keyed(ip),
            (false, Some(_)) => keyed(None),
            (false, None) if same_path => {
                front(&mut self.by_path, &(second, a.outcome, a.path), taken)
            }
            (false, None) => front(&mut self.by_second, &(second, a.outcome), taken),
        }
    }

    fn qualities(&self) -> Vec<Option<Quality>> {
        let rivals = self.apps_by_place();
        let groups = self.groups();
        self.of_elf
            .iter()
            .zip(self.elf)
            .map(|(m, a)| {
                let m = m.as_ref()?;
                let contested = groups.get(&group(a)).is_some_and(Group::is_contested)
                    || self.rivals_differ(&rivals, a, m);
                Some(match m.distance {
                    _ if contested => Quality::Ambiguous,
                    0..=CLOSE_SECONDS => Quality::Exact,
                    _ => Quality::Nearest,
                })
            })
            .collect()
    }

    /// Rows of LoginHistory as near as the partner, with an app of their own.
    fn rivals_differ(&self, rivals: &HashMap<Place, Apps>, a: &Account, m: &Match) -> bool {
        let partner = &self.lh[m.lh];
        let path = m.same_path.then_some(a.path);
        [a.second - m.distance, a.second + m.distance]
            .into_iter()
            .any(|second| {
                rivals
                    .get(&Place {
                        second,
                        outcome: a.outcome,
                        ip: partner.ip,
                        path,
                    })
                    .is_some_and(|apps| *apps != Apps::All(partner.app))
            })
    }

    fn apps_by_place(&self) -> HashMap<Place, Apps> {
        let mut places: HashMap<Place, Apps> = HashMap::new();
        for a in self.lh {
            for path in [None, Some(a.path)] {
                let place = Place {
                    second: a.second,
                    outcome: a.outcome,
                    ip: a.ip,
                    path,
                };
                places
                    .entry(place)
                    .and_modify(|apps| apps.add(a.app))
                    .or_insert(Apps::All(a.app));
            }
        }
        places
    }

    fn groups(&self) -> HashMap<GroupKey, Group> {
        let mut groups: HashMap<GroupKey, Group> = HashMap::new();
        for (m, a) in self.of_elf.iter().zip(self.elf) {
            let group = groups.entry(group(a)).or_default();
            match m {
                None => group.unmatched = true,
                Some(m) => {
                    let app = self.lh[m.lh].app;
                    match &mut group.apps {
                        None => group.apps = Some(Apps::All(app)),
                        Some(apps) => apps.add(app),
                    }
                }
            }
        }
        groups
    }
}

fn queues<K: Eq + Hash>(rows: &[Account], key: impl Fn(&Account) -> K) -> Queues<K> {
    let mut queues: Queues<K> = HashMap::new();
    for (n, row) in rows.iter().enumerate() {
        queues.entry(key(row)).or_default().push_back(n);
    }
    queues
}

fn front<K: Eq + Hash>(queues: &mut Queues<K>, key: &K, taken: &[bool]) -> Option<usize> {
    let queue = queues.get_mut(key)?;
    while queue.front().is_some_and(|&n| taken[n]) {
        queue.pop_front();
    }
    queue.front().copied()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    second: i64,
    outcome: u32,
    ip: Option<[u8; 16]>,
    path: Option<u32>,
}

/// The apps named at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apps {
    All(Option<u32>),
    Several,
}

impl Apps {
    fn add(&mut self, app: Option<u32>) {
        if *self != Self::All(app) {
            *self = Self::Several;
        }
    }
}

/// Rows of the EventLogFile that nothing but their order tells apart.
type GroupKey = (i64, u32, Option<[u8; 16]>, u32);

fn group(a: &Account) -> GroupKey {
    (a.second, a.outcome, a.ip, a.path)
}

#[derive(Debug, Default)]
struct Group {
    apps: Option<Apps>,
    unmatched: bool,
}

impl Group {
    /// Which of its rows has which partner is a guess that matters.
    fn is_contested(&self) -> bool {
        match self.apps {
            None => false,
            Some(Apps::Several) => true,
            Some(Apps::All(_)) => self.unmatched,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Option<[u8; 16]> = Some([1; 16]);
    const AWAY: Option<[u8; 16]> = Some([2; 16]);

    fn at(second: i64) -> Account {
        Account {
            second,
            outcome: 0,
            ip: HOME,
            path: 0,
            app: None,
        }
    }

    fn app(second: i64, app: u32) -> Account {
        Account {
            app: Some(app),
            ..at(second)
        }
    }

    #[test]
    fn two_accounts_within_a_second_are_one_attempt() {
        assert_eq!(pair(&[at(10)], &[app(10, 1)]), [Some((0, Quality::Exact))]);
        assert_eq!(pair(&[at(10)], &[app(11, 1)]), [Some((0, Quality::Exact))]);
    }

    #[test]
    fn five_seconds_are_one_attempt_and_six_are_two() {
        assert_eq!(
            pair(&[at(10)], &[app(15, 1)]),
            [Some((0, Quality::Nearest))]
        );
        assert_eq!(pair(&[at(10)], &[app(16, 1)]), [None]);
    }

    #[test]
    fn another_outcome_or_another_address_is_another_attempt() {
        let failed = Account {
            outcome: 1,
            ..app(10, 1)
        };
        let elsewhere = Account {
            ip: AWAY,
            ..app(10, 1)
        };
        assert_eq!(pair(&[at(10)], &[failed, elsewhere]), [None]);
    }

    #[test]
    fn an_unusable_address_is_no_contradiction_on_either_side() {
        let blind = Account {
            ip: None,
            ..app(10, 1)
        };
        assert_eq!(pair(&[at(10)], &[blind]), [Some((0, Quality::Exact))]);
        let blind = Account { ip: None, ..at(10) };
        assert_eq!(pair(&[blind], &[app(10, 1)]), [Some((0, Quality::Exact))]);
    }

    #[test]
    fn equally_near_candidates_of_different_apps_leave_the_app_open() {
        let both = pair(&[at(10), at(10)], &[app(10, 1), app(10, 2)]);
        assert_eq!(
            both,
            [Some((0, Quality::Ambiguous)), Some((1, Quality::Ambiguous))]
        );
        assert_eq!(
            pair(&[at(10)], &[app(9, 1), app(11, 2)]),
            [Some((0, Quality::Ambiguous))]
        );
    }

    #[test]
    fn candidates_of_one_app_do_not_contradict_each_other() {
        let both = pair(&[at(10), at(10)], &[app(10, 1), app(10, 1)]);
        assert_eq!(both, [Some((0, Quality::Exact)), Some((1, Quality::Exact))]);
    }

    #[test]
    fn one_account_for_two_indistinguishable_attempts_is_ambiguous() {
        assert_eq!(
            pair(&[at(10), at(10)], &[app(10, 1)]),
            [Some((0, Quality::Ambiguous)), None]
        );
    }

    #[test]
    fn each_attempt_gets_its_nearest_account() {
        let pairs = pair(&[at(10), at(13)], &[app(10, 1), app(13, 2)]);
        assert_eq!(
            pairs,
            [Some((0, Quality::Exact)), Some((1, Quality::Exact))]
        );
    }

    #[test]
    fn the_door_tells_simultaneous_attempts_apart() {
        let page = |a: Account| Account { path: 7, ..a };
        let pairs = pair(&[at(10), page(at(10))], &[page(app(10, 1)), app(10, 2)]);
        assert_eq!(
            pairs,
            [Some((1, Quality::Exact)), Some((0, Quality::Exact))]
        );
    }

    #[test]
    fn a_burst_costs_no_more_than_its_rows() {
        let elf: Vec<Account> = (0..200_000).map(|n| at(n / 20_000)).collect();
        let lh: Vec<Account> = (0..200_000)
            .map(|n| app(n / 20_000, (n % 7) as u32))
            .collect();
        let pairs = pair(&elf, &lh);
        assert!(
            pairs
                .iter()
                .all(|p| matches!(p, Some((_, Quality::Ambiguous))))
        );
    }
}
