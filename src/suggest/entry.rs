//! One account as a `[[user]]` entry with its evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::NaiveDate;

use super::criteria::confidence;
use super::model::{Account, App, Flow, PlatformAccount, Reality, Sight, label_key};
use super::networks::{Proposed, Refused, networks};
use super::rhythm::{cadence, hours, longest_pause};
use super::toml_text::{is_plain, quoted, remark};
use super::trust::{Scale, Trust, why_not};
use crate::config::{parse_id, parse_user_id, parse_username};
use crate::registry::{Bounds, LOGIN_PATHS};
use crate::words::counted;

/// Lines about addresses that are not proposed, for each account.
const MAX_REFUSED: usize = 20;
/// UI logins that are named one by one.
const MAX_NAMED: usize = 5;

/// The path of a login of an unknown kind.
const UNMAPPED: &str = "unmapped";

/// What entries share.
pub(super) struct Lists {
    bounds: Bounds,
    covered: usize,
    last: Option<NaiveDate>,
    /// Shape of a label → label key → days: who looks like whom.
    shapes: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Lists {
    pub fn new(reality: &Reality, bounds: Bounds) -> Self {
        let mut shapes: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for app in reality.accounts.iter().flat_map(|account| &account.apps) {
            if let (Some(shape), Some(key)) = (&app.shape, &app.name_key) {
                let names = shapes.entry(shape.clone()).or_default();
                *names.entry(key.clone()).or_default() += app.sight.days.len();
            }
        }
        Self {
            bounds,
            covered: reality.covered.len(),
            last: reality.covered.last().copied(),
            shapes,
        }
    }

    /// Whether a better known app has a name that looks like this one's.
    pub fn is_look_alike(&self, app: &App) -> bool {
        let (Some(shape), Some(key)) = (&app.shape, &app.name_key) else {
            return false;
        };
        let Some(names) = self.shapes.get(shape) else {
            return false;
        };
        let own = names.get(key).copied().unwrap_or(0);
        names.iter().any(|(name, days)| name != key && *days > own)
    }
}

/// A line of a list: a value with what speaks for it, commented out where that is not enough.
struct Item {
    value: String,
    evidence: String,
    is_live: bool,
}

/// The whole block of a machine. `notes` are its differences from what is declared.
pub(super) fn machine_entry(
    account: &Account,
    lists: &Lists,
    notes: &[String],
    names: &mut BTreeSet<String>,
) -> String {
    let scale = Scale::of(account, lists.last.unwrap_or_default());
    let (proposed, refused) = networks(account, &scale, &lists.bounds);
    let mut out = evidence(account, lists, !proposed.is_empty());
    for note in notes {
        let _ = writeln!(out, "# DIFFERS     {}", remark(note));
    }
    identity(&mut out, account, names);
    out.push_str("role = \"integration\"");
    if !account.marks.is_machine() {
        out.push_str("  # nothing of it looks like a machine: api_named or human, perhaps");
    }
    out.push('\n');
    system(&mut out, account, &scale, lists);
    out.push_str("# owner = \"TODO: the mailbox of the team that answers for it\"\n");
    list(&mut out, "networks", &network_items(&proposed, &refused));
    list(&mut out, "apps", &app_items(account, &scale, lists));
    list(&mut out, "flows", &flow_items(account, &scale));
    if account.salesforce.days.len() > 1 {
        let _ = writeln!(
            out,
            "allow_salesforce_ip = true  # traffic from Salesforce's own addresses on {}",
            counted(account.salesforce.days.len(), "day")
        );
    }
    rhythm(&mut out, account, lists.covered);
    out
}

/// The block of a guest, or of an account of the platform.
pub(super) fn platform_entry(account: &PlatformAccount, names: &mut BTreeSet<String>) -> String {
    let day = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map(|at| at.date_naive().to_string()).unwrap_or_default()
    };
    let name = account.username.as_deref().unwrap_or(&account.key);
    let mut out = format!("# {}\n", remark(name));
    let _ = writeln!(
        out,
        "# seen        {} to {}: {}; the logs call it {}",
        day(account.first_at),
        day(account.last_at),
        counted(account.events, "event"),
        if account.role == "guest" {
            "a guest"
        } else {
            "the platform's own"
        }
    );
    let user = Account {
        key: account.key.clone(),
        user_id: account.user_id.clone(),
        username: account.username.clone(),
        ..Account::default()
    };
    identity(&mut out, &user, names);
    let _ = writeln!(out, "role = {}", quoted(&account.role));
    out.push_str("# owner = \"TODO: the mailbox of the team that answers for it\"\n");
    out
}

