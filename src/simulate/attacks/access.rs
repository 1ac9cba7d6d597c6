//! Stolen passwords, tokens and keys of one identity.

use super::super::acts::Door;
use super::super::moment::{HOUR, MINUTE, SECOND};
use super::super::org::Machine;
use super::super::plan::{Scene, Stage};
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::High;

/// A browser that the org's people do not have in this release.
pub(super) const FOREIGN_BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// Integrations that come by one of these doors, with declared networks first. Never empty in an
/// org of any size.
pub(super) fn machines_by(stage: &Stage<'_>, doors: &[Door], declared: bool) -> Vec<usize> {
    let org = &*stage.org;
    let vendors: Vec<usize> = org
        .vendors
        .iter()
        .filter_map(|v| v.machines.first().copied())
        .collect();
    let fits = |n: &usize, wanted: bool| {
        let machine = &org.machines[*n];
        doors.contains(&machine.door) && !vendors.contains(n) && (machine.declared || !wanted)
    };
    let mut found: Vec<usize> = org.integrations().filter(|n| fits(n, declared)).collect();
    if found.is_empty() {
        found = org.integrations().filter(|n| fits(n, false)).collect();
    }
    if found.is_empty() {
        found = org.integrations().collect();
    }
    found
}

pub(super) fn pick(stage: &mut Stage<'_>, doors: &[Door], declared: bool) -> Machine {
    let found = machines_by(stage, doors, declared);
    let n = *stage.draw.pick(&found);
    stage.org.machines[n].clone()
}

pub(super) fn app_name(stage: &Stage<'_>, machine: &Machine) -> super::Text {
    let app = machine.app.and_then(|n| stage.org.apps.get(n));
    app.map(|app| app.name.clone()).unwrap_or_else(|| "".into())
}

pub fn ui_login(stage: &mut Stage<'_>) -> Vec<Scene> {
    let victim = pick(stage, &[Door::Bearer, Door::ClientCredentials], true);
    let ip = stage.foe(0);
    let mut thief = Actor::as_person(victim.user, &ip, "NL", FOREIGN_BROWSER);
    let mut at = stage.start(0) + stage.draw.between(HOUR, 21 * HOUR);
    if stage.variant == 1 {
        // Stopped by API-only at first, which then was taken away.
        for _ in 0..2 {
            thief.attempt(at, "LOGIN_ERROR_USER_API_ONLY");
            at += stage.draw.between(20, 90) * SECOND;
        }
        at += 25 * MINUTE;
    }
    thief.log_in(at, &mut stage.draw);
    let pages = 6 + stage.draw.below(10);
    let end = thief.browse(at + 3 * SECOND, pages, &mut stage.draw);
    thief.log_out(end + 2 * MINUTE, "U");
    let own = [
        "integration-ui-activity",
        "integration-ui-attempt-blocked",
        "flow-downgrade",
        "mfa-absent-password-login",
        "first-seen-app",
    ];
    let expected = expect(&[&own, &FOREIGN_USE], &["integration-ui-login"], High);
    vec![scene(Some(victim.user), "", &ip, thief.acts, expected)]
}

pub fn token_replay(stage: &mut Stage<'_>) -> Vec<Scene> {
    let learned_is_known = !stage.learning;
    let declared = !learned_is_known || stage.draw.chance(0.7);
    let victim = pick(stage, &[Door::Refresh], declared);
    let ip = stage.foe(0);
    let mut thief = Actor::as_machine(stage.org, &victim, &ip, "RO", "python-requests/2.32.3");
    let mut at = stage.start(0) + stage.draw.between(0, 20 * HOUR);
    match stage.variant {
        0 => thief.log_in(at, &mut stage.draw),
        // The access token itself was stolen: nobody logs in under our eyes.
        _ => thief.new_keys(&mut stage.draw),
    }
    let calls = 60 + stage.draw.below(200);
    for n in 0..calls {
        at += stage.draw.between(2, 25) * SECOND;
        let object = match n % 3 {
            0 => "Contact",
            1 => "Account",
            _ => victim.objects.first().copied().unwrap_or("Account"),
        };
        let rows = 200 + stage.draw.below(1800);
        thief.query(
            at,
            object,
            rows,
            &format!("SELECT Id, Name, Email FROM {object} LIMIT 2000"),
        );
    }
    let must: &[&'static str] = match stage.variant {
        0 => &[
            "integration-unexpected-ip-login",
            "integration-unexpected-ip-api",
        ],
        _ => &["integration-unexpected-ip-api"],
    };
    let own = [
        "rows-volume-anomaly",
        "app-token-burst-new-ip",
        "cross-source-mismatch",
    ];
    let expected = expect(&[&own, &FOREIGN_USE], must, High);
    let app = app_name(stage, &victim);
    vec![scene(Some(victim.user), app, &ip, thief.acts, expected)]
}

