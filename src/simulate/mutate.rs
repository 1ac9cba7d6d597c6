//! Evasions: the same attack, written down in another way, or done in another way.

use std::net::Ipv4Addr;

use super::acts::{AppSeen, Deed, Hidden, Text};
use super::moment::{DAY, HOUR, day_of, start_of};
use super::org::{Org, attacker_host};
use super::plan::Scene;

/// One way to evade.
pub struct Mutation {
    pub name: &'static str,
    pub line: &'static str,
    change: fn(&mut Scene, &Org, usize) -> bool,
    /// Findings that answer for a rule which the evasion silences.
    answers: &'static [&'static str],
    /// Played before anybody can know what is usual.
    pub while_learning: bool,
    /// Beside a vendor's move to another network.
    pub beside_migration: bool,
    pub in_two: bool,
    pub hourly_too: bool,
}

const PLAIN: Mutation = Mutation {
    name: "",
    line: "",
    change: |_, _, _| true,
    answers: &[],
    while_learning: false,
    beside_migration: false,
    in_two: false,
    hourly_too: false,
};

const UNKNOWN: &[&str] = &["unmapped-value", "schema-drift", "unattributable-traffic"];

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "code-case",
        line: "Codes in the other case: `a` for `A`, `I` for `i`",
        change: code_case,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "leading-space",
        line: "A blank before each code",
        change: leading_space,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "unknown-code",
        line: "Codes that no map knows",
        change: unknown_code,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "label-for-code",
        line: "Labels where the log has codes: `Application` for `A`",
        change: label_for_code,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "null-column",
        line: "Login type, sub-type, app and client left empty",
        change: null_column,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "salesforce-ip",
        line: "`Salesforce.com IP` in every address cell",
        change: salesforce_ip,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "mapped-ip",
        line: "IPv4 addresses written as IPv6 ones (`::ffff:192.0.2.66`)",
        change: mapped_ip,
        ..PLAIN
    },
    Mutation {
        name: "forwarded-for",
        line: "An address of the victim's own network in X-Forwarded-For",
        change: forwarded_for,
        ..PLAIN
    },
    Mutation {
        name: "look-alike-app",
        line: "The app's name with a letter of another alphabet, and no id",
        change: look_alike_app,
        ..PLAIN
    },
    Mutation {
        name: "over-midnight",
        line: "Half of it before midnight and half after, so that two nights' files share it",
        change: over_midnight,
        ..PLAIN
    },
    Mutation {
        name: "two-files",
        line: "The day's files come in two parts, and each holds half of it",
        in_two: true,
        ..PLAIN
    },
    Mutation {
        name: "hourly-and-daily",
        line: "The day's files come by the hour and once more as a whole",
        hourly_too: true,
        ..PLAIN
    },
    Mutation {
        name: "slower",
        line: "Everything takes ten times as long",
        change: slower,
        ..PLAIN
    },
    Mutation {
        name: "spread",
        line: "From addresses all over the attacker's network",
        change: spread,
        ..PLAIN
    },
    Mutation {
        name: "renamed-agent",
        line: "With the User-Agent of the victim's own client",
        change: renamed_agent,
        ..PLAIN
    },
    Mutation {
        name: "during-learning",
        line: "In the first days, before anything is usual",
        while_learning: true,
        ..PLAIN
    },
    Mutation {
        name: "beside-migration",
        line: "On the day on which the victim's vendor moves to another network",
        beside_migration: true,
        ..PLAIN
    },
    Mutation {
        name: "hostile-agent",
        line: "A User-Agent with formulas, quotes, line breaks, control and bidi characters",
        change: hostile_agent,
        ..PLAIN
    },
];

pub fn by_name(name: &str) -> Option<&'static Mutation> {
    ALL.iter().find(|m| m.name == name)
}

/// Rules that compare with a past: they promise nothing while it is being learned.
const NEED_A_PAST: [&str; 16] = [
    "app-token-burst-new-ip",
    "app-new-subject",
    "integration-fingerprint-drift",
    "first-seen-app",
    "dormant-account-wakes",
    "api-call-volume-anomaly",
    "rows-volume-anomaly",
    "bulk-job-anomaly",
    "delete-volume-anomaly",
    "report-export-anomaly",
    "entity-breadth-anomaly",
    "off-schedule-activity",
    "paging-exfiltration",
    "credential-stuffing",
    "guest-endpoint-flood",
    "oauth-device-flow-suspected",
];

