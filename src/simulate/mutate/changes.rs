//! What each evasion does to the acts of an attack. False: there was nothing to do it to.

use std::net::Ipv4Addr;

use super::super::acts::{Act, AppSeen, Deed, Hidden, Text};
use super::super::life::agent_of;
use super::super::moment::{DAY, HOUR, day_of, start_of};
use super::super::org::{Org, attacker_host, is_foreign};
use super::Scene;

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

pub fn code_case(scene: &mut Scene, _: &Org, _: usize) -> bool {
    codes(scene, swapped)
}

pub fn leading_space(scene: &mut Scene, _: &Org, _: usize) -> bool {
    codes(scene, |code| {
        if code.is_empty() {
            String::new()
        } else {
            format!(" {code}")
        }
    })
}

pub fn unknown_code(scene: &mut Scene, _: &Org, _: usize) -> bool {
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

pub fn label_for_code(scene: &mut Scene, _: &Org, _: usize) -> bool {
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

pub fn null_column(scene: &mut Scene, _: &Org, _: usize) -> bool {
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

/// Acts that come from outside of the org and its vendors.
fn foreign(scene: &mut Scene) -> impl Iterator<Item = &mut Act> {
    scene.acts.iter_mut().filter(|act| is_foreign(&act.from.ip))
}

pub fn salesforce_ip(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let mut any = false;
    for act in foreign(scene) {
        act.from.hidden = Hidden::All;
        any = true;
    }
    if any {
        scene.ip = "".into();
    }
    any
}

pub fn mapped_ip(scene: &mut Scene, _: &Org, _: usize) -> bool {
    let mut any = false;
    for act in foreign(scene) {
        if let Ok(ip) = act.from.ip.parse::<Ipv4Addr>() {
            act.from.ip = format!("::ffff:{ip}").into();
            any = true;
        }
    }
    any
}

pub fn forwarded_for(scene: &mut Scene, org: &Org, _: usize) -> bool {
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

pub fn look_alike_app(scene: &mut Scene, _: &Org, _: usize) -> bool {
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
    if any && !scene.app.is_empty() {
        scene.app = look_alike(&scene.app).into();
    }
    any
}

/// Shifts a scene of less than a day so that its middle lies at the midnight before.
pub fn over_midnight(scene: &mut Scene, org: &Org, _: usize) -> bool {
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
pub fn slower(scene: &mut Scene, _: &Org, _: usize) -> bool {
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
pub fn spread(scene: &mut Scene, _: &Org, turn: usize) -> bool {
    let mut n = 0;
    for act in foreign(scene) {
        act.from.ip = match act.from.ip.parse::<Ipv4Addr>() {
            Ok(ip) => {
                let [a, b, c, _] = ip.octets();
                Ipv4Addr::new(a, b, c, (n * 7 % 250 + 2) as u8)
                    .to_string()
                    .into()
            }
            Err(_) => attacker_host(turn | 1, (n * 7 % 4096) as u16),
        };
        n += 1;
    }
    n > 0
}

/// What a user's own client calls itself: User-Agent, client name and code of the detail logs.
fn own_client(org: &Org, user: Option<usize>, at: i64) -> Option<(Text, Text, Text)> {
    let user = user?;
    let none = || Text::from("");
    if let Some(machine) = org.machines.iter().find(|m| m.user == user) {
        return Some((
            machine.agent.clone(),
            machine.client.clone(),
            machine.agent_code.clone(),
        ));
    }
    let person = org.people.iter().find(|p| p.user == user)?;
    Some((agent_of(org, person, day_of(at)), none(), "9999".into()))
}

pub fn renamed_agent(scene: &mut Scene, org: &Org, _: usize) -> bool {
    named(scene, |act| own_client(org, act.user, act.at))
}

/// Gives each act the User-Agent, client name and client code that it is said to have.
fn named(scene: &mut Scene, of: impl Fn(&Act) -> Option<(Text, Text, Text)>) -> bool {
    let mut any = false;
    for act in &mut scene.acts {
        let Some((agent, client, code)) = of(act) else {
            continue;
        };
        match &mut act.deed {
            Deed::Login(login) => login.agent = agent,
            Deed::Page(page) => page.agent = agent,
            Deed::Aura(aura) => aura.agent = agent,
            Deed::Job(job) => job.client = client,
            Deed::Call(call) => (call.client, call.agent_code) = (client, code),
            _ => continue,
        }
        any = true;
    }
    any
}

const HOSTILE: &str = "=HYPERLINK(\"https://example.com\",\"x\")\",\"1\"\n\u{1b}[2J\u{202e}\u{200b}\
    <script>alert(1)</script>' OR 1=1 -- \t@SUM(1)|cmd";

pub fn hostile_agent(scene: &mut Scene, _: &Org, _: usize) -> bool {
    named(scene, |_| {
        Some((HOSTILE.into(), HOSTILE.into(), "9999".into()))
    })
}
