//! Releases: of a library, of an app, of the org.

use super::super::acts::Deed;
use super::super::attacks::Actor;
use super::super::declare::NewApp;
use super::super::moment::{DAY, HOUR, MINUTE, SECOND};
use super::super::org::{Effect, Role};
use super::Telling;

pub fn eca_migration(telling: &mut Telling<'_>) {
    let machine = telling.machine(|org, m| {
        let app = m.app.and_then(|a| org.apps.get(a));
        app.is_some_and(|a| a.id.starts_with("0H4")) && Telling::busy(m)
    });
    let old = telling.org.machines[machine]
        .app
        .and_then(|a| telling.org.apps.get(a))
        .cloned();
    let Some(old) = old else {
        return;
    };
    let name = format!("{} ECA", old.name);
    let app = telling.org.new_app(&name, "888", &old.vendor, old.grant);
    // At once, or at night.
    let hour = if telling.variant == 0 { 10 } else { 1 };
    let from = telling.start() + hour * HOUR;
    let user = telling.user_of(machine);
    let may = [
        "first-seen-app",
        "integration-fingerprint-drift",
        "shared-user-many-systems",
        "unattributable-traffic",
    ];
    let mark = telling.label(Some(user), &name, (from, from + 2 * DAY), &may);
    telling.lasting(machine, from, Effect::App(app), mark);
    let ticket = telling.ticket();
    let from = from - DAY;
    telling.plan.declared.apps.push(NewApp {
        machine,
        app,
        from,
        ticket,
    });
}

pub fn library_upgrade(telling: &mut Telling<'_>) {
    let machine = telling.machine(|_, m| Telling::busy(m));
    let from = telling.start() + telling.draw.between(8 * 60, 18 * 60) * MINUTE;
    let user = telling.user_of(machine);
    let may = ["integration-fingerprint-drift"];
    let mark = telling.label(Some(user), "", (from, from + 2 * DAY), &may);
    let current = telling.org.machines[machine].clone();
    // A library, an API version, or both.
    if telling.variant != 1 {
        let family = current.agent.split('/').next().unwrap_or_default();
        let agent = format!("{family}/{}.0", 20 + telling.draw.below(9));
        telling.lasting(machine, from, Effect::Agent(agent.into()), mark);
    }
    if telling.variant != 0 {
        telling.lasting(machine, from, Effect::Version(current.version + 2), mark);
    }
}

const NEW_OBJECTS: [&str; 4] = [
    "Contract_Line__c",
    "Renewal__c",
    "Usage_Entry__c",
    "Site_Visit__c",
];

pub fn new_release(telling: &mut Telling<'_>) {
    let machines = 2 + telling.draw.index(2);
    let objects = if telling.variant == 0 { 2 } else { 4 };
    let from = telling.start() + telling.draw.between(5 * 60, 8 * 60) * MINUTE;
    let mut chosen = vec![];
    for _ in 0..machines {
        let machine = telling.machine(|_, m| Telling::busy(m));
        if chosen.contains(&machine) {
            continue;
        }
        chosen.push(machine);
        let user = telling.user_of(machine);
        let may = [
            "entity-breadth-anomaly",
            "integration-fingerprint-drift",
            "unexpected-apex-endpoint",
        ];
        let mark = telling.label(Some(user), "", (from, from + 3 * DAY), &may);
        let new = NEW_OBJECTS[..objects].to_vec();
        telling.lasting(machine, from, Effect::Objects(new), mark);
        telling.window("maintenance", user, from - HOUR, from + 3 * DAY, &[]);
    }
}

pub fn sandbox_refresh(telling: &mut Telling<'_>) {
    let from = telling.start() + telling.draw.between(7 * 60, 14 * 60) * MINUTE;
    let Some(admin) = telling.org.admins().next().map(|p| p.user) else {
        return;
    };
    let may = [
        "password-spray",
        "integration-unexpected-ip-login",
        "unmapped-value",
        "api-call-volume-anomaly",
    ];
    let mark = telling.label(None, "", (from, from + DAY), &may);
    let mut acts = vec![];
    let mut clerk = Actor::as_person(admin, &"".into(), "", "");
    for (minutes, status) in [(0, "Processing"), (190, "Activating"), (230, "Completed")] {
        clerk.put(from + minutes * MINUTE, Deed::Sandbox { status });
    }
    acts.append(&mut clerk.acts);
    // Some systems of the sandbox still know the address of production.
    let systems: Vec<usize> = telling
        .org
        .integrations()
        .take(3 + telling.variant as usize)
        .collect();
    for machine in systems {
        let machine = telling.org.machines[machine].clone();
        let username = telling.org.user(machine.user).username.to_string();
        let mut lost = Actor::as_machine(
            telling.org,
            &machine,
            machine.host(),
            &machine.country,
            &machine.agent,
        );
        let mut at = from + 4 * HOUR + telling.draw.between(0, 40) * MINUTE;
        for _ in 0..2 + telling.draw.below(3) {
            lost.attempt(at, "LOGIN_ERROR_INVALID_USERNAME");
            at += telling.draw.between(20, 90) * SECOND;
        }
        for act in &mut lost.acts {
            act.user = None;
            if let Deed::Login(login) = &mut act.deed {
                login.typed = Some(format!("{username}.uat").into());
            }
        }
        acts.append(&mut lost.acts);
    }
    telling.put(acts, mark);
    // The pipeline deploys again what the copy of production overwrote.
    let ci = telling
        .org
        .machines
        .iter()
        .position(|m| telling.org.users[m.user].role == Role::Ci);
    if let Some(ci) = ci {
        telling.change(
            ci,
            from + 5 * HOUR,
            from + 11 * HOUR,
            Effect::Volume(2.5),
            mark,
        );
    }
}