impl Mutation {
    /// Changes a scene; false where there is nothing in it to change.
    pub fn apply(&self, scene: &mut Scene, org: &Org, turn: usize) -> bool {
        if !(self.change)(scene, org, turn) {
            return false;
        }
        let must = &mut scene.expected.must;
        if self.while_learning {
            must.retain(|rule| !NEED_A_PAST.contains(rule));
        }
        if self.name == "slower" && !scene.slow {
            must.clear();
        }
        for answer in self.answers {
            scene.expected.rules.push(answer);
            if !must.is_empty() {
                must.push(answer);
            }
        }
        if must.is_empty() {
            scene.expected.min = None;
        } else if !self.answers.is_empty() {
            // A finding of coverage instead is worth a medium one.
            scene.expected.min = scene
                .expected
                .min
                .map(|min| min.min(crate::config::Severity::Medium));
        }
        true
    }
}

/// Changes the codes of logins and logouts.
fn codes(scene: &mut Scene, change: impl Fn(&str) -> String) -> bool {
    let mut any = false;
    for act in &mut scene.acts {
        match &mut act.deed {
            Deed::Login(login) => {
                let spelling = &mut login.spelling;
                for code in [&mut spelling.login_type, &mut spelling.sub_type] {
                    *code = change(code).into();
                }
                any = true;
            }
            Deed::Logout(logout) => {
                logout.session_type = change(&logout.session_type).into();
                any = true;
            }
            _ => {}
        }
    }
    any
}

fn swapped(text: &str) -> String {
    let swap = |c: char| match c.is_ascii_uppercase() {
        true => c.to_ascii_lowercase(),
        false => c.to_ascii_uppercase(),
    };
    text.chars().map(swap).collect()
}

fn code_case(scene: &mut Scene, _: &Org, _: usize) -> bool {
    codes(scene, swapped)
}

fn leading_space(scene: &mut Scene, _: &Org, _: usize) -> bool {
    codes(scene, |code| {
        if code.is_empty() {
            String::new()
        } else {
            format!(" {code}")
        }
    })
}

fn unknown_code(scene: &mut Scene, _: &Org, _: usize) -> bool {
    for act in &mut scene.acts {
        if let Deed::Login(login) = &mut act.deed {
            login.spelling.history_type = "Quantum Login".into();
            login.spelling.history_sub_type = "QuantumFlow".into();
        }
    }
    codes(scene, |code| {
        if code.is_empty() {
            String::new()
        } else {
            "Q9".to_owned()
        }
    })
}

fn label_for_code(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let mut any = false;
    for act in &mut scene.acts {
        match &mut act.deed {
            Deed::Login(login) => {
                login.spelling.login_type = login.spelling.history_type.clone();
                login.spelling.sub_type = login.spelling.history_sub_type.clone();
                any = true;
            }
            Deed::Logout(logout) if &*logout.session_type == "U" => {
                logout.session_type = "UI".into();
                any = true;
            }
            _ => {}
        }
    }
    any
}

fn null_column(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let empty = || Text::from("");
    for act in &mut scene.acts {
        match &mut act.deed {
            Deed::Login(login) => {
                login.spelling.login_type = empty();
                login.spelling.sub_type = empty();
                login.spelling.history_sub_type = empty();
                login.app = AppSeen::default();
            }
            Deed::Call(call) => {
                call.app = AppSeen::default();
                call.client = empty();
            }
            Deed::Job(job) => job.app = AppSeen::default(),
            _ => {}
        }
    }
    !scene.acts.is_empty()
}

fn salesforce_ip(scene: &mut Scene, _: &Org, _: usize) -> bool {
    scene
        .acts
        .iter_mut()
        .for_each(|act| act.from.hidden = Hidden::All);
    scene.ip = "".into();
    !scene.acts.is_empty()
}

fn mapped_ip(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let mut any = false;
    for act in &mut scene.acts {
        if let Ok(ip) = act.from.ip.parse::<Ipv4Addr>() {
            act.from.ip = format!("::ffff:{ip}").into();
            any = true;
        }
    }
    any
}