/// An account that nobody thought of for months wakes up.
pub fn dormant_token(stage: &mut Stage<'_>) -> Vec<Scene> {
    let victim = stage.org.machines[stage.org.dormant].clone();
    let ip = stage.foe(0);
    let mut thief = Actor::as_machine(stage.org, &victim, &ip, "NL", "python-requests/2.31.0");
    let mut at = stage.start(0) + stage.draw.between(HOUR, 20 * HOUR);
    thief.log_in(at, &mut stage.draw);
    for n in 0..30 + stage.draw.below(80) {
        at += stage.draw.between(2, 30) * SECOND;
        let object = if n % 2 == 0 { "Account" } else { "Contact" };
        thief.query(
            at,
            object,
            500 + stage.draw.below(1500),
            &format!("SELECT Id, Name FROM {object} LIMIT 2000"),
        );
    }
    let own = [
        "stale-refresh-grant",
        "rows-volume-anomaly",
        "orphan-integration",
    ];
    let idle = (stage.day - stage.org.first_day).num_days() - 6;
    let must: &[&'static str] = match idle >= 46 {
        true => &[
            "dormant-account-wakes",
            "integration-unexpected-ip-login",
            "integration-unexpected-ip-api",
        ],
        // Not idle for long enough yet: what is left is the address.
        false => &[
            "integration-unexpected-ip-login",
            "integration-unexpected-ip-api",
        ],
    };
    let mut expected = expect(&[&own, &FOREIGN_USE], must, High);
    if idle >= 46 {
        expected.rules.push("dormant-account-wakes");
        expected.rules.dedup();
    }
    let app = app_name(stage, &victim);
    vec![scene(Some(victim.user), app, &ip, thief.acts, expected)]
}

/// Whoever holds the signing key of a bearer app logs in as anybody.
pub fn jwt_key_theft(stage: &mut Stage<'_>) -> Vec<Scene> {
    let victim = pick(stage, &[Door::Bearer], true);
    let app = app_name(stage, &victim);
    let subjects: Vec<usize> = match stage.variant {
        0 => stage.org.admins().map(|p| p.user).take(1).collect(),
        _ => stage
            .org
            .internal
            .iter()
            .copied()
            .take(1)
            .chain(stage.org.admins().map(|p| p.user).take(1))
            .collect(),
    };
    let ip = stage.foe(0);
    let mut scenes = vec![];
    for subject in subjects {
        let mut thief = Actor::as_machine(stage.org, &victim, &ip, "SG", "Java/17.0");
        thief.user = Some(subject);
        let mut at = stage.start(0) + stage.draw.between(HOUR, 20 * HOUR);
        thief.log_in(at, &mut stage.draw);
        for n in 0..15 + stage.draw.below(40) {
            at += stage.draw.between(2, 30) * SECOND;
            let object = ["User", "Account", "Contact"][n as usize % 3];
            thief.query(
                at,
                object,
                200 + stage.draw.below(500),
                &format!("SELECT Id, Name FROM {object} LIMIT 1000"),
            );
        }
        let is_internal = stage.org.internal.contains(&subject);
        let must: &[&'static str] = match is_internal {
            true => &["app-new-subject", "internal-user-login"],
            false => &["app-new-subject"],
        };
        let own = [
            "internal-user-login",
            "unexpected-apex-endpoint",
            "rows-volume-anomaly",
            "first-seen-app",
            "new-app-then-bulk-export",
            "secret-store-entity-read",
        ];
        let expected = expect(&[&own, &FOREIGN_USE], must, High);
        scenes.push(scene(Some(subject), app.clone(), &ip, thief.acts, expected));
    }
    scenes
}
