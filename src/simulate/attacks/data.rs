//! What is done with an identity once it is held: quiet reading, deletion, changes of the setup.

use super::super::acts::{Deed, Door, Setup};
use super::super::book::Tier;
use super::super::moment::{HOUR, MINUTE, SECOND, is_working_day, later, local};
use super::super::org::{Machine, Rhythm};
use super::super::plan::{Scene, Stage};
use super::access::{app_name, pick};
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::{High, Medium};

/// The machine itself is in other hands: from its own address and with its own client it reads,
/// each night, some of what it never read before.
pub fn slow_exfiltration(stage: &mut Stage<'_>) -> Vec<Scene> {
    let victim = quiet_at_night(stage);
    let app = app_name(stage, &victim);
    let ip = victim.host().clone();
    let mut scenes = vec![];
    for night in 0..5 {
        let agent = victim.agent.to_string();
        let country = victim.country.to_string();
        let mut thief = Actor::as_machine(stage.org, &victim, &ip, &country, &agent);
        thief.client = victim.client.clone();
        thief.agent_code = victim.agent_code.clone();
        let day = later(stage.day, night);
        let mut at = local(stage.org.zone, day, 2 * 60) + stage.draw.between(0, 20 * MINUTE);
        thief.log_in(at, &mut stage.draw);
        // Two hours of a quarter of a thousand calls in all, of a hundred rows each.
        for n in 0..90 + stage.draw.below(40) {
            at += stage.draw.between(30, 90) * SECOND;
            let object = if n % 4 == 3 { "Contact" } else { "Opportunity" };
            thief.query(
                at,
                object,
                80 + stage.draw.below(40),
                &format!("SELECT Id, Name FROM {object} LIMIT 120"),
            );
        }
        let own = [
            "rows-volume-anomaly",
            "slow-drift",
            "api-call-volume-anomaly",
            "paging-exfiltration",
            "integration-fingerprint-drift",
        ];
        // New objects are new in the first night; hours stay unusual for eight weeks.
        let must: &[&'static str] = match (night, is_working_day(day)) {
            (0, _) => &["entity-breadth-anomaly", "off-schedule-activity"],
            _ => &["off-schedule-activity"],
        };
        let expected = expect(
            &[&own, &["entity-breadth-anomaly"]],
            if night == 0 { must } else { &[] },
            Medium,
        );
        scenes.push(scene(
            Some(victim.user),
            app.clone(),
            &ip,
            thief.acts,
            expected,
        ));
    }
    scenes
}

/// A machine that sleeps at night.
fn quiet_at_night(stage: &mut Stage<'_>) -> Machine {
    let org = &*stage.org;
    let office: Vec<usize> = org
        .integrations()
        .filter(|n| org.machines[*n].rhythm == Rhythm::Office)
        .collect();
    let all: Vec<usize> = org.integrations().collect();
    let n = *stage
        .draw
        .pick(if office.is_empty() { &all } else { &office });
    stage.org.machines[n].clone()
}

/// Records are deleted by the thousand, for good where the logs can show it.
pub fn mass_delete(stage: &mut Stage<'_>) -> Vec<Scene> {
    let victim = pick(stage, &[Door::Bearer, Door::Refresh], true);
    let app = app_name(stage, &victim);
    // By the machine itself, or from elsewhere.
    let foreign = stage.variant == 1;
    let ip = if foreign {
        stage.foe(0)
    } else {
        victim.host().clone()
    };
    let agent = if foreign {
        "curl/8.5.0".to_owned()
    } else {
        victim.agent.to_string()
    };
    let mut actor = Actor::as_machine(stage.org, &victim, &ip, &victim.country.clone(), &agent);
    let mut at = stage.start(0) + stage.draw.between(HOUR, 18 * HOUR);
    actor.log_in(at, &mut stage.draw);
    let usual = victim.calls as u64;
    for n in 0..1500 + usual * 12 {
        at += stage.draw.between(200, 1500);
        let mut call = actor.call("Account", 1);
        call.method = "DELETE";
        call.resource = format!(
            "sobjects/Account/{}",
            super::super::org::record_id("001", n as usize)
        )
        .into();
        call.query = "".into();
        call.status = 204;
        actor.put(at, Deed::Call(call));
    }
    let records = 6_000 + stage.draw.below(30_000);
    let done = at + MINUTE;
    let states = [
        (done, "UploadComplete", 0, "POST"),
        (done + 40 * SECOND, "InProgress", records / 2, "GET"),
        (done + 4 * MINUTE, "JobComplete", records, "GET"),
    ];
    actor.job(&states, "hardDelete", "Contact", &mut stage.draw);
    let own = [
        "delete-volume-anomaly",
        "bulk-job-anomaly",
        "entity-breadth-anomaly",
        "api-call-volume-anomaly",
        "rows-volume-anomaly",
        "api-limit-burn",
    ];
    let (must, min): (&[&'static str], _) = match (foreign, stage.tier) {
        (true, Tier::Free) => (
            &[
                "integration-unexpected-ip-login",
                "integration-unexpected-ip-api",
            ],
            High,
        ),
        (false, Tier::Free) => (&["api-call-volume-anomaly"], Medium),
        (_, Tier::Shield) => (&["delete-volume-anomaly", "bulk-job-anomaly"], High),
    };
    let mut expected = expect(&[&own], must, min);
    expected
        .rules
        .extend(FOREIGN_USE.iter().filter(|_| foreign));
    vec![scene(Some(victim.user), app, &ip, actor.acts, expected)]
}

/// An integration's identity changes who may do what.
pub fn setup_change(stage: &mut Stage<'_>) -> Vec<Scene> {
    let victim = pick(stage, &[Door::Refresh, Door::Bearer], true);
    let app = app_name(stage, &victim);
    let ip = stage.foe(0);
    let mut thief = Actor::as_machine(stage.org, &victim, &ip, "RO", "sf-cli/2.60");
    let mut at = stage.start(0) + stage.draw.between(HOUR, 21 * HOUR);
    thief.log_in(at, &mut stage.draw);
    let name = stage.org.user(victim.user).username.to_string();
    let changes = [
        (
            "PermSetAssign",
            "Manage Users",
            format!("Permission set View All: assigned to user {name}"),
        ),
        (
            "createduser",
            "Manage Users",
            "Created new User help.desk@example.com".to_owned(),
        ),
        (
            "insertConnectedApplication",
            "Connected Apps",
            "Created connected app Report Helper".to_owned(),
        ),
    ];
    let operations = ["meta_list", "meta_retrieve", "meta_deploy"];
    for ((action, section, display), operation) in changes.into_iter().zip(operations) {
        at += stage.draw.between(40, 300) * SECOND;
        let client = "sf-cli/".into();
        thief.put(at, Deed::Metadata { client, operation });
        thief.put(
            at + 2 * SECOND,
            Deed::Setup(Setup {
                action,
                section,
                display,
            }),
        );
    }
    let own = [
        "privilege-change-on-integration-user",
        "integration-changes-setup",
        "interactive-tool-on-integration-user",
        "integration-wrong-connected-app",
        "integration-api-without-connected-app",
        "cross-source-mismatch",
        "unattributable-traffic",
    ];
    let must: &[&'static str] = stage.by_tier(
        &[
            "integration-unexpected-ip-login",
            "integration-unexpected-ip-api",
        ],
        &["integration-changes-setup"],
    );
    vec![scene(
        Some(victim.user),
        app,
        &ip,
        thief.acts,
        expect(&[&own, &FOREIGN_USE], must, High),
    )]
}
