//! Passwords that are guessed.

use super::super::acts::{Deed, Door};
use super::super::moment::{HOUR, MINUTE, SECOND};
use super::super::org::Role;
use super::super::plan::{Scene, Stage};
use super::access::{FOREIGN_BROWSER, pick};
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::{Critical, High, Medium};

pub(super) const WRONG: &str = "LOGIN_ERROR_INVALID_PASSWORD";

pub fn brute_force(stage: &mut Stage<'_>) -> Vec<Scene> {
    let ip = stage.foe(0);
    let mut at = stage.start(0) + stage.draw.between(HOUR, 22 * HOUR);
    let (user, machine) = match stage.variant {
        0 => (password_person(stage), false),
        _ => (pick(stage, &[Door::Soap, Door::Bearer], true).user, true),
    };
    let agent = if machine {
        "python-requests/2.31.0"
    } else {
        FOREIGN_BROWSER
    };
    let mut thief = Actor::as_person(user, &ip, "BR", agent);
    if machine {
        thief.door = Door::Soap;
    }
    let failures = if machine {
        8 + stage.draw.below(30)
    } else {
        12 + stage.draw.below(40)
    };
    let span = stage.draw.between(6 * MINUTE, 14 * MINUTE);
    thief.new_keys(&mut stage.draw);
    for _ in 0..failures {
        thief.attempt(at, WRONG);
        // Uneven on purpose: a rotated secret knocks like a clock.
        at += stage.draw.between(SECOND, 2 * span / failures as i64);
    }
    let own = [
        "integration-unexpected-ip-login",
        "mfa-absent-password-login",
        "ioc-match",
        "error-ratio-anomaly",
        "soap-login-call",
        "login-logging-limited",
    ];
    let mut done = if machine {
        // No success follows.
        let expected = expect(&[&own, &FOREIGN_USE], &["login-bruteforce"], Medium);
        scene(Some(user), "", &ip, thief.acts, expected)
    } else {
        at += stage.draw.between(5, 60) * SECOND;
        thief.log_in(at, &mut stage.draw);
        let end = thief.browse(at + 3 * SECOND, 4, &mut stage.draw);
        thief.log_out(end + MINUTE, "U");
        let expected = expect(&[&own, &FOREIGN_USE], &["login-bruteforce"], Critical);
        scene(Some(user), "", &ip, thief.acts, expected)
    };
    // Ten failures in half an hour are asked for.
    done.too_slow = vec!["login-bruteforce"];
    vec![done]
}

/// A person who logs in by password, an administrator for choice.
pub(super) fn password_person(stage: &mut Stage<'_>) -> usize {
    let org = &*stage.org;
    let by_password = |admin: bool| -> Vec<usize> {
        let people = org.people.iter().filter(|p| !p.sso);
        people
            .filter(|p| (org.user(p.user).role == Role::Admin) == admin)
            .map(|p| p.user)
            .collect()
    };
    let admins = by_password(true);
    let others = by_password(false);
    match stage.draw.chance(0.5) && !admins.is_empty() || others.is_empty() {
        true => *stage.draw.pick(&admins),
        false => *stage.draw.pick(&others),
    }
}

