//! People who are talked into something, or whose session is taken.

use super::super::acts::{Act, AppSeen, Deed, Door, Keys, Origin, Report};
use super::super::declare::Listed;
use super::super::moment::{DAY, HOUR, MINUTE, SECOND, local};
use super::super::org::{Role, record_id};
use super::super::plan::{Scene, Stage};
use super::access::FOREIGN_BROWSER;
use super::guessing::password_person;
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::{Critical, High, Medium};

/// Names that the callers gave to their copies of a loader.
const APPS: [&str; 2] = ["My Ticket Portal", "Ticket Dashboard"];

/// A caller plays IT support and leads a person to approve an app by a device code; the app then
/// exports what it can.
pub fn vishing(stage: &mut Stage<'_>) -> Vec<Scene> {
    let people: Vec<usize> = stage.org.people.iter().map(|p| p.user).collect();
    let user = *stage.draw.pick(&people);
    let ip = stage.foe(0);
    let zone = stage.org.zone;
    let start = local(zone, stage.day, 10 * 60) + stage.draw.between(0, 5 * HOUR);
    let name = APPS[stage.variant as usize % 2];
    let app = AppSeen {
        id: super::super::org::record_id("0H4", 70_000 + stage.variant as usize).into(),
        name: name.into(),
    };
    let app = AppSeen {
        id: crate::catalog::sf_id18(&app.id).unwrap_or_default().into(),
        ..app
    };

    let desk = stage.org.office[0].clone();
    let country = stage.org.country.to_string();
    let browser = super::super::life::agent_of(stage.org, person_of(stage, user), stage.day);
    let mut person = Actor::as_person(user, &desk, &country, &browser);
    person.log_in(start, &mut stage.draw);
    person.classic_page(start + 3 * MINUTE, "/setup/connect");
    person.log_out(start + 4 * MINUTE, "P");
    let mut acts = person.acts;
    // The person's own sign-in is no attack: only the approval is.
    acts.remove(0);

    let mut thief = Actor::as_person(user, &ip, "NL", "python-requests/2.28.1");
    // The callers came through a commercial VPN.
    stage.listed.push(Listed {
        address: ip.clone(),
        class: "vpn",
        from: start - 30 * DAY,
    });
    thief.door = Door::Bearer;
    thief.app = app;
    thief.client = "DataLoaderBulkUI/".into();
    thief.version = 62;
    let mut at = start + 6 * MINUTE;
    thief.log_in(at, &mut stage.draw);
    at += 20 * SECOND;
    thief.get(at, "sobjects/", "");
    let objects = ["Account", "Contact", "Opportunity", "Case", "User", "Lead"];
    let calls = 560 + stage.draw.below(300);
    for n in 0..calls {
        at += stage.draw.between(3, 16) * SECOND;
        let object = objects[(n / 40) as usize % objects.len()];
        match n % 40 {
            0 => thief.query(
                at,
                object,
                2000,
                &format!("SELECT FIELDS(STANDARD) FROM {object} LIMIT 2000"),
            ),
            page => thief.page(at, object, 2000, page),
        }
    }
    let done = at + 40 * SECOND;
    let records = 40_000 + stage.draw.below(90_000);
    let states = [
        (done, "UploadComplete", 0, "POST"),
        (done + 50 * SECOND, "InProgress", records / 2, "GET"),
        (done + 3 * MINUTE, "JobComplete", records, "GET"),
    ];
    thief.job(&states, "query", "Contact", &mut stage.draw);
    acts.append(&mut thief.acts);
    let own = [
        "ioc-match",
        "recon-enumeration",
        "rows-volume-anomaly",
        "bulk-job-anomaly",
        "paging-exfiltration",
        "interactive-tool-on-integration-user",
        "unregistered-integration-user",
    ];
    let must = [
        "oauth-device-flow-suspected",
        "first-seen-app",
        "new-app-then-bulk-export",
    ];
    let expected = expect(&[&own, &FOREIGN_USE], &must, High);
    vec![scene(Some(user), name, &ip, acts, expected)]
}

fn person_of<'s>(stage: &'s Stage<'_>, user: usize) -> &'s super::super::org::Person {
    let people = &stage.org.people;
    people.iter().find(|p| p.user == user).unwrap_or(&people[0])
}