fn evidence(account: &Account, lists: &Lists, has_networks: bool) -> String {
    let mut out = format!("# {}\n", remark(account.name()));
    let days = account.days();
    if let (Some(first), Some(last)) = (days.first(), days.last()) {
        let _ = write!(
            out,
            "# seen        {first} to {last}, on {} of {}: {}, {}",
            days.len(),
            counted(lists.covered, "day"),
            counted(account.logins, "login"),
            counted(account.calls, "call"),
        );
        if account.bulk_jobs > 0 {
            let _ = write!(out, ", {}", counted(account.bulk_jobs, "bulk job"));
        }
        out.push('\n');
    }
    let (level, why) = confidence(account, has_networks);
    let _ = writeln!(out, "# confidence  {}: {why}", level.as_str());
    let is_strange = |path: &str, flow: &Flow| flow.is_ui || path == UNMAPPED;
    for (path, flow) in account
        .flows
        .iter()
        .filter(|(path, flow)| is_strange(path, flow))
    {
        let days: Vec<String> = flow
            .sight
            .days
            .iter()
            .take(MAX_NAMED)
            .map(ToString::to_string)
            .collect();
        let more = flow.sight.days.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 {
            format!(" + {more} more")
        } else {
            String::new()
        };
        let mut ips = flow.ips.clone();
        ips.truncate(MAX_NAMED);
        let _ = writeln!(
            out,
            "# WARNING     {} ({}) on {}{more} from {}: never proposed; find out who that was",
            counted(
                flow.sight.logins,
                if flow.is_ui { "UI login" } else { "login" }
            ),
            remark(path),
            days.join(", "),
            remark(&if ips.is_empty() {
                "no address".to_owned()
            } else {
                ips.join(", ")
            }),
        );
    }
    if !account.token_apps.is_empty() {
        let apps = account.token_apps.iter().take(MAX_NAMED);
        let apps: Vec<String> = apps.map(|app| format!("\"{}\"", remark(app))).collect();
        let _ = writeln!(out, "# tokens      held for it by {}", apps.join(", "));
    }
    if account.roster.is_some_and(|user| !user.is_active) {
        out.push_str("# WARNING     the roster says that it is not active any more\n");
    }
    out
}

/// `[[user]]` with username and id, as far as the parser will take them. A username that another
/// entry has already is left to that one.
fn identity(out: &mut String, account: &Account, names: &mut BTreeSet<String>) {
    let id = account.user_id.as_deref().unwrap_or(&account.key);
    let id = parse_user_id(id).ok();
    let name = account.username.as_deref().unwrap_or(&account.key);
    let name = Some(name).filter(|name| is_plain(name));
    let name = name.and_then(|name| parse_username(name).ok());
    out.push_str("[[user]]\n");
    if let Some(name) = name.filter(|name| names.insert(name.clone())) {
        let _ = writeln!(out, "username = {}", quoted(&name));
    }
    if let Some(id) = id {
        let _ = writeln!(out, "id = {}", quoted(&id));
    }
}

fn system(out: &mut String, account: &Account, scale: &Scale, lists: &Lists) {
    let trusted = account
        .apps
        .iter()
        .filter(|app| scale.is_proven(&app.sight) && !lists.is_look_alike(app));
    let guess = trusted
        .filter_map(|app| Some((app.sight.days.len(), app.labels.first()?.trim())))
        .filter(|(_, label)| is_plain(label))
        .max_by_key(|(days, label)| (*days, std::cmp::Reverse(*label)));
    let _ = match guess {
        Some((_, label)) => writeln!(out, "system = {}  # a guess from its app", quoted(label)),
        None => writeln!(out, "# system = \"TODO: which system it is\""),
    };
}

fn list(out: &mut String, key: &str, items: &[Item]) {
    if items.is_empty() {
        return;
    }
    // Where nothing is proposed, nothing is declared: an empty list would say the same less clearly.
    let dead = if items.iter().any(|item| item.is_live) {
        ""
    } else {
        "# "
    };
    let _ = writeln!(out, "{dead}{key} = [");
    for item in items {
        let off = if item.is_live || !dead.is_empty() {
            ""
        } else {
            "# "
        };
        let comma = if item.value.is_empty() { "" } else { "," };
        let _ = writeln!(
            out,
            "{dead}    {off}{}{comma}  # {}",
            item.value, item.evidence
        );
    }
    let _ = writeln!(out, "{dead}]");
}

fn network_items(proposed: &[Proposed], refused: &[Refused]) -> Vec<Item> {
    let mut items: Vec<Item> = proposed.iter().map(network_item).collect();
    for address in refused.iter().take(MAX_REFUSED) {
        items.push(Item {
            value: quoted(&ipnet::IpNet::from(address.ip).to_string()),
            evidence: format!(
                "NOT PROPOSED: {}, {}",
                why_not(address.trust, &address.sight),
                told(&address.sight)
            ),
            is_live: false,
        });
    }
    let more = refused.len().saturating_sub(MAX_REFUSED);
    if more > 0 {
        items.push(Item {
            value: String::new(),
            evidence: format!("NOT PROPOSED: {more} more addresses like these"),
            is_live: false,
        });
    }
    items
}

