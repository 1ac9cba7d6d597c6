//! The machines of an org: kinds of integrations, each with its door, rhythm and addresses.

use super::super::acts::Door;
use super::super::draw::Draw;
use super::super::moment::{DAY, HOUR, MINUTE, start_of};
use super::machine::{Machine, Rhythm};
use super::{Change, Effect, Org, Role, VendorApp, addresses};
use crate::simulate::acts::Mark;

/// A kind of integration, of which a large org has several.
struct Kind {
    username: &'static str,
    system: &'static str,
    app: Option<(&'static str, &'static str)>,
    /// `own`, or the vendor's name.
    vendor: &'static str,
    grant: &'static str,
    door: Door,
    agent: (&'static str, u64, u64),
    client: &'static str,
    objects: &'static [&'static str],
    rhythm: Rhythm,
    calls: f64,
    rows: u64,
    nodes: usize,
    /// Chance that its networks are in the registry.
    declared: f64,
    month_end: f64,
}

const ROUND: Rhythm = Rhythm::Round { busier: 3.0 };
const EVEN: Rhythm = Rhythm::Round { busier: 1.2 };

/// Copies of every night.
const fn nightly(at: i64, operation: &'static str, jobs: u64, pages: u64) -> Rhythm {
    Rhythm::Nightly {
        at,
        operation,
        jobs,
        pages,
    }
}

