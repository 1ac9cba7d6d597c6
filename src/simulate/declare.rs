//! What the org's operator declares: `registry.toml`, and an `orgwatch.toml` with which a run
//! works at once.

use std::fmt::Write;

use chrono::NaiveDate;

use super::acts::{Door, Text};
use super::moment::{day_of, rfc3339_seconds, start_of};
use super::org::{Machine, Org, Rhythm, Role};

/// What stories declare beyond what is true from the beginning.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    pub windows: Vec<Window>,
    /// Networks that hold for a time only.
    pub networks: Vec<Network>,
    /// Apps that a machine uses from a time on.
    pub apps: Vec<NewApp>,
    /// What public lists say of attackers' addresses, beside the published ones.
    pub listed: Vec<Listed>,
}

/// An address on a list of networks, from its first use on.
#[derive(Debug, Clone)]
pub struct Listed {
    pub address: Text,
    /// `tor`, `vpn`, `proxy` or `hosting`.
    pub class: &'static str,
    pub from: i64,
}

#[derive(Debug, Clone)]
pub struct Window {
    pub kind: &'static str,
    pub user: usize,
    pub from: i64,
    pub to: i64,
    pub networks: Vec<Text>,
    pub ticket: String,
}

#[derive(Debug, Clone)]
pub struct Network {
    pub machine: usize,
    pub network: Text,
    pub from: i64,
    pub ticket: String,
}

#[derive(Debug, Clone)]
pub struct NewApp {
    pub machine: usize,
    pub app: usize,
    pub from: i64,
    pub ticket: String,
}

/// The registry as TOML.
pub fn registry(org: &Org, declared: &Declared) -> String {
    let mut out = String::from(
        "# What a synthetic org declares about its machine users. People are not listed: what has no\n\
         # entry is judged by what the logs say.\n",
    );
    let reader = org.users.iter().find(|u| u.role == Role::LogReader);
    line(&mut out, "\n[org]");
    let profiles: Vec<String> = machines(org)
        .map(|(_, m)| quoted(&profile(org, m.user)))
        .collect();
    line(
        &mut out,
        &format!("base_profiles = [{}]", profiles.join(", ")),
    );
    if let Some(reader) = reader {
        line(
            &mut out,
            &format!("log_readers = [{}]", quoted(&reader.username)),
        );
    }
    for (n, machine) in machines(org) {
        machine_entry(&mut out, org, declared, n, machine);
    }
    for (n, user) in org.users.iter().enumerate() {
        let role = match user.role {
            Role::InternalSystem => "internal_system",
            Role::Guest => "guest",
            Role::Admin => "human_admin",
            _ => continue,
        };
        plain_entry(&mut out, &org.user(n).username, role);
    }
    apps(&mut out, org);
    for window in &declared.windows {
        line(&mut out, "\n[[window]]");
        line(&mut out, &format!("kind = {}", quoted(window.kind)));
        line(
            &mut out,
            &format!("user = {}", quoted(&org.user(window.user).username)),
        );
        line(
            &mut out,
            &format!("from = {}", rfc3339_seconds(window.from)),
        );
        line(&mut out, &format!("to = {}", rfc3339_seconds(window.to)));
        if !window.networks.is_empty() {
            line(
                &mut out,
                &format!("networks = [{}]", list(&window.networks)),
            );
        }
        line(&mut out, &format!("ticket = {}", quoted(&window.ticket)));
    }
    out
}

/// The profile of a machine user, a copy of the base profile with its own login ranges.
pub fn profile(org: &Org, user: usize) -> String {
    let username = &org.user(user).username;
    format!(
        "API Base {}",
        username.split('@').next().unwrap_or_default()
    )
}

/// Machines with users of their own.
pub fn machines(org: &Org) -> impl Iterator<Item = (usize, &Machine)> {
    org.machines.iter().enumerate().filter(|(_, m)| !m.is_token)
}

fn machine_entry(out: &mut String, org: &Org, declared: &Declared, n: usize, machine: &Machine) {
    let user = org.user(machine.user);
    let role = if user.role == Role::Ci {
        "ci"
    } else {
        "integration"
    };
    line(out, "\n[[user]]");
    line(out, &format!("username = {}", quoted(&user.username)));
    line(out, &format!("role = {}", quoted(role)));
    line(out, &format!("system = {}", quoted(&machine.system)));
    let team = user.username.split('@').next().unwrap_or_default();
    line(
        out,
        &format!("owner = {}", quoted(&format!("{team}-team@example.com"))),
    );
    if machine.declared {
        let sites = if machine.moves {
            1
        } else {
            machine.sites.len()
        };
        let known: Vec<Text> = machine
            .sites
            .iter()
            .take(sites)
            .flat_map(|s| s.networks.clone())
            .collect();
        let mut all = list(&known);
        for more in declared.networks.iter().filter(|d| d.machine == n) {
            let _ = write!(
                all,
                ", {{ network = {}, valid_from = {}, ticket = {} }}",
                quoted(&more.network),
                rfc3339_seconds(more.from),
                quoted(&more.ticket)
            );
        }
        line(out, &format!("networks = [{all}]"));
    }
    let mut apps = vec![];
    if let Some(app) = machine.app.and_then(|a| org.apps.get(a)) {
        apps.push(format!(
            "{{ name = {}, id = {} }}",
            quoted(&app.name),
            quoted(&app.id18())
        ));
    }
    for more in declared.apps.iter().filter(|d| d.machine == n) {
        if let Some(app) = org.apps.get(more.app) {
            apps.push(format!(
                "{{ name = {}, id = {}, valid_from = {}, ticket = {} }}",
                quoted(&app.name),
                quoted(&app.id18()),
                rfc3339_seconds(more.from),
                quoted(&more.ticket)
            ));
        }
    }
    if !apps.is_empty() {
        line(out, &format!("apps = [{}]", apps.join(", ")));
    }
    line(out, &format!("flows = [{}]", flows(org, machine)));
    if machine.mtls {
        line(out, "mtls = true");
    }
    if let Some(cadence) = machine.cadence() {
        line(out, &format!("cadence = {}", quoted(cadence)));
    }
    match machine.rhythm {
        // Long enough for a weekend with a holiday before and behind it.
        Rhythm::Office => line(out, "max_silence = \"120h\""),
        Rhythm::Past { .. } => line(out, "max_silence = \"400d\""),
        _ => {}
    }
}

