//! Lists of networks by what stands behind them: Tor exits, VPNs, proxies, hosting, and the
//! operator's own way out.

use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::csv_rows::CsvRows;
use super::validity;
use crate::clock::Validity;
use crate::config::{Fault, hint_for_word, parse_network};

const COLUMNS: [&str; 5] = ["network", "class", "list", "valid_from", "valid_to"];
/// Of these, the ones that must be there.
const REQUIRED: usize = 2;

/// Longest name of a list, in characters.
const LONGEST_NAME: usize = 100;

/// What stands behind a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkClass {
    Tor,
    Vpn,
    Proxy,
    Hosting,
    /// A way out that many share and that says nothing of where they are: a company's own VPN or
    /// secure gateway, a mobile carrier.
    Egress,
}

impl NetworkClass {
    pub const ALL: [Self; 5] = [
        Self::Tor,
        Self::Vpn,
        Self::Proxy,
        Self::Hosting,
        Self::Egress,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tor => "tor",
            Self::Vpn => "vpn",
            Self::Proxy => "proxy",
            Self::Hosting => "hosting",
            Self::Egress => "egress",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// One row of the table `network_lists`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedNetwork {
    pub network: IpNet,
    pub class: NetworkClass,
    /// Place of the list's name in [`NetworkLists::names`].
    list: usize,
    pub valid: Validity,
}

/// All lists, ready to be asked.
#[derive(Debug, Default)]
pub struct NetworkLists {
    names: Vec<String>,
    /// Sorted by network: the entries of one are neighbours.
    entries: Vec<ListedNetwork>,
    /// The first entry of each network.
    first: JointPrefixMap<IpNet, usize>,
}

impl NetworkLists {
    /// From files, each a name and its text.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Fault> {
        let mut lists = Self::default();
        for (file, text) in files {
            lists.read_file(file, text)?;
        }
        Ok(lists.indexed())
    }

    fn read_file(&mut self, file: &str, text: &str) -> Result<(), Fault> {
        let csv = CsvRows::open(file, text, &COLUMNS, REQUIRED)?;
        let stem = std::path::Path::new(file).file_stem();
        let stem = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let words = NetworkClass::ALL.map(NetworkClass::as_str);
        for row in csv.rows() {
            let row = row?;
            row.require("network")?;
            let Some(network) = row.parsed("network", parse_network)? else {
                continue;
            };
            let class = NetworkClass::from_word(row.require("class")?).ok_or_else(|| {
                let hint = hint_for_word(row.get("class").unwrap_or_default(), &words);
                row.fault("class", "unknown class of network", Some(hint))
            })?;
            let name = row.get("list").unwrap_or(&stem);
            if name.chars().count() > LONGEST_NAME {
                let message = format!("longer than {LONGEST_NAME} characters");
                return Err(row.fault("list", message, None));
            }
            let valid = validity::of_row(&row)?;
            self.add(network, class, name, valid);
        }
        Ok(())
    }

    /// Adds an entry; [`indexed`](Self::indexed) makes it seen.
    pub(super) fn add(&mut self, network: IpNet, class: NetworkClass, list: &str, valid: Validity) {
        // Rows of one list stand together.
        let list = match self.names.iter().rposition(|name| name == list) {
            Some(known) => known,
            None => {
                self.names.push(list.to_owned());
                self.names.len() - 1
            }
        };
        self.entries.push(ListedNetwork {
            network,
            class,
            list,
            valid,
        });
    }