/// The kinds that the attacks need come first, so that the smallest org has them.
#[rustfmt::skip]
const KINDS: [Kind; 16] = [
    Kind { username: "erp.sync", system: "ERP", app: Some(("ERP Sync", "0H4")), vendor: "own", grant: "jwt_bearer",
           door: Door::Bearer, agent: ("Java", 17, 9), client: "erp-sync/3.2", objects: &["Account", "Order", "Product2", "Invoice__c"],
           rhythm: ROUND, calls: 260.0, rows: 60, nodes: 2, declared: 1.0, month_end: 1.6 },
    Kind { username: "mkt.cloud", system: "Marketing", app: Some(("MktCloud Connector", "0H4")), vendor: "MktCloud Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("MktCloud", 4, 2), client: "mktcloud/4", objects: &["Lead", "Campaign", "CampaignMember"],
           rhythm: ROUND, calls: 180.0, rows: 120, nodes: 3, declared: 1.0, month_end: 1.0 },
    Kind { username: "dwh.export", system: "Data warehouse", app: Some(("DWH Export", "0H4")), vendor: "own", grant: "client_credentials",
           door: Door::ClientCredentials, agent: ("python-requests", 2, 31), client: "dwh/2.1", objects: &["Account", "Opportunity", "Case"],
           rhythm: nightly(150, "query", 3, 0), calls: 12.0, rows: 4000, nodes: 1, declared: 1.0, month_end: 1.2 },
    Kind { username: "price.list", system: "Price list", app: None, vendor: "own", grant: "",
           door: Door::Soap, agent: ("JAX-WS RI 2.1", 5, 0), client: "pricelist/1.4", objects: &["Pricebook2", "PricebookEntry"],
           rhythm: EVEN, calls: 40.0, rows: 25, nodes: 1, declared: 1.0, month_end: 1.0 },
    Kind { username: "billing", system: "Billing", app: Some(("Billing ECA", "888")), vendor: "own", grant: "client_credentials",
           door: Door::ClientCredentials, agent: ("okhttp", 4, 12), client: "billing/7.0", objects: &["Invoice__c", "Account", "Order"],
           rhythm: ROUND, calls: 120.0, rows: 40, nodes: 2, declared: 1.0, month_end: 2.0 },
    Kind { username: "chat.connect", system: "Website chat", app: Some(("Chat Connect", "0H4")), vendor: "Chat Connect Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("ChatConnect", 2, 8), client: "chatconnect/2", objects: &["Lead", "Task", "Contact"],
           rhythm: ROUND, calls: 160.0, rows: 15, nodes: 2, declared: 0.5, month_end: 1.0 },
    Kind { username: "battlecards", system: "Sales intelligence", app: Some(("Battlecards Connect", "0H4")), vendor: "Battlecards Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("python-httpx", 0, 27), client: "", objects: &["Opportunity", "OpportunityLineItem"],
           rhythm: ROUND, calls: 90.0, rows: 50, nodes: 2, declared: 0.0, month_end: 1.0 },
    Kind { username: "hr.feed", system: "People", app: Some(("HR Feed", "0H4")), vendor: "own", grant: "jwt_bearer",
           door: Door::Bearer, agent: ("Java", 21, 0), client: "hr-feed/1.8", objects: &["Worker__c", "Department__c"],
           rhythm: Rhythm::Office, calls: 90.0, rows: 30, nodes: 1, declared: 1.0, month_end: 1.0 },
    Kind { username: "flow.hub", system: "Integration hub", app: Some(("Flowbridge Hub", "0H4")), vendor: "Flowbridge Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("Flowbridge", 9, 1), client: "flowbridge/9", objects: &["Case", "Contact", "Task"],
           rhythm: EVEN, calls: 140.0, rows: 35, nodes: 3, declared: 0.8, month_end: 1.1 },
    Kind { username: "stock.loader", system: "Stock", app: Some(("Stock Loader", "0H4")), vendor: "own", grant: "jwt_bearer",
           door: Door::Bearer, agent: ("Go-http-client", 2, 0), client: "stock/2", objects: &["Product2", "PricebookEntry"],
           rhythm: nightly(330, "upsert", 2, 0), calls: 10.0, rows: 3000, nodes: 1, declared: 1.0, month_end: 1.0 },
    Kind { username: "tickets", system: "Ticket bridge", app: Some(("Ticket Bridge", "0H4")), vendor: "Ticket Bridge Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("TicketBridge", 2, 8), client: "ticketbridge/2", objects: &["Case", "CaseComment"],
           rhythm: ROUND, calls: 150.0, rows: 20, nodes: 2, declared: 0.7, month_end: 1.0 },
    Kind { username: "docs.archive", system: "Archive", app: Some(("Docs Archive", "0H4")), vendor: "Docs Archive Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("docs-archive", 1, 9), client: "docsarchive/1", objects: &["ContentVersion", "Account"],
           rhythm: nightly(60, "query", 1, 60), calls: 20.0, rows: 2500, nodes: 1, declared: 0.8, month_end: 1.0 },
    Kind { username: "survey", system: "Surveys", app: Some(("Survey Push", "0H4")), vendor: "Survey Push Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("SurveyPush", 3, 3), client: "", objects: &["Survey__c", "SurveyAnswer__c"],
           rhythm: ROUND, calls: 70.0, rows: 12, nodes: 5, declared: 0.0, month_end: 1.0 },
    Kind { username: "tax.report", system: "Tax", app: Some(("Tax Report", "0H4")), vendor: "own", grant: "jwt_bearer",
           door: Door::Bearer, agent: ("Java", 17, 4), client: "tax/1", objects: &["Invoice__c"],
           rhythm: Rhythm::Weekly { on: chrono::Weekday::Sun, at: 200 }, calls: 60.0, rows: 400, nodes: 1, declared: 1.0, month_end: 1.0 },
    Kind { username: "portal.sync", system: "Customer portal", app: Some(("Portal Sync", "0H4")), vendor: "own", grant: "client_credentials",
           door: Door::ClientCredentials, agent: ("node-fetch", 3, 3), client: "portal/5", objects: &["Case", "Asset", "Account"],
           rhythm: ROUND, calls: 200.0, rows: 8, nodes: 4, declared: 0.9, month_end: 1.0 },
    Kind { username: "dialer", system: "Telephony", app: Some(("Dialer Link", "0H4")), vendor: "Dialer Example", grant: "refresh_token",
           door: Door::Refresh, agent: ("DialerLink", 6, 0), client: "dialer/6", objects: &["Task", "Lead"],
           rhythm: Rhythm::Office, calls: 110.0, rows: 10, nodes: 2, declared: 0.7, month_end: 1.0 },
];

