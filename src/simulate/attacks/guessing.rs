//! Passwords that are guessed.

use super::super::acts::Door;
use super::super::moment::{HOUR, MINUTE, SECOND};
use super::super::org::Role;
use super::super::plan::{Scene, Stage};
use super::access::{FOREIGN_BROWSER, pick};
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::{Critical, Medium};

pub(super) const WRONG: &str = "LOGIN_ERROR_INVALID_PASSWORD";

pub fn brute_force(stage: &mut Stage<'_>) -> Vec<Scene> {
    let ip = stage.foe(0);
    let mut at = stage.start(0) + stage.draw.between(HOUR, 22 * HOUR);
    let (user, machine) = match stage.variant {
        0 => (password_person(stage), false),
        _ => (pick(stage, &[Door::Soap, Door::Bearer], true).user, true),
    };
    let agent = if machine { "python-requests/2.31.0" } else { FOREIGN_BROWSER };
    let mut thief = Actor::as_person(user, &ip, "BR", agent);
    if machine {
        thief.door = Door::Soap;
    }
    let failures = if machine { 8 + stage.draw.below(30) } else { 12 + stage.draw.below(40) };
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
    done.slow = false;
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