fn network_item(own: &Proposed) -> Item {
    let bits = own.net.max_prefix_len() - own.net.prefix_len();
    let mut evidence = match (bits, own.net.addr().is_ipv4()) {
        (0, _) => String::new(),
        (bits, true) => format!("{} of {} addresses seen, ", own.addresses, 1u64 << bits),
        (_, false) => format!("{} seen, ", counted(own.addresses, "address")),
    };
    let _ = write!(
        evidence,
        "{}, {}",
        counted(own.sight.days.len(), "day"),
        told(&own.sight)
    );
    if !own.by_neighbours.is_empty() {
        let ips: Vec<String> = own
            .by_neighbours
            .iter()
            .take(MAX_NAMED)
            .map(ToString::to_string)
            .collect();
        let more = own.by_neighbours.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 {
            format!(" + {more} more")
        } else {
            String::new()
        };
        let _ = write!(
            evidence,
            "; seldom, but next to the others: {}{more}",
            ips.join(", ")
        );
    }
    let net = quoted(&own.net.to_string());
    let value = match own.given_up {
        Some(day) => {
            let _ = write!(evidence, "; not seen any more since {day}");
            format!("{{ network = {net}, valid_to = {day} }}")
        }
        None => net,
    };
    Item {
        value,
        evidence,
        is_live: true,
    }
}

fn app_items(account: &Account, scale: &Scale, lists: &Lists) -> Vec<Item> {
    let items = account.apps.iter().map(|app| {
        let label = app.labels.first().map(|label| label.trim());
        let name = label.filter(|label| is_plain(label));
        let id = app.id.as_deref().and_then(|id| parse_id(id).ok());
        let value = match (name, &id) {
            (Some(name), Some(id)) => format!("{{ name = {}, id = {} }}", quoted(name), quoted(id)),
            (Some(name), None) => format!("{{ name = {} }}", quoted(name)),
            (None, Some(id)) => format!("{{ id = {} }}", quoted(id)),
            (None, None) => format!("{{ name = {} }}", quoted(label.unwrap_or_default())),
        };
        let trust = scale.judge(&app.sight);
        let mut evidence = match trust {
            Trust::Proven => format!(
                "{}, {}",
                counted(app.sight.days.len(), "day"),
                told(&app.sight)
            ),
            trust => format!("{}, {}", why_not(trust, &app.sight), told(&app.sight)),
        };
        let is_hidden = label.is_some() && name.is_none();
        if is_hidden {
            evidence.push_str("; WARNING: its name holds characters that cannot be seen");
        }
        if lists.is_look_alike(app) {
            evidence.push_str("; WARNING: its name looks like that of another app");
        }
        let others = app.labels.iter().skip(1);
        let others = others.filter(|other| Some(label_key(other)) != app.name_key);
        for other in others.take(MAX_NAMED) {
            let _ = write!(evidence, "; also written \"{}\"", remark(other));
        }
        let is_live = trust == Trust::Proven && !is_hidden && !lists.is_look_alike(app);
        Item {
            value,
            evidence: if is_live {
                evidence
            } else {
                format!("NOT PROPOSED: {evidence}")
            },
            is_live,
        }
    });
    let mut items: Vec<Item> = items.collect();
    items.sort_by_key(|item| !item.is_live);
    items
}

fn flow_items(account: &Account, scale: &Scale) -> Vec<Item> {
    let flows = account.flows.iter().filter(|(path, flow)| {
        !flow.is_ui && *path != UNMAPPED && LOGIN_PATHS.contains(&path.as_str())
    });
    let items = flows.map(|(path, flow)| {
        let trust = scale.judge(&flow.sight);
        let seen = told(&flow.sight);
        Item {
            value: quoted(path),
            evidence: match trust {
                Trust::Proven => {
                    format!("{}, {seen}", counted(flow.sight.days.len(), "day"))
                }
                trust => format!("NOT PROPOSED: {}, {seen}", why_not(trust, &flow.sight)),
            },
            is_live: trust == Trust::Proven,
        }
    });
    let mut items: Vec<Item> = items.collect();
    items.sort_by_key(|item| !item.is_live);
    items
}

fn rhythm(out: &mut String, account: &Account, covered: usize) {
    if let Some(hours) = hours(account, covered) {
        let _ = writeln!(
            out,
            "hours = [{}]  # UTC, with an hour of slack at both ends",
            quoted(&hours.to_string())
        );
    }
    let (Some(cadence), Some(longest)) = (cadence(account), longest_pause(account)) else {
        return;
    };
    let _ = writeln!(
        out,
        "cadence = {}  # its longest pause was {}",
        quoted(cadence.as_str()),
        length(longest)
    );
    let hours = (longest * 2).div_ceil(60).clamp(1, 3660 * 24);
    let _ = writeln!(
        out,
        "# max_silence = \"{hours}h\"  # twice its longest pause"
    );
}

/// Minutes as people say them.
fn length(minutes: u64) -> String {
    match minutes {
        0..=119 => counted(minutes, "minute"),
        120..=2_879 => counted(minutes / 60, "hour"),
        _ => counted(minutes / 1_440, "day"),
    }
}

fn told(sight: &Sight) -> String {
    match (sight.logins, sight.calls) {
        (logins, 0) => counted(logins, "login"),
        (0, calls) => counted(calls, "call"),
        (logins, calls) => format!("{}, {}", counted(logins, "login"), counted(calls, "call")),
    }
}