/// Which of [`KINDS`] the vendors with many tokens are.
const CHAT: usize = 5;
const BATTLECARDS: usize = 6;

pub fn cast(org: &mut Org) {
    let scale = org.size.scale();
    for n in 0..scale.integrations {
        let kind = &KINDS[n % KINDS.len()];
        let machine = integration(org, kind, n);
        org.machines.push(machine);
    }
    for (slot, kind, tokens) in [(0, CHAT, scale.tokens / 2), (1, BATTLECARDS, scale.tokens)] {
        org.vendors[slot] = vendor(org, kind, tokens);
    }
    org.dormant = org.machines.len();
    let idle = idle(org);
    org.machines.push(idle);
    let more = [ci(org), log_reader(org)];
    org.machines.extend(more);
    accidents(org);
}

fn integration(org: &mut Org, kind: &Kind, n: usize) -> Machine {
    let mut draw = Draw::new(org.seed, &["machine", &n.to_string()]);
    let (again, round) = (n / KINDS.len() + 1, n / KINDS.len());
    let suffix = |text: &str, between: &str| match round {
        0 => text.to_owned(),
        _ => format!("{text}{between}{again}"),
    };
    let username = format!("{}@example.com", suffix(kind.username, "."));
    let user = org.add_user(&username, Role::Integration);
    let app = kind.app.map(|(name, prefix)| {
        let vendor = suffix(kind.vendor, " ");
        let vendor = if kind.vendor == "own" { "own" } else { &vendor };
        org.add_app(&suffix(name, " "), prefix, vendor, kind.grant)
    });
    let own = kind.vendor == "own";
    let mut sites = vec![addresses::site(own, n, kind.nodes)];
    let declared = draw.chance(kind.declared);
    sites.push(addresses::second_site(n, kind.nodes));
    let (name, major, minor) = kind.agent;
    let minor = minor + draw.below(3);
    let spread = 0.7 + 0.6 * draw.unit();
    let sessions = match kind.door {
        Door::Bearer => 60,
        _ => 120,
    };
    Machine {
        user,
        app,
        door: kind.door,
        sites,
        agent: format!("{name}/{major}.{minor}").into(),
        next_agent: format!("{name}/{major}.{}", minor + 1).into(),
        version: 61 + draw.below(3) as u16,
        client: kind.client.into(),
        agent_code: format!("{}", 5000 + draw.below(900)).into(),
        objects: kind.objects.to_vec(),
        rhythm: kind.rhythm,
        calls: kind.calls * spread * org.size.scale().calls,
        rows: kind.rows,
        session: sessions * MINUTE,
        month_end: kind.month_end,
        local: kind.rhythm == Rhythm::Office,
        country: if own {
            org.country.clone()
        } else {
            "US".into()
        },
        declared,
        mtls: kind.door == Door::ClientCredentials && own,
        system: suffix(kind.system, " ").into(),
        is_token: false,
        moves: false,
        changes: vec![],
    }
}

/// The vendor's integration, and people who connected the app to their own account.
fn vendor(org: &mut Org, kind: usize, tokens: usize) -> VendorApp {
    let Some(machine) = org.machines.get(kind).cloned() else {
        return VendorApp::default();
    };
    let mut machines = vec![kind];
    let offset = org.size.scale().admins + (kind - CHAT) * 7;
    let people: Vec<usize> = org.people.iter().map(|p| p.user).collect();
    for user in people
        .into_iter()
        .cycle()
        .skip(offset)
        .take(tokens.min(org.people.len() / 3))
    {
        machines.push(org.machines.len());
        org.machines.push(Machine {
            user,
            calls: 14.0,
            rows: 8,
            session: 6 * HOUR,
            rhythm: Rhythm::Round { busier: 2.0 },
            is_token: true,
            declared: false,
            ..machine.clone()
        });
    }
    VendorApp { machines }
}