/// A session cookie is taken: the same session works on from the thief's network while its owner
/// still uses it.
pub fn session_hijack(stage: &mut Stage<'_>) -> Vec<Scene> {
    let user = password_person(stage);
    let is_admin = stage.org.user(user).role == Role::Admin;
    let desk = stage.org.office[1].clone();
    let country = stage.org.country.to_string();
    let browser = super::super::life::agent_of(stage.org, person_of(stage, user), stage.day);
    let ip = stage.foe(0);
    let start = local(stage.org.zone, stage.day, 9 * 60 + 30) + stage.draw.between(0, 4 * HOUR);
    let mut owner = Actor::as_person(user, &desk, &country, &browser);
    owner.attempt(start - 25 * SECOND, "LOGIN_TWOFACTOR_REQ");
    owner.log_in(start, &mut stage.draw);
    let mut thief = Actor::as_person(user, &ip, "SG", FOREIGN_BROWSER);
    thief.keys = owner.keys.clone();
    let mut at = start + 5 * MINUTE;
    for round in 0..4 + stage.draw.below(4) {
        owner.record_page(at, "Opportunity");
        at += stage.draw.between(40, 200) * SECOND;
        match round % 2 {
            0 => thief.classic_page(at, "/lightning/o/Contact/list"),
            _ => thief.record_page(at, "Contact"),
        }
        at += stage.draw.between(40, 200) * SECOND;
    }
    owner.record_page(at, "Account");
    // A script reads on with the session's id.
    thief.agent_code = "5001".into();
    for _ in 0..20 + stage.draw.below(40) {
        at += stage.draw.between(2, 9) * SECOND;
        thief.query(
            at,
            "Contact",
            200,
            "SELECT Id, Name, Email, Phone FROM Contact LIMIT 200",
        );
    }
    owner.record_page(at + MINUTE, "Lead");
    let mut acts = owner.acts;
    acts.append(&mut thief.acts);
    let own = [
        "mfa-absent-password-login",
        "salesforce-threat-event",
        "integration-api-without-connected-app",
        "rows-volume-anomaly",
    ];
    // On the free tier nothing of a person's session is promised.
    let must: &[&'static str] = stage.by_tier(&[], &["session-hijack-suspected"]);
    let min = if is_admin { Critical } else { High };
    vec![scene(
        Some(user),
        "",
        &ip,
        acts,
        expect(&[&own, &FOREIGN_USE], must, min),
    )]
}

/// An administrator logs in as somebody and exports that person's reports.
pub fn login_as_export(stage: &mut Stage<'_>) -> Vec<Scene> {
    let org = &*stage.org;
    let admins: Vec<usize> = org.admins().map(|p| p.user).collect();
    let others: Vec<usize> = org
        .people
        .iter()
        .map(|p| p.user)
        .filter(|u| !admins.contains(u))
        .collect();
    let (admin, target) = (*stage.draw.pick(&admins), *stage.draw.pick(&others));
    let ip = stage.org.office[2].clone();
    let start = local(stage.org.zone, stage.day, 11 * 60) + stage.draw.between(0, 5 * HOUR);
    let keys = Keys {
        login: stage.draw.key(16).into(),
        session: stage.draw.key(16).into(),
    };
    let country = stage.org.country.clone();
    let act = |at, deed| Act {
        at,
        user: Some(target),
        from: Origin::new(ip.clone(), country.clone()),
        keys: keys.clone(),
        deed,
    };
    let mut acts: Vec<Act> = (0..5)
        .map(|n| act(start + n * 700, Deed::LoginAs { by: admin }))
        .collect();
    let large = stage.variant == 1;
    let exports = 3 + stage.draw.below(3);
    for n in 0..exports {
        let rows = match large {
            true => 12_000 + stage.draw.below(60_000),
            false => 400 + stage.draw.below(800),
        };
        let report = Report {
            id: record_id("00O", 100 + n as usize).into(),
            rows,
            origin: "ReportExported",
            exported: true,
        };
        acts.push(act(
            start + (n as i64 + 1) * 70 * SECOND,
            Deed::Report(report),
        ));
    }
    let mut end = Actor::as_person(target, &ip, &country, "");
    end.keys = keys.clone();
    end.log_out(start + 12 * MINUTE, "S");
    acts.append(&mut end.acts);
    let must: &[&'static str] = stage.by_tier(&[], &["loginas-then-export"]);
    let expected = expect(
        &[&[
            "report-export-anomaly",
            "rows-volume-anomaly",
            "loginas-onto-integration-user",
        ]],
        must,
        if large { High } else { Medium },
    );
    vec![scene(Some(target), "", &ip, acts, expected)]
}
