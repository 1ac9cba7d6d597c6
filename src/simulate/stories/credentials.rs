//! Certificates, passwords and consents that run out and are renewed.

use chrono::{Datelike, NaiveDate, Weekday};

use super::super::acts::Door;
use super::super::attacks::Actor;
use super::super::life::{PasswordMonday, agent_of};
use super::super::moment::{DAY, HOUR, MINUTE, SECOND, is_working_day, later, start_of};
use super::super::org::{Effect, Org};
use super::Telling;

pub fn certificate_rollover(telling: &mut Telling<'_>) {
    let machine = telling.machine(|_, m| {
        matches!(m.door, Door::Bearer | Door::ClientCredentials) && Telling::busy(m)
    });
    let status = match telling.org.machines[machine].mtls {
        true => "LOGIN_ERROR_MUTUAL_AUTHENTICATION",
        false => "LOGIN_OAUTH_INVALID_DSIG",
    };
    // Noticed soon; with a ticket, or without.
    let from = telling.start() + telling.draw.between(7 * 60, 15 * 60) * MINUTE;
    let to = from + telling.draw.between(35, 95) * MINUTE;
    let every = telling.draw.between(12, 45) * SECOND;
    let user = telling.user_of(machine);
    let may = [
        "transport-or-mtls-refused",
        "oauth-abuse-errors",
        "control-held-near-miss",
        "error-ratio-anomaly",
        "integration-silence",
    ];
    let mark = telling.label(Some(user), "", (from, to + 2 * HOUR), &may);
    telling.change(machine, from, to, Effect::Refused(status, every), mark);
    telling.change(machine, to, to + 2 * HOUR, Effect::Volume(1.6), mark);
    if telling.variant == 0 {
        telling.window("maintenance", user, from - HOUR, to + 2 * HOUR, &[]);
    }
}

pub fn secret_rotation(telling: &mut Telling<'_>) {
    let machine = telling.machine(|_, m| m.door == Door::Soap);
    let from = telling.start() + telling.draw.between(6 * 60, 20 * 60) * MINUTE;
    let to = from + telling.draw.between(60, 110) * MINUTE;
    let every = if telling.variant == 0 {
        MINUTE
    } else {
        15 * SECOND
    };
    let user = telling.user_of(machine);
    let may = [
        "login-bruteforce",
        "login-logging-limited",
        "error-ratio-anomaly",
        "soap-login-call",
        "integration-unexpected-ip-login",
    ];
    let mark = telling.label(Some(user), "", (from, to + HOUR), &may);
    let refused = Effect::Refused("LOGIN_ERROR_INVALID_PASSWORD", every);
    telling.change(machine, from, to, refused, mark);
}

pub fn re_consent(telling: &mut Telling<'_>) {
    let machine = telling.machine(|_, m| m.door == Door::Refresh && m.declared);
    let vendor = telling.org.machines[machine].clone();
    let at = telling.start() + telling.draw.between(9 * 60, 16 * 60) * MINUTE;
    let may = [
        "browser-client-on-integration-login",
        "mfa-absent-password-login",
        "flow-downgrade",
    ];
    let mark = telling.label(Some(vendor.user), "", (at, at + HOUR), &may);
    // Where it works from at that time.
    let site = vendor.working(at).site.unwrap_or_default();
    let site = vendor.sites.get(site).unwrap_or(&vendor.sites[0]);
    telling.window(
        "consent",
        vendor.user,
        at - HOUR,
        at + 2 * HOUR,
        &site.networks,
    );
    let ip = site.hosts[0].clone();
    let country = vendor.country.to_string();
    let person = &telling.org.people[0];
    let browser = agent_of(telling.org, person, telling.day);
    let mut clerk = Actor::as_person(vendor.user, &ip, &country, &browser);
    // Some are asked for a second factor.
    if telling.variant == 1 {
        clerk.new_keys(&mut telling.draw);
        clerk.attempt(at - 20 * SECOND, "LOGIN_TWOFACTOR_REQ");
    }
    clerk.log_in(at, &mut telling.draw);
    clerk.classic_page(at + 5 * SECOND, "/_ui/identity/oauth/ui/AuthorizationPage");
    let mut server = Actor::as_machine(telling.org, &vendor, &ip, &country, &vendor.agent);
    server.door = Door::WebServer;
    server.log_in(at + 40 * SECOND, &mut telling.draw);
    let mut acts = clerk.acts;
    acts.append(&mut server.acts);
    telling.put(acts, mark);
}

pub fn is_monday(_: &Org, day: NaiveDate) -> bool {
    day.weekday() == Weekday::Mon && is_working_day(day)
}

pub fn password_monday(telling: &mut Telling<'_>) {
    let share = if telling.variant == 0 { 0.35 } else { 0.7 };
    let may = [
        "login-bruteforce",
        "password-spray",
        "credential-stuffing",
        "error-ratio-anomaly",
    ];
    let from = telling.start();
    let mark = telling.label(None, "", (from, from + DAY), &may);
    let day = telling.day;
    telling
        .plan
        .asked
        .password_mondays
        .push(PasswordMonday { day, share, mark });
    debug_assert!(start_of(later(day, 1)) == from + DAY);
}
