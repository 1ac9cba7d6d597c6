//! Visitors of the public site who take more than a page shows.

use super::super::acts::{Act, AppSeen, Aura, Call, Deed, Family, Origin, Site};
use super::super::life::guest_act;
use super::super::moment::{HOUR, MINUTE, SECOND};
use super::super::plan::{Scene, Stage};
use super::{expect, scene};
use crate::config::Severity::High;

const LIST_OBJECTS: &str = "aura://HostConfigController/ACTION$getConfigData";
const GET_ITEMS: &str = "aura://SelectableListDataProviderController/ACTION$getItems";
const LIST_VIEWS: &str = "aura://ListViewPickerDataProviderController/ACTION$getInitialListViews";
const BOOTSTRAP: &str = "aura://CMCAppController/ACTION$getAppBootstrapData";
const MAY_REGISTER: &str =
    "apex://applauncher.LoginFormController/ACTION$getIsSelfRegistrationEnabled";
const REGISTER_AT: &str = "apex://applauncher.LoginFormController/ACTION$getSelfRegistrationUrl";

/// Records are listed through the endpoints of the site's own components.
pub fn aura_scrape(stage: &mut Stage<'_>) -> Vec<Scene> {
    let ip = stage.foe(0);
    let from = Origin::new(ip.clone(), "SG");
    let agent = "python-requests/2.32.4";
    let mut at = stage.start(0) + stage.draw.between(0, 20 * HOUR);
    let mut acts: Vec<Act> = vec![];
    let org = &*stage.org;
    let mut aura = |at: i64, actions: Vec<&'static str>| {
        let deed = Deed::Aura(Aura {
            actions,
            uri: "/s/sfsites/aura",
            user_type: "Guest",
            agent: agent.into(),
        });
        acts.push(guest_act(org, at, &from, deed));
    };
    aura(at, vec![LIST_OBJECTS]);
    aura(at + 4 * SECOND, vec![MAY_REGISTER, REGISTER_AT]);
    aura(at + 9 * SECOND, vec![BOOTSTRAP, LIST_VIEWS]);
    at += 12 * SECOND;
    // Many actions in one request, where it is not one at a time.
    let boxcar = if stage.variant == 1 { 40 } else { 1 };
    let requests = if boxcar > 1 {
        20 + stage.draw.below(20)
    } else {
        180 + stage.draw.below(300)
    };
    for _ in 0..requests {
        at += stage.draw.between(300, 2000);
        aura(at, vec![GET_ITEMS; boxcar]);
    }
    let by_api = stage.variant == 2;
    if by_api {
        // The guest's profile may use the API: no component is needed at all.
        for n in 0..60 + stage.draw.below(200) {
            at += stage.draw.between(400, 4000);
            let call = guest_call(
                Family::Rest,
                "query",
                if n % 2 == 0 { "Contact" } else { "Case" },
            );
            acts.push(guest_act(stage.org, at, &from, Deed::Call(call)));
        }
    }
    let shield = ["guest-aura-scraping", "guest-api-traffic"];
    let must: &[&'static str] = match by_api {
        true => stage.by_tier(&["guest-api-traffic"], &shield),
        // Of requests of components the free logs hold nothing.
        false => stage.by_tier(&[], &["guest-aura-scraping"]),
    };
    let own = [
        "guest-endpoint-flood",
        "ioc-match",
        "anonymiser-or-hosting-network",
        "salesforce-threat-event",
        "guest-api-traffic",
    ];
    let guest = stage.org.guest;
    vec![scene(
        Some(guest),
        "",
        &ip,
        acts,
        expect(&[&own], must, High),
    )]
}

/// A public endpoint is called so often that it eats the org's allowance.
pub fn guest_flood(stage: &mut Stage<'_>) -> Vec<Scene> {
    let mut at = stage.start(0) + stage.draw.between(HOUR, 22 * HOUR);
    let calls = 1200 + stage.draw.below(1800);
    // From one address, or from a crowd of them.
    let single = stage.variant == 0;
    let offset = stage.draw.below(2000);
    let mut acts = vec![];
    for _ in 0..calls {
        at += stage.draw.between(40, 360);
        let ip = match single {
            true => stage.foe(0),
            false => super::super::org::crowd_address(offset + stage.draw.below(150)),
        };
        let from = Origin::new(ip, "VN");
        let mut call = guest_call(Family::ApexRest, "booking/slots", "Booking__c");
        call.status = if stage.draw.chance(0.1) { 503 } else { 200 };
        acts.push(guest_act(stage.org, at, &from, Deed::Call(call)));
        let hit = Site {
            page: "services/apexrest/booking/slots",
            is_api: true,
            method: "GET",
            is_error: false,
        };
        acts.push(guest_act(stage.org, at, &from, Deed::Site(hit)));
    }
    debug_assert!(at < stage.start(1) + 10 * MINUTE);
    let own = [
        "guest-api-traffic",
        "api-limit-burn",
        "guest-aura-scraping",
        "error-ratio-anomaly",
    ];
    let expected = expect(&[&own], &["guest-endpoint-flood"], High);
    let guest = stage.org.guest;
    let ip = if single { stage.foe(0) } else { "".into() };
    let mut done = scene(Some(guest), "", &ip, acts, expected);
    done.too_slow = vec!["guest-endpoint-flood"];
    vec![done]
}

fn guest_call(family: Family, resource: &str, object: &str) -> Call {
    Call {
        family,
        method: "GET",
        resource: resource.into(),
        entity: object.into(),
        version: 63,
        client: "".into(),
        app: AppSeen::default(),
        status: 200,
        rows: Some(200),
        bytes: Some(48_000),
        query: "".into(),
        unique: false,
        category: "EXTERNAL_APPLICATION",
        agent_code: "9999".into(),
    }
}