/// One source tries few passwords on many people.
pub fn password_spray(stage: &mut Stage<'_>) -> Vec<Scene> {
    let mut targets: Vec<usize> = stage.org.people.iter().map(|p| p.user).collect();
    let wanted = (15 + stage.draw.index(26)).min(targets.len());
    for n in 0..wanted {
        let other = n + stage.draw.index(targets.len() - n);
        targets.swap(n, other);
    }
    targets.truncate(wanted);
    // Fast from one address; slow all day long from one; fast from many of one network.
    let slow = stage.variant == 1 && wanted >= 22;
    let start = stage.start(0)
        + if slow {
            HOUR
        } else {
            stage.draw.between(HOUR, 20 * HOUR)
        };
    let mut at = start;
    let mut acts = vec![];
    for (n, user) in targets.iter().enumerate() {
        let h = if stage.variant == 2 { n as u16 % 12 } else { 0 };
        let mut thief = Actor::as_person(*user, &stage.foe(h), "VN", FOREIGN_BROWSER);
        thief.new_keys(&mut stage.draw);
        thief.attempt(at, WRONG);
        if stage.draw.chance(0.3) {
            thief.attempt(at + stage.draw.between(2, 20) * SECOND, WRONG);
        }
        acts.append(&mut thief.acts);
        at += match slow {
            true => stage.draw.between(15 * MINUTE, 22 * MINUTE),
            false => stage.draw.between(8 * SECOND, 50 * SECOND),
        };
    }
    // One password fits.
    let by_password = |user: &usize| {
        let people = &stage.org.people;
        people.iter().any(|p| p.user == *user && !p.sso)
    };
    let hit = targets.iter().copied().find(by_password);
    if let Some(hit) = hit {
        let mut thief = Actor::as_person(hit, &stage.foe(0), "VN", FOREIGN_BROWSER);
        thief.log_in(at, &mut stage.draw);
        thief.log_out(at + 10 * MINUTE, "U");
        acts.append(&mut thief.acts);
    }
    let own = [
        "login-bruteforce",
        "mfa-absent-password-login",
        "credential-stuffing",
        "integration-unexpected-ip-login",
        "impossible-travel",
        "anonymiser-or-hosting-network",
        "control-held-near-miss",
    ];
    let level = if hit.is_some() { Critical } else { High };
    let expected = expect(&[&own], &["password-spray"], level);
    let ip = stage.foe(0);
    let mut done = scene(None, "", &ip, acts, expected);
    // Twenty users in a day are asked for.
    if wanted < 20 || slow {
        done.too_slow = vec!["password-spray"];
    }
    vec![done]
}

/// A wave of leaked pairs, from many networks, most of them of nobody here.
pub fn credential_stuffing(stage: &mut Stage<'_>) -> Vec<Scene> {
    let people: Vec<usize> = stage
        .org
        .people
        .iter()
        .filter(|p| !p.sso)
        .map(|p| p.user)
        .collect();
    let attempts = 300 + stage.draw.below(300);
    let start = stage.start(0) + stage.draw.between(HOUR, 21 * HOUR);
    let sources = 90 + stage.draw.below(100);
    let offset = stage.draw.below(3000);
    let agent = "okhttp/3.14.9";
    let mut acts = vec![];
    let source = |n| super::super::org::crowd_address(offset + n);
    let mut used = vec![];
    for _ in 0..attempts {
        let at = start + stage.draw.between(0, 50 * MINUTE);
        let ip = source(stage.draw.below(sources));
        used.push(ip.clone());
        let unknown = stage.draw.chance(0.55);
        let user = *stage.draw.pick(&people);
        let mut thief = Actor::as_person(user, &ip, "ID", agent);
        thief.new_keys(&mut stage.draw);
        thief.attempt(
            at,
            if unknown {
                "LOGIN_ERROR_INVALID_USERNAME"
            } else {
                WRONG
            },
        );
        if unknown {
            let name = format!("user{}@example.net", stage.draw.below(1_000_000));
            for act in &mut thief.acts {
                act.user = None;
                if let Deed::Login(login) = &mut act.deed {
                    login.typed = Some(name.as_str().into());
                }
            }
        }
        acts.append(&mut thief.acts);
    }
    let hit = *stage.draw.pick(&people);
    // Who got in is known by an address of the wave.
    let ip = stage.draw.pick(&used).clone();
    let mut thief = Actor::as_person(hit, &ip, "ID", agent);
    thief.log_in(start + 31 * MINUTE, &mut stage.draw);
    acts.append(&mut thief.acts);
    let own = [
        "password-spray",
        "login-bruteforce",
        "mfa-absent-password-login",
        "impossible-travel",
        "anonymiser-or-hosting-network",
        "error-ratio-anomaly",
        "salesforce-threat-event",
    ];
    let expected = expect(&[&own], &["credential-stuffing"], Critical);
    let mut done = scene(None, "", &ip, acts, expected);
    // Fifty failures within an hour are asked for.
    done.too_slow = vec!["credential-stuffing"];
    vec![done]
}