fn forwarded_for(scene: &mut Scene, org: &Org, _: usize) -> bool {
    let machine = org.machines.iter().find(|m| Some(m.user) == scene.user);
    let own = machine.map_or_else(|| org.office[0].clone(), |m| m.host().clone());
    let mut any = false;
    for act in &mut scene.acts {
        if let Deed::Login(_) = act.deed {
            act.from.forwarded = own.clone();
            any = true;
        }
    }
    any
}

/// Cyrillic letters that look like Latin ones; where a name has none of them, a full-width first
/// letter does it.
fn look_alike(name: &str) -> String {
    let twin = |c| match c {
        'a' => 'а',
        'e' => 'е',
        'o' => 'о',
        'c' => 'с',
        'p' => 'р',
        other => other,
    };
    let mut changed = false;
    let twins: String = name
        .chars()
        .map(|c| match changed {
            false => {
                let t = twin(c);
                changed = t != c;
                t
            }
            true => c,
        })
        .collect();
    if changed {
        return twins;
    }
    let wide = |c: char| char::from_u32(c as u32 - 0x21 + 0xff01).unwrap_or(c);
    let mut letters = name.chars();
    let first = letters
        .next()
        .map(|c| if c.is_ascii_graphic() { wide(c) } else { c });
    first.into_iter().chain(letters).collect()
}

fn look_alike_app(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let mut any = false;
    let mut change = |app: &mut AppSeen| {
        if !app.name.is_empty() {
            app.name = look_alike(&app.name).into();
            app.id = "".into();
            any = true;
        }
    };
    for act in &mut scene.acts {
        match &mut act.deed {
            Deed::Login(login) => change(&mut login.app),
            Deed::Call(call) => change(&mut call.app),
            Deed::Job(job) => change(&mut job.app),
            _ => {}
        }
    }
    any
}

/// Shifts a scene of less than a day so that its middle lies at the midnight before.
fn over_midnight(scene: &mut Scene, org: &Org, _: usize) -> bool {
    let (Some(first), Some(last)) = (scene.acts.first(), scene.acts.last()) else {
        return false;
    };
    let middle = scene.acts[scene.acts.len() / 2].at;
    let midnight = start_of(day_of(middle));
    if last.at - first.at > 20 * HOUR
        || scene.acts.len() < 2
        || day_of(midnight - 1) < org.first_day
    {
        return false;
    }
    scene
        .acts
        .iter_mut()
        .for_each(|act| act.at += midnight - middle);
    true
}

/// Ten times as long, and no longer than a week.
fn slower(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let (Some(first), Some(last)) = (scene.acts.first(), scene.acts.last()) else {
        return false;
    };
    let (first, span) = (first.at, last.at - first.at);
    if span == 0 || span * 10 > 7 * DAY {
        return false;
    }
    scene
        .acts
        .iter_mut()
        .for_each(|act| act.at = first + (act.at - first) * 10);
    true
}

/// Each act from another address of the same network.
fn spread(scene: &mut Scene, _: &Org, turn: usize) -> bool {
    for (n, act) in scene.acts.iter_mut().enumerate() {
        act.from.ip = match act.from.ip.parse::<Ipv4Addr>() {
            Ok(ip) => {
                let [a, b, c, _] = ip.octets();
                Ipv4Addr::new(a, b, c, (n * 7 % 250 + 2) as u8)
                    .to_string()
                    .into()
            }
            Err(_) => attacker_host(turn, (n * 7 % 4096) as u16),
        };
    }
    !scene.acts.is_empty()
}

fn renamed_agent(scene: &mut Scene, org: &Org, _: usize) -> bool {
    let machine = org
        .machines
        .iter()
        .find(|m| Some(m.user) == scene.user && !m.is_token);
    let Some(machine) = machine else {
        return false;
    };
    agents(scene, &machine.agent)
}

fn agents(scene: &mut Scene, agent: &Text) -> bool {
    let mut any = false;
    for act in &mut scene.acts {
        match &mut act.deed {
            Deed::Login(login) => login.agent = agent.clone(),
            Deed::Page(page) => page.agent = agent.clone(),
            Deed::Aura(aura) => aura.agent = agent.clone(),
            _ => continue,
        }
        any = true;
    }
    any
}

fn hostile_agent(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let hostile = "=HYPERLINK(\"https://example.com\",\"x\")\",\"1\"\n\u{1b}[2J\u{202e}\u{200b}<script>alert(1)</script>\
        ' OR 1=1 -- \t@SUM(1)|cmd";
    agents(scene, &hostile.into())
}
