//! What SQL sees of addresses, lists and indicators, with nothing known and with something.

use std::sync::Arc;

use crate::clock::Validity;
use crate::engine::fixture::{Fixture, shown};
use crate::engine::{Params, Session};
use crate::enrich::mmdb::{Writer, asn, city};
use crate::enrich::{EnrichFiles, Enrichment, NetworkClass, StatedNetwork};

fn answers(session: &Session, pairs: &[(&str, &str)]) {
    for (expression, expected) in pairs {
        let batches = session
            .query(&format!("SELECT {expression}"), &Params::new())
            .unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(shown(&batches), [*expected], "{expression}");
    }
}

fn stated(network: &str) -> StatedNetwork {
    StatedNetwork {
        network: network.parse().unwrap(),
        asn: None,
        as_name: None,
        country: None,
        latitude: None,
        longitude: None,
        radius_km: None,
        class: None,
        valid: Validity::ALWAYS,
    }
}

#[test]
fn without_files_nothing_is_known_and_nothing_fails() {
    let session = Fixture::new().session("");
    answers(
        &session,
        &[
            ("ip_asn('192.0.2.1')", "-"),
            ("ip_as_name('192.0.2.1')", "-"),
            ("ip_country('192.0.2.1')", "-"),
            ("ip_latitude('192.0.2.1')", "-"),
            (
                "ip_classes('192.0.2.1', TIMESTAMP '2026-01-01T00:00:00Z')",
                "-",
            ),
            (
                "ip_lists('192.0.2.1', TIMESTAMP '2026-01-01T00:00:00Z')",
                "-",
            ),
            ("indicators_of('ip', '192.0.2.1')", "[]"),
            ("origin_of('192.0.2.1')", "192.0.2.0/24"),
            ("origin_of('192.0.2.0/28')", "192.0.2.0/24"),
            ("origin_of('2001:db8:1:2::3')", "2001:db8:1::/48"),
            ("origin_of('Salesforce.com IP')", "-"),
            ("origin_of(NULL)", "-"),
            ("(SELECT count(*) FROM indicators)", "0"),
            ("(SELECT count(*) FROM network_lists)", "0"),
            (
                "round(km_between(52.52, 13.405, -23.55, -46.633))",
                "10253.0",
            ),
            ("km_between(NULL, 13.405, 0.0, 0.0)", "-"),
            ("km_between(95.0, 13.405, 0.0, 0.0)", "-"),
            ("km_between(0, 0, 0, 0)", "0.0"),
        ],
    );
}

#[test]
fn an_address_and_a_network_of_the_rollups_are_placed_by_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.mmdb");
    let mut writer = Writer::new("Example-City", 1_767_225_600);
    writer.add("192.0.2.0/24", city("DE", 52.52, 13.405, 20));
    writer.add("198.51.100.0/24", asn(64_500, "Example \u{1b}[31m Net"));
    std::fs::write(&path, writer.bytes()).unwrap();
    let known = Enrichment::load(&EnrichFiles {
        databases: &[path],
        ..EnrichFiles::default()
    });
    let session = Fixture::new().session("");
    session.enrich(&Arc::new(known.unwrap())).unwrap();
    answers(
        &session,
        &[
            ("ip_country('192.0.2.1')", "DE"),
            ("ip_country('::ffff:192.0.2.1')", "DE"),
            ("ip_latitude('192.0.2.0/24')", "52.52"),
            ("ip_longitude('192.0.2.9')", "13.405"),
            ("ip_radius_km('192.0.2.9')", "20.0"),
            ("ip_asn('192.0.2.9')", "-"),
            ("ip_asn('198.51.100.9')", "64500"),
            ("origin_of('198.51.100.9')", "AS64500"),
            ("origin_of('198.51.100.0/24')", "AS64500"),
            ("ip_country('203.0.113.1')", "-"),
            ("ip_country('junk')", "-"),
            // Somebody else's text is made safe where it enters.
            ("strpos(ip_as_name('198.51.100.9'), chr(27))", "0"),
            ("(SELECT count(*) > 30 FROM indicators)", "true"),
        ],
    );
}

#[test]
fn lists_answer_by_time_and_indicators_by_kind() {
    let class = |network, word, from: &str| StatedNetwork {
        class: NetworkClass::from_word(word),
        valid: Validity {
            from_ms: crate::enrich::day_begin(from).unwrap(),
            ..Validity::ALWAYS
        },
        ..stated(network)
    };
    let networks = [
        class("192.0.2.66/32", "tor", "2026-01-10"),
        class("192.0.2.0/24", "hosting", "2025-01-01"),
    ];
    let indicators = "kind,value,source,confidence\nip,192.0.2.0/24,a,high\nuser_agent,Evil*,a,low\napp,My  Portal,a,high\n";
    let known = Enrichment::stated(&networks, Some(indicators)).unwrap();
    let session = Fixture::new().session("");
    session.enrich(&Arc::new(known)).unwrap();
    answers(
        &session,
        &[
            (
                "ip_classes('192.0.2.66', TIMESTAMP '2026-01-10T00:00:00Z')",
                "[hosting, tor]",
            ),
            (
                "ip_classes('192.0.2.66', TIMESTAMP '2026-01-09T23:59:59Z')",
                "[hosting]",
            ),
            (
                "ip_classes('203.0.113.1', TIMESTAMP '2026-01-10T00:00:00Z')",
                "[]",
            ),
            ("ip_classes(NULL, TIMESTAMP '2026-01-10T00:00:00Z')", "-"),
            ("ip_classes('192.0.2.66', NULL)", "-"),
            (
                "array_has(ip_classes('192.0.2.66', TIMESTAMP '2026-01-10T00:00:00Z'), 'tor')",
                "true",
            ),
            (
                "array_has_any(ip_classes('192.0.2.1', TIMESTAMP '2026-01-10T00:00:00Z'), ['tor', 'vpn'])",
                "false",
            ),
            (
                "array_to_string(ip_lists('192.0.2.66', TIMESTAMP '2026-01-10T00:00:00Z'), '; ')",
                "hosting (case, from 2025-01-01); tor (case, from 2026-01-10)",
            ),
            ("indicators_of('ip', '192.0.2.9')", "[ip:192.0.2.0/24]"),
            (
                "indicators_of('user_agent', 'EVIL/2')",
                "[user_agent:evil*]",
            ),
            ("indicators_of('app', 'my portal')", "[app:my portal]"),
            ("indicators_of('client', 'my portal')", "[]"),
            ("indicators_of('ip', 'junk')", "[]"),
            ("indicators_of('ip', NULL)", "-"),
            (
                "(SELECT max(i.value) FROM (SELECT unnest(indicators_of('ip', '192.0.2.9')) AS id) m JOIN indicators i ON i.indicator = m.id)",
                "192.0.2.0/24",
            ),
        ],
    );
    let wrong = session.query("SELECT indicators_of('addr', '192.0.2.9')", &Params::new());
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("user_agent, app or client")
    );
}