/// A debt is accepted until a date.
fn flows(org: &Org, machine: &Machine) -> String {
    let until = SOAP_LOGIN_ENDS.filter(|day| machine.door == Door::Soap && org.last_day < *day);
    match until {
        Some(day) => format!(
            "{{ flow = {}, valid_to = {}, ticket = \"DEBT-12\" }}",
            quoted(machine.door.flow()),
            rfc3339_seconds(start_of(day))
        ),
        None => quoted(machine.door.flow()),
    }
}

/// A month before the platform's own date.
const SOAP_LOGIN_ENDS: Option<NaiveDate> = NaiveDate::from_ymd_opt(2027, 5, 1);

fn plain_entry(out: &mut String, username: &str, role: &str) {
    line(out, "\n[[user]]");
    line(out, &format!("username = {}", quoted(username)));
    line(out, &format!("role = {}", quoted(role)));
    line(out, "owner = \"platform-team@example.com\"");
}

fn apps(out: &mut String, org: &Org) {
    for (n, app) in org.apps.iter().enumerate() {
        line(out, "\n[[app]]");
        line(out, &format!("name = {}", quoted(&app.name)));
        line(out, &format!("id = {}", quoted(&app.id18())));
        line(out, &format!("vendor = {}", quoted(&app.vendor)));
        line(out, &format!("grant = {}", quoted(app.grant)));
        let system = machines(org).find(|(_, m)| m.app == Some(n));
        if let Some((_, machine)) = system {
            line(out, &format!("system = {}", quoted(&machine.system)));
        }
    }
    line(out, "\n[[app]]");
    line(out, "name = \"Salesforce for iOS\"");
    line(out, "vendor = \"Salesforce\"");
    line(out, "mobile_sdk = true");
}

/// Tor exits that a replayed campaign used, while it did.
const TOR: [&str; 4] = [
    "185.220.101.33",
    "192.42.116.20",
    "194.15.36.117",
    "179.43.159.198",
];

/// Of a kept list some entries always hold; these addresses nobody here has.
const LISTED_NOW: [(&str, &str); 2] = [("192.0.2.2/31", "tor"), ("192.0.2.4/31", "vpn")];

/// `networks.csv`: what stands behind some addresses, as public lists have it.
pub fn networks(org: &Org, declared: &Declared) -> String {
    let mut out = String::from("network,class,list,valid_from,valid_to\n");
    for (network, class) in LISTED_NOW {
        line(
            &mut out,
            &format!("{network},{class},{class} exits,{},", org.first_day),
        );
    }
    for exit in TOR {
        line(
            &mut out,
            &format!("{exit},tor,tor exits,2025-08-01,2025-09-01"),
        );
    }
    for listed in &declared.listed {
        let from = day_of(listed.from);
        line(
            &mut out,
            &format!(
                "{},{},{} exits,{from},",
                listed.address, listed.class, listed.class
            ),
        );
    }
    out
}

/// The configuration, relative to its own folder.
pub fn config(org: &Org) -> String {
    format!(
        "# A synthetic org. Everything is relative to this file.\n\
         [org]\n\
         name = \"Synthetic org {seed}\"\n\
         id = {id}\n\
         timezone = {zone}\n\n\
         [store]\n\
         data_dir = \"data\"\n\n\
         [inputs]\n\
         paths = [\"logs\"]\n\n\
         [registry]\n\
         file = \"registry.toml\"\n\n\
         [enrich]\n\
         networks = [\"networks.csv\"]\n\n\
         [detect]\n\
         lookback_days = {days}    # one run looks at all of it\n\n\
         [alert.email]\n\
         transport = \"file\"\n\
         from = \"orgwatch@example.com\"\n\
         to = [\"security@example.com\"]\n",
        seed = org.seed,
        id = quoted(&org.id),
        zone = quoted(org.zone.name()),
        days = org.days() + 7,
    )
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn list(texts: &[Text]) -> String {
    let texts: Vec<String> = texts.iter().map(|t| quoted(t)).collect();
    texts.join(", ")
}

/// A basic string of TOML. Names in an org are plain text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
