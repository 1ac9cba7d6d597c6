//! Published indicators: addresses, user agents and names that were seen in an attack, each with
//! the time for which that says something.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::csv_rows::{CsvRow, CsvRows};
use super::validity;
use crate::catalog::{CUT_CHARS, app_name_key};
use crate::clock::Validity;
use crate::config::{BadValue, Fault, hint_for_word, parse_network};

const COLUMNS: [&str; 7] = [
    "kind",
    "value",
    "valid_from",
    "valid_to",
    "source",
    "confidence",
    "note",
];
/// Of these, the ones that must be there.
const REQUIRED: usize = 2;

/// A prefix shorter than this would fit half of all clients.
const SHORTEST_PREFIX: usize = 4;

/// Longest source and note, in characters.
const LONGEST_TEXT: usize = 500;

/// What an indicator is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndicatorKind {
    /// Any address of a row: equal, or in the network.
    Ip,
    /// User agents that are text, without regard to case: equal, or beginning as a value that
    /// ends in `*`. A number is a client code of Salesforce's own and never matches.
    UserAgent,
    /// Names of connected apps, by `app_name_key`.
    App,
    /// Names that API clients give themselves, by `app_name_key`.
    Client,
}

impl IndicatorKind {
    pub const ALL: [Self; 4] = [Self::Ip, Self::UserAgent, Self::App, Self::Client];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::UserAgent => "user_agent",
            Self::App => "app",
            Self::Client => "client",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

const CONFIDENCES: [&str; 3] = ["high", "medium", "low"];
const DEFAULT_CONFIDENCE: &str = "medium";

/// One row of the table `indicators`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indicator {
    /// `kind:value` with the value as it is compared; rows of one indicator share it.
    pub id: String,
    pub kind: IndicatorKind,
    /// As shown; networks in canonical form.
    pub value: String,
    pub valid: Validity,
    pub source: String,
    /// `high`, `medium` or `low`.
    pub confidence: &'static str,
    pub note: Option<String>,
}

/// All indicators, ready to be asked.
#[derive(Debug, Default)]
pub struct Indicators {
    rows: Vec<Indicator>,
    networks: JointPrefixMap<IpNet, String>,
    exact: HashSet<String>,
    /// Folded beginnings of user agents.
    prefixes: HashSet<String>,
    prefix_lengths: BTreeSet<usize>,
}

impl Indicators {
    /// From files in their order, each a name and its text: an indicator that a later file has
    /// too is the later file's alone.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Fault> {
        let mut rows: Vec<Indicator> = vec![];
        for (file, text) in files {
            let own = read_file(file, text)?;
            let ids: HashSet<&str> = own.iter().map(|row| row.id.as_str()).collect();
            rows.retain(|row| !ids.contains(row.id.as_str()));
            rows.extend(own);
        }
        Ok(Self::of(rows))
    }

    fn of(mut rows: Vec<Indicator>) -> Self {
        // The order of rows, and of files that do not overlap, changes no answer.
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        rows.dedup();
        let mut all = Self::default();
        for row in &rows {
            match (row.kind, row.value.strip_suffix('*')) {
                (IndicatorKind::Ip, _) => {
                    if let Ok(network) = parse_network(&row.value) {
                        all.networks.insert(network, row.id.clone());
                    }
                }
                (IndicatorKind::UserAgent, Some(prefix)) => {
                    let prefix = prefix.to_lowercase();
                    all.prefix_lengths.insert(prefix.len());
                    all.prefixes.insert(prefix);
                }
                _ => {
                    all.exact.insert(row.id.clone());
                }
            }
        }
        Self { rows, ..all }
    }

    pub fn rows(&self) -> &[Indicator] {
        &self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Ids of the indicators that an address matches, the widest network first.
    pub fn of_address(&self, ip: IpAddr) -> Vec<&str> {
        let networks = self.networks.cover_values(&IpNet::from(ip));
        networks.map(String::as_str).collect()
    }

    /// Ids of the indicators that a user agent or a name matches. Validity is not asked.
    pub fn of_text(&self, kind: IndicatorKind, value: &str) -> Vec<&str> {
        if kind == IndicatorKind::UserAgent && is_code(value) {
            return vec![];
        }
        // Some logs write parts of a user agent as a URL would.
        if kind == IndicatorKind::UserAgent
            && let Some(plain) = percent_decoded(value)
        {
            let mut found = self.of_key(kind, &text_key(kind, value));
            found.extend(self.of_key(kind, &text_key(kind, &plain)));
            found.sort_unstable();
            found.dedup();
            return found;
        }
        self.of_key(kind, &text_key(kind, value))
    }

    fn of_key(&self, kind: IndicatorKind, key: &str) -> Vec<&str> {
        let exact = self.exact.get(&id_of(kind, key)).into_iter();
        let mut found: Vec<&str> = exact.map(String::as_str).collect();
        if kind == IndicatorKind::UserAgent {
            let lengths = self.prefix_lengths.iter();
            let heads = lengths.filter_map(|length| key.get(..*length));
            let known = heads.filter_map(|head| self.prefixes.get(head));
            // The rows hold the ids with their star.
            found.extend(known.filter_map(|head| self.id(&id_of(kind, &format!("{head}*")))));
        }
        found
    }

    fn id(&self, id: &str) -> Option<&str> {
        let at = self
            .rows
            .binary_search_by(|row| row.id.as_str().cmp(id))
            .ok()?;
        Some(&self.rows[at].id)
    }
}