/// Was tried for some days, and then forgotten with its token still valid.
fn idle(org: &mut Org) -> Machine {
    let user = org.add_user("old.etl@example.com", Role::Integration);
    let app = org.add_app("Old ETL", "0H4", "own", "refresh_token");
    let template = org.machines[0].clone();
    Machine {
        user,
        app: Some(app),
        door: Door::Refresh,
        sites: vec![addresses::site(true, 20, 1)],
        agent: "OldEtl/1.4".into(),
        next_agent: "OldEtl/1.4".into(),
        client: "oldetl/1".into(),
        objects: vec!["Account"],
        rhythm: Rhythm::Past { days: 6 },
        calls: 4.0,
        rows: 20,
        session: HOUR,
        month_end: 1.0,
        declared: true,
        mtls: false,
        system: "Old ETL".into(),
        ..template
    }
}

fn ci(org: &mut Org) -> Machine {
    let user = org.add_user("ci.deploy@example.com", Role::Ci);
    let app = org.add_app("CI Deploy", "0H4", "own", "jwt_bearer");
    Machine {
        user,
        app: Some(app),
        sites: vec![addresses::site(true, 21, 1)],
        agent: "sf-cli/2.70".into(),
        next_agent: "sf-cli/2.71".into(),
        client: "ci-deploy/1".into(),
        objects: vec!["ApexClass", "CustomObject"],
        rhythm: Rhythm::Office,
        calls: 30.0,
        rows: 10,
        session: HOUR,
        month_end: 1.0,
        local: true,
        mtls: false,
        system: "CI".into(),
        ..org.machines[0].clone()
    }
}

fn log_reader(org: &mut Org) -> Machine {
    let user = org.add_user("log.reader@example.com", Role::LogReader);
    let app = org.add_app("Log Reader", "0H4", "own", "jwt_bearer");
    Machine {
        user,
        app: Some(app),
        sites: vec![addresses::site(true, 22, 1)],
        agent: "orgwatch/0.1".into(),
        next_agent: "orgwatch/0.1".into(),
        client: "orgwatch".into(),
        objects: vec!["EventLogFile"],
        rhythm: Rhythm::Daily { at: 125 },
        calls: 6.0,
        rows: 40,
        session: HOUR,
        month_end: 1.0,
        local: false,
        mtls: false,
        system: "Log reader".into(),
        ..org.machines[0].clone()
    }
}

/// What befalls machines without being a story: a release of the library, a move to the declared
/// second site for some hours, a short outage.
fn accidents(org: &mut Org) {
    let first = start_of(org.first_day);
    let days = org.days();
    for n in 0..org.machines.len() {
        let mut draw = Draw::new(org.seed, &["accidents", &n.to_string()]);
        let machine = &mut org.machines[n];
        let plain = |from, to, effect| Change {
            from,
            to,
            effect,
            mark: Mark::NONE,
        };
        let mut changes = vec![];
        if days > 20 && draw.chance(0.5) {
            let at = first + draw.between(days / 3, days) * DAY + 9 * HOUR;
            changes.push(plain(
                at,
                i64::MAX,
                Effect::Agent(machine.next_agent.clone()),
            ));
        }
        if days > 20 && draw.chance(0.3) && !machine.is_token {
            let at = first + draw.between(days / 3, days) * DAY + 6 * HOUR;
            changes.push(plain(at, i64::MAX, Effect::Version(machine.version + 1)));
        }
        let moves = machine.declared && machine.sites.len() > 1;
        for day in 0..days {
            let at = first + day * DAY + draw.between(0, 20 * 60) * MINUTE;
            if moves && draw.chance(1.0 / 60.0) {
                let hours = draw.between(3, 14);
                changes.push(plain(at, at + hours * HOUR, Effect::Site(1)));
            } else if draw.chance(1.0 / 45.0) {
                let minutes = draw.between(10, 70);
                changes.push(plain(at, at + minutes * MINUTE, Effect::Silent));
                let catch_up = at + minutes * MINUTE;
                changes.push(plain(catch_up, catch_up + HOUR, Effect::Volume(1.8)));
            }
        }
        machine.changes = changes;
    }
}
