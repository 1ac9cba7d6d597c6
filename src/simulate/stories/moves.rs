//! Machines that work from somewhere else: a vendor's move, a failover, two sites at once.

use super::super::acts::Mark;
use super::super::declare::Network;
use super::super::moment::{DAY, HOUR};
use super::super::org::{Effect, Org};
use super::super::plan::Plan;
use super::{Change, Telling};

/// From that moment on the machine works from its second site, which the registry knows from then
/// on where it declares any network.
pub fn move_machine(plan: &mut Plan, org: &mut Org, machine: usize, from: i64, ticket: &str, mark: Mark) {
    let moved = &mut org.machines[machine];
    let Some(network) = moved.sites.get(1).and_then(|s| s.networks.first()).cloned() else {
        return;
    };
    // Nobody knew of the second site before.
    moved.changes.retain(|c| !matches!(c.effect, Effect::Site(1)));
    moved.moves = true;
    let effect = Effect::Site(1);
    moved.changes.push(Change { from, to: i64::MAX, effect, mark });
    plan.declared.networks.push(Network {
        machine,
        network,
        from,
        ticket: ticket.to_owned(),
    });
}

pub fn egress_change(telling: &mut Telling<'_>) {
    let org = &*telling.org;
    let vendors: Vec<usize> = org
        .integrations()
        .filter(|n| {
            let machine = &org.machines[*n];
            let app = machine.app.and_then(|a| org.apps.get(a));
            machine.declared && app.is_some_and(|a| &*a.vendor != "own")
        })
        .collect();
    let candidates = if vendors.is_empty() { org.integrations().collect() } else { vendors };
    let machine = *telling.draw.pick(&candidates);
    // At midnight, in the morning, or in the evening.
    let hour = [0, 9, 19][telling.variant as usize % 3];
    let from = telling.start() + hour * HOUR;
    let user = telling.org.machines[machine].user;
    let may = ["integration-fingerprint-drift", "shared-credential-concurrent"];
    let mark = telling.label(Some(user), "", (from, from + 2 * DAY), &may);
    let ticket = telling.ticket();
    move_machine(telling.plan, telling.org, machine, from, &ticket, mark);
}