fn order(row: &Indicator) -> (&str, i64, i64, &str, &str) {
    let valid = row.valid;
    (
        &row.id,
        valid.from_ms,
        valid.to_ms,
        &row.source,
        row.confidence,
    )
}

fn id_of(kind: IndicatorKind, key: &str) -> String {
    format!("{}:{key}", kind.as_str())
}

fn text_key(kind: IndicatorKind, value: &str) -> String {
    match kind {
        IndicatorKind::App | IndicatorKind::Client => app_name_key(value),
        IndicatorKind::Ip | IndicatorKind::UserAgent => value.trim().to_lowercase(),
    }
}

/// `rv%3A50` as `rv:50`; None where nothing is written so, or it would be no text.
fn percent_decoded(value: &str) -> Option<String> {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |place: usize| char::from(*bytes.get(place)?).to_digit(16);
        match (bytes[at], hex(at + 1).zip(hex(at + 2))) {
            (b'%', Some((high, low))) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    (out.len() < bytes.len())
        .then(|| String::from_utf8(out).ok())
        .flatten()
}

fn is_code(value: &str) -> bool {
    value.trim().bytes().all(|byte| byte.is_ascii_digit())
}

fn read_file(file: &str, text: &str) -> Result<Vec<Indicator>, Fault> {
    let csv = CsvRows::open(file, text, &COLUMNS, REQUIRED)?;
    let stem = std::path::Path::new(file).file_stem();
    let name = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut confidences: HashMap<String, (&'static str, usize)> = HashMap::new();
    let mut rows = vec![];
    for row in csv.rows() {
        let row = row?;
        let read = indicator(&row, &name)?;
        // Two weights for one claim: nobody could say which one was meant.
        let claim = format!("{}\n{}\n{:?}", read.id, read.source, read.valid);
        let (known, line) = *confidences
            .entry(claim)
            .or_insert((read.confidence, row.line()));
        if known != read.confidence {
            let message = format!("line {line} says the same with confidence `{known}`");
            return Err(row.fault("confidence", message, Some("keep one of the two".into())));
        }
        rows.push(read);
    }
    Ok(rows)
}

fn indicator(row: &CsvRow<'_>, file: &str) -> Result<Indicator, Fault> {
    let words = IndicatorKind::ALL.map(IndicatorKind::as_str);
    let kind = IndicatorKind::from_word(row.require("kind")?).ok_or_else(|| {
        let hint = hint_for_word(row.get("kind").unwrap_or_default(), &words);
        row.fault("kind", "unknown kind of indicator", Some(hint))
    })?;
    row.require("value")?;
    let value = row.parsed("value", |text| canonical(kind, text))?;
    let value = value.unwrap_or_default();
    let confidence = match row.get("confidence") {
        None => DEFAULT_CONFIDENCE,
        Some(written) => {
            let known = CONFIDENCES.into_iter().find(|word| *word == written);
            known.ok_or_else(|| {
                let hint = hint_for_word(written, &CONFIDENCES);
                row.fault("confidence", "unknown confidence", Some(hint))
            })?
        }
    };
    for heading in ["source", "note"] {
        if row
            .get(heading)
            .is_some_and(|text| text.chars().count() > LONGEST_TEXT)
        {
            let message = format!("longer than {LONGEST_TEXT} characters");
            return Err(row.fault(heading, message, None));
        }
    }
    Ok(Indicator {
        id: id_of(kind, &text_key(kind, &value)),
        kind,
        value,
        valid: validity::of_row(row)?,
        source: row.get("source").unwrap_or(file).to_owned(),
        confidence,
        note: row.get("note").map(str::to_owned),
    })
}

/// The value as it is shown and compared, or why it could never match, or match everything.
fn canonical(kind: IndicatorKind, written: &str) -> Result<String, BadValue> {
    if kind == IndicatorKind::Ip {
        let network = parse_network(written)?;
        return Ok(match network.prefix_len() == network.max_prefix_len() {
            true => network.addr().to_string(),
            false => network.to_string(),
        });
    }
    if written.chars().count() > CUT_CHARS {
        let message =
            format!("the lake keeps {CUT_CHARS} characters of such a text, this is longer");
        return Err(BadValue::new(
            message,
            "write its beginning, and `*` at the end",
        ));
    }
    let bare = match kind {
        IndicatorKind::UserAgent => written.strip_suffix('*').unwrap_or(written),
        _ => written,
    };
    if bare.contains('*') {
        let message = "a `*` stands at the end of a user agent only";
        return Err(BadValue::new(
            message,
            "write the text as it is, or its beginning and `*`",
        ));
    }
    if kind == IndicatorKind::UserAgent {
        if is_code(bare) {
            let message = "a number in USER_AGENT is a client code of Salesforce's own";
            return Err(BadValue::new(
                message,
                "many clients share it: leave the row out",
            ));
        }
        if bare.len() < written.len() && bare.trim().chars().count() < SHORTEST_PREFIX {
            let message =
                format!("a beginning of less than {SHORTEST_PREFIX} characters fits too much");
            return Err(BadValue::new(message, "write more of it"));
        }
    }
    if text_key(kind, bare).is_empty() {
        return Err(BadValue::new(
            "nothing is left to compare",
            "write the name itself",
        ));
    }
    Ok(written.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &str) -> Result<Indicators, Fault> {
        let text = format!("kind,value,valid_from,valid_to,source,confidence,note\n{rows}");
        Indicators::read([("feeds/own.csv", text.as_str())])
    }

    fn texts(all: &Indicators, kind: IndicatorKind, value: &str) -> Vec<String> {
        all.of_text(kind, value)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn an_address_matches_itself_and_the_networks_around_it() {
        let all =
            read("ip,192.0.2.66,,,a,high,\nip,192.0.2.0/24,,,a,low,\nip,2001:db8::/32,,,,,\n");
        let all = all.unwrap();
        let of = |ip: &str| all.of_address(ip.parse().unwrap());
        assert_eq!(of("192.0.2.66"), ["ip:192.0.2.0/24", "ip:192.0.2.66"]);
        assert_eq!(of("192.0.2.1"), ["ip:192.0.2.0/24"]);
        assert_eq!(of("2001:db8::9"), ["ip:2001:db8::/32"]);
        assert!(of("192.0.3.1").is_empty());
        let six = all
            .rows()
            .iter()
            .find(|row| row.value.contains(':'))
            .unwrap();
        assert_eq!((six.source.as_str(), six.confidence), ("own", "medium"));
    }

    #[test]
    fn a_user_agent_matches_whole_or_by_its_beginning_and_never_a_client_code() {
        let all = read("user_agent,Evil/1.0,,,a,high,\nuser_agent,Python-urllib/3.*,,,a,low,\n");
        let all = all.unwrap();
        let agent = IndicatorKind::UserAgent;
        assert_eq!(texts(&all, agent, " evil/1.0 "), ["user_agent:evil/1.0"]);
        assert!(texts(&all, agent, "Evil/1.0.1").is_empty());
        for value in ["python-urllib/3.", "Python-urllib/3.14"] {
            assert_eq!(texts(&all, agent, value), ["user_agent:python-urllib/3.*"]);
        }
        assert_eq!(texts(&all, agent, "python%2Durllib%2F3.12").len(), 1);
        assert!(texts(&all, agent, "100%").is_empty() && texts(&all, agent, "%zz%é").is_empty());
        assert!(texts(&all, agent, "Python-urllib/2.7").is_empty());
        assert!(texts(&all, agent, "evil/1.0*").is_empty());
        assert!(texts(&all, agent, "5238").is_empty() && texts(&all, agent, "").is_empty());
        assert!(texts(&all, IndicatorKind::App, "Evil/1.0").is_empty());
        assert_eq!(read("user_agent,5238,,,a,high,").unwrap_err().at.column, 12);
    }

    #[test]
    fn names_match_without_regard_to_case_blanks_and_compatibility_forms() {
        let all = read("app,My Ticket Portal,,,a,high,\nclient,evil/1,,,a,high,\n").unwrap();
        let found = texts(&all, IndicatorKind::App, "ＭY  ticket portal");
        assert_eq!(found, ["app:my ticket portal"]);
        assert!(texts(&all, IndicatorKind::App, "My Ticket Portal 2").is_empty());
        assert_eq!(
            texts(&all, IndicatorKind::Client, "EVIL/1"),
            ["client:evil/1"]
        );
    }

    #[test]
    fn a_later_file_overrides_what_it_names_and_adds_the_rest() {
        let head = "value,kind,confidence,source\n";
        let first =
            format!("{head}192.0.2.1,ip,high,a\n192.0.2.1,ip,medium,b\n192.0.2.2,ip,high,a\n");
        let second = format!("{head}192.0.2.1/32,ip,low,own\n192.0.2.3,ip,low,own\n");
        let all = Indicators::read([("a", first.as_str()), ("b", second.as_str())]).unwrap();
        let shown = all
            .rows()
            .iter()
            .map(|row| (row.value.as_str(), row.confidence));
        let wanted = [
            ("192.0.2.1", "low"),
            ("192.0.2.2", "high"),
            ("192.0.2.3", "low"),
        ];
        assert_eq!(shown.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_could_never_match_or_would_match_everything_is_refused_at_its_place() {
        for (row, column) in [
            ("ips,192.0.2.1,,,,,", 1),
            ("ip,192.0.2.256,,,,,", 4),
            ("ip,,,,,,", 4),
            ("user_agent,*,,,,,", 12),
            ("user_agent,abc*,,,,,", 12),
            ("user_agent,a*cdef,,,,,", 12),
            ("app,Evil*,,,,,", 5),
            ("app,x,,,,certain,", 10),
            ("app,x,2026-01-02,2026-01-01,,,", 18),
            ("app,x,,,a,high,\napp,X,,,a,low,", 11),
        ] {
            assert_eq!(read(row).unwrap_err().at.column, column, "{row}");
        }
        let long = format!("user_agent,{},,,,,", "x".repeat(CUT_CHARS + 1));
        assert!(read(&long).unwrap_err().hint.unwrap().contains("beginning"));
    }
}
