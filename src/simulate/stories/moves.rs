//! Machines that work from somewhere else: a vendor's move, a failover, two sites at once.

use super::super::acts::Mark;
use super::super::declare::Network;
use super::super::moment::{DAY, HOUR, MINUTE};
use super::super::org::{Effect, Machine, Org};
use super::super::plan::Plan;
use super::{Change, Telling};

/// From that moment on the machine works from its second site, which the registry knows from then
/// on where it declares any network. It moves once: the nights of one attack share the move, and a
/// story may come to a machine that has moved.
pub fn move_machine(
    plan: &mut Plan,
    org: &mut Org,
    machine: usize,
    from: i64,
    ticket: &str,
    mark: Mark,
) {
    let moved = &mut org.machines[machine];
    if moved.moves {
        return;
    }
    let Some(network) = moved.sites.get(1).and_then(|s| s.networks.first()).cloned() else {
        return;
    };
    // Nobody knew of the second site before.
    moved
        .changes
        .retain(|c| !matches!(c.effect, Effect::Site(1)));
    moved.moves = true;
    let effect = Effect::Site(1);
    let labelled = from + 2 * DAY;
    moved.changes.push(Change {
        from,
        to: labelled,
        effect: effect.clone(),
        mark,
    });
    moved.changes.push(Change {
        from: labelled,
        to: i64::MAX,
        effect,
        mark: Mark::NONE,
    });
    plan.declared.networks.push(Network {
        machine,
        network,
        from,
        ticket: ticket.to_owned(),
    });
}

pub fn egress_change(telling: &mut Telling<'_>) {
    let machine = telling.machine(|org, machine| {
        let app = machine.app.and_then(|a| org.apps.get(a));
        machine.declared && !machine.moves && app.is_some_and(|a| &*a.vendor != "own")
    });
    // At midnight, in the morning, or in the evening.
    let hour = [0, 9, 19][telling.variant as usize % 3];
    let from = telling.start() + hour * HOUR;
    let user = telling.user_of(machine);
    let mark = telling.label(Some(user), "", (from, from + 2 * DAY), &MOVED);
    let ticket = telling.ticket();
    move_machine(telling.plan, telling.org, machine, from, &ticket, mark);
}

/// What may be said of a machine that works from elsewhere, below high.
const MOVED: [&str; 2] = [
    "integration-fingerprint-drift",
    "shared-credential-concurrent",
];

/// A machine with two declared sites that works from the first one.
fn two_sites(_: &Org, machine: &Machine) -> bool {
    machine.declared && !machine.moves && machine.sites.len() > 1
}

pub fn region_failover(telling: &mut Telling<'_>) {
    let machine = telling.machine(two_sites);
    let hours = [4, 12, 30][telling.variant as usize % 3];
    let from = telling.start() + telling.draw.between(0, 20 * 60) * MINUTE;
    let to = from + hours * HOUR;
    let user = telling.user_of(machine);
    let mark = telling.label(Some(user), "", (from, to), &MOVED);
    telling.change(machine, from, to, Effect::Site(1), mark);
}

pub fn active_active(telling: &mut Telling<'_>) {
    let machine = telling.machine(two_sites);
    let from = telling.start() + telling.draw.between(0, 20 * 60) * MINUTE;
    let user = telling.user_of(machine);
    let mark = telling.label(Some(user), "", (from, from + 3 * DAY), &MOVED);
    match telling.variant {
        0 => telling.lasting(machine, from, Effect::AllSites, mark),
        _ => telling.change(machine, from, from + 3 * DAY, Effect::AllSites, mark),
    }
}