    pub(super) fn indexed(mut self) -> Self {
        let (mut entries, names) = (std::mem::take(&mut self.entries), &self.names);
        let key = |entry: &ListedNetwork| {
            let valid = entry.valid;
            (entry.network, entry.class, valid.from_ms, valid.to_ms)
        };
        entries.sort_unstable_by(|a, b| {
            key(a)
                .cmp(&key(b))
                .then_with(|| names[a.list].cmp(&names[b.list]))
        });
        entries.dedup();
        for (at, entry) in entries.iter().enumerate().rev() {
            self.first.insert(entry.network, at);
        }
        self.entries = entries;
        self
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn entries(&self) -> &[ListedNetwork] {
        &self.entries
    }

    pub fn name_of(&self, entry: &ListedNetwork) -> &str {
        &self.names[entry.list]
    }

    /// The entries that hold an address at a time, the widest network first.
    pub fn of(&self, ip: IpAddr, at_ms: i64) -> impl Iterator<Item = &ListedNetwork> {
        let address = IpNet::from(ip);
        let places: Vec<usize> = self.first.cover_values(&address).copied().collect();
        places
            .into_iter()
            .flat_map(|at| {
                let same = self.entries[at].network;
                self.entries[at..]
                    .iter()
                    .take_while(move |entry| entry.network == same)
            })
            .filter(move |entry| entry.valid.contains(at_ms))
    }

    /// The last moment at which any entry holds; None without entries.
    pub fn last_moment(&self) -> Option<i64> {
        self.entries.iter().map(|entry| entry.valid.to_ms).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(text: &str) -> NetworkLists {
        NetworkLists::read([("lists/exits.csv", text)]).unwrap()
    }

    fn asked(lists: &NetworkLists, ip: &str, at: &str) -> Vec<String> {
        let at = at.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let found = lists.of(ip.parse().unwrap(), at.timestamp_millis());
        let shown = found.map(|e| format!("{} {}", lists.name_of(e), e.class.as_str()));
        shown.collect()
    }

    #[test]
    fn an_address_is_in_every_network_around_it_and_only_while_that_is_listed() {
        let lists = lists(
            "network,class,list,valid_from,valid_to
             192.0.2.0/24,hosting,,,
             192.0.2.66,tor,exits,2026-01-10,2026-01-20
             192.0.2.66,vpn,,2026-01-15,
             2001:db8::/32,proxy,six,,",
        );
        let ip = "192.0.2.66";
        let at = "2026-01-10T00:00:00Z";
        assert_eq!(asked(&lists, ip, at), ["exits hosting", "exits tor"]);
        let at = "2026-01-20T23:59:59Z";
        assert_eq!(
            asked(&lists, ip, at),
            ["exits hosting", "exits tor", "exits vpn"]
        );
        let at = "2026-01-21T00:00:00Z";
        assert_eq!(asked(&lists, ip, at), ["exits hosting", "exits vpn"]);
        let at = "2026-01-09T23:59:59Z";
        assert_eq!(asked(&lists, ip, at), ["exits hosting"]);
        assert_eq!(asked(&lists, "192.0.2.67", at), ["exits hosting"]);
        assert_eq!(asked(&lists, "192.0.3.1", at), [""; 0]);
        assert_eq!(asked(&lists, "2001:db8::1", at), ["six proxy"]);
    }

    #[test]
    fn a_row_that_says_the_same_again_counts_once() {
        let lists = lists("network,class\n192.0.2.1,tor\n192.0.2.1/32,tor\n::ffff:192.0.2.1,tor\n");
        assert_eq!(lists.entries().len(), 1);
        assert_eq!(asked(&lists, "192.0.2.1", "2026-01-01T00:00:00Z").len(), 1);
    }

    #[test]
    fn a_wrong_cell_is_told_with_its_place_and_what_to_write() {
        let fault = |row: &str| {
            let text = format!("class,network,valid_from,valid_to\n{row}\n");
            NetworkLists::read([("n.csv", text.as_str())]).unwrap_err()
        };
        let at = |row: &str| (fault(row).at.line, fault(row).at.column);
        assert_eq!(at("tor,192.0.2.7/24,,"), (2, 5));
        assert_eq!(at("tor,,,"), (2, 5));
        assert_eq!(at("exit,192.0.2.7,,"), (2, 1));
        assert_eq!(at("tor,192.0.2.7,2026-02-30,"), (2, 15));
        assert_eq!(at("tor,192.0.2.7,2026-02-02,2026-02-01"), (2, 26));
        assert!(
            fault("hostin,192.0.2.7,,")
                .hint
                .unwrap()
                .contains("`hosting`")
        );
    }
}
