use std::path::PathBuf;

use proptest::prelude::*;

use super::mmdb::{Expected, Writer, address, asn, city};
use super::*;

const BUILT: u64 = 1_767_225_600; // 2026-01-01

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn place(known: &Enrichment, ip: &str) -> Place {
    known.place(ip.parse().unwrap()).unwrap()
}

#[test]
fn the_shipped_indicators_can_be_read_and_each_says_when_from_whom_and_how_sure() {
    let known = Enrichment::shipped().unwrap();
    let rows = known.indicators().rows();
    assert!(rows.len() >= 38, "{}", rows.len());
    for row in rows {
        assert!(
            !row.source.is_empty() && row.valid.from_ms > 0,
            "{}",
            row.id
        );
        assert!(row.valid.to_ms < crate::clock::OPEN_TO, "{}", row.id);
    }
    let of = |ip: &str| known.indicators().of_address(ip.parse().unwrap()).len();
    assert_eq!((of("208.68.36.90"), of("192.0.2.66")), (1, 0));
    let agent = |text| {
        known
            .indicators()
            .of_text(IndicatorKind::UserAgent, text)
            .len()
    };
    assert_eq!(
        (agent("TruffleHog/3"), agent("5238"), agent("Mozilla/5.0")),
        (1, 0, 0)
    );
    // One tool of two campaigns: one indicator, two rows.
    let fetcher = "user_agent:salesforce-multi-org-fetcher/1.0";
    assert_eq!(rows.iter().filter(|row| row.id == fetcher).count(), 2);
}

#[test]
fn databases_of_all_record_sizes_are_read_and_complete_each_other_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    for bits in [24, 28, 32] {
        let mut cities = Writer::new("Example-City", BUILT);
        cities.record_bits = bits;
        cities.add("192.0.2.0/24", city("DE", 52.52, 13.405, 20));
        cities.add("192.0.2.128/25", city("br", -23.55, -46.63, 1000));
        cities.add("2001:db8::/32", city("CH", 47.5, 7.6, 5));
        let mut systems = Writer::new("Example-ASN", BUILT);
        systems.record_bits = bits;
        systems.add("192.0.2.0/24", asn(64_500, "Example Net"));
        let databases = [
            written(dir.path(), "city.mmdb", &cities.bytes()),
            written(dir.path(), "asn.mmdb", &systems.bytes()),
        ];
        let known = Enrichment::load(&EnrichFiles {
            databases: &databases,
            ..EnrichFiles::default()
        })
        .unwrap();
        let [cities, systems] = known.databases() else {
            panic!("two databases");
        };
        assert!(cities.tells().location && cities.tells().country && !cities.tells().asn);
        assert!(systems.tells().asn && !systems.tells().location);
        assert_eq!(
            cities.built_at().unwrap().to_rfc3339(),
            "2026-01-01T00:00:00+00:00"
        );
        cities.verify().unwrap();
        systems.verify().unwrap();

        let berlin = place(&known, "192.0.2.1");
        assert_eq!(
            (berlin.asn, berlin.as_name.as_deref()),
            (Some(64_500), Some("Example Net"))
        );
        assert_eq!(berlin.country.as_deref(), Some("DE"));
        let point = berlin.point.unwrap();
        assert_eq!((point.latitude, point.radius_km), (52.52, Some(20.0)));
        assert_eq!(place(&known, "192.0.2.200").country.as_deref(), Some("BR"));
        assert_eq!(place(&known, "2001:db8::1").country.as_deref(), Some("CH"));
        assert_eq!(place(&known, "2001:db8::1").asn, None);
        assert_eq!(place(&known, "198.51.100.1"), Place::default());
    }
}

#[test]
fn a_missing_a_foreign_and_a_cut_database_are_refused_with_path_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new("Example-ASN", BUILT);
    for n in 0..50 {
        writer.add(&format!("198.51.{n}.0/24"), asn(64_500 + n, "Example Net"));
    }
    let whole = writer.bytes();
    let refusal = |name: &str, bytes: &[u8]| {
        let path = written(dir.path(), name, bytes);
        Database::open(&path).map(|_| ()).unwrap_err().to_string()
    };
    let missing = Database::open(&dir.path().join("none.mmdb"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("none.mmdb") && missing.contains("[enrich]"),
        "{missing}"
    );
    for bytes in [&b""[..], b"kind,value\n", &whole[..whole.len() / 2]] {
        let told = refusal("asn.mmdb", bytes);
        assert!(
            told.contains("asn.mmdb") && told.contains("hint: download"),
            "{told}"
        );
    }
    let mut domains = Writer::new("Example-Domain", BUILT);
    domains.add(
        "192.0.2.0/24",
        super::mmdb::Value::Map(vec![("domain", super::mmdb::Value::Text("example.com"))]),
    );
    assert!(refusal("domain.mmdb", &domains.bytes()).contains("City, Country or ASN"));
}

#[test]
fn no_damage_to_a_database_ends_in_a_crash_or_repeats_what_was_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new("Example-City", BUILT);
    for n in 0..40 {
        writer.add(
            &format!("198.51.{n}.0/24"),
            city("DE", f64::from(n), 13.4, 10),
        );
    }
    let whole = writer.bytes();
    let path = dir.path().join("damaged.mmdb");
    proptest!(ProptestConfig::with_cases(300), |(at in 0..whole.len(), byte: u8, cut in prop::option::weighted(0.2, 0..whole.len()))| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes.truncate(cut.unwrap_or(whole.len()));
        std::fs::write(&path, &bytes).unwrap();
        let told = match Database::open(&path) {
            Err(error) => Some(error),
            Ok(database) => {
                let asked = (0..40).map(|n| database.place(format!("198.51.{n}.7").parse().unwrap()));
                let failed = asked.filter_map(Result::err).next();
                failed.or_else(|| database.verify().err())
            }
        };
        if let Some(error) = told {
            prop_assert!(!error.to_string().contains("Somewhere"));
        }
    });
}

#[test]
fn every_address_gets_the_answer_of_the_narrowest_network_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("asn.mmdb");
    let network = (any::<u32>(), 9u8..=32, 1u32..70_000);
    proptest!(ProptestConfig::with_cases(40), |(networks in prop::collection::vec(network, 1..60), asked in prop::collection::vec(any::<u32>(), 0..40))| {
        // Widest first: in the format what comes later takes the place of what was there.
        let mut networks: Vec<(u128, u8, u32)> = networks
            .into_iter()
            .map(|(ip, bits, asn)| (u128::from(ip), bits + 96, asn))
            .collect();
        networks.sort_by_key(|(_, bits, _)| *bits);
        let mut writer = Writer::new("Example-ASN", BUILT);
        for (key, bits, number) in &networks {
            writer.add(&format!("{}/{}", address(*key), bits - 96), asn(*number, "Net"));
        }
        std::fs::write(&path, writer.bytes()).unwrap();
        let database = Database::open(&path).unwrap();
        let expected = Expected::of(&networks);
        let inside = networks.iter().map(|(key, ..)| *key);
        for key in inside.chain(asked.iter().map(|ip| u128::from(*ip))) {
            prop_assert_eq!(database.place(address(key)).unwrap().asn, expected.asn(key));
        }
    });
}

#[test]
fn a_stated_network_within_another_says_its_own_and_keeps_the_rest() {
    let stated = |network: &str, asn, country: Option<&str>| StatedNetwork {
        network: network.parse().unwrap(),
        asn,
        as_name: None,
        country: country.map(str::to_owned),
        latitude: None,
        longitude: None,
        radius_km: None,
        class: None,
        valid: crate::clock::Validity::ALWAYS,
    };
    let networks = [
        stated("192.0.2.66/32", Some(64_501), None),
        stated("192.0.2.0/24", Some(64_500), Some("de")),
        stated("192.0.2.66/32", None, Some("FR")),
    ];
    let known = Enrichment::stated(&networks, None).unwrap();
    let at = |ip| {
        let place = place(&known, ip);
        (place.asn, place.country.as_deref().map(str::to_owned))
    };
    assert_eq!(at("192.0.2.1"), (Some(64_500), Some("DE".into())));
    assert_eq!(at("192.0.2.66"), (Some(64_501), Some("FR".into())));
    assert_eq!(at("192.0.3.1"), (None, None));
    assert!(known.tells().asn && !known.tells().location);
}

#[test]
fn files_are_named_in_every_refusal_and_come_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let list = [written(
        dir.path(),
        "tor.csv",
        b"network,class\n192.0.2.1,tr\n",
    )];
    let error = Enrichment::load(&EnrichFiles {
        networks: &list,
        ..EnrichFiles::default()
    });
    let told = error.unwrap_err().to_string();
    assert!(
        told.contains("tor.csv:2:11") && told.contains("`tor`"),
        "{told}"
    );
    let gone = [dir.path().join("gone.csv")];
    let error = Enrichment::load(&EnrichFiles {
        indicators: &gone,
        ..EnrichFiles::default()
    });
    let told = error.unwrap_err().to_string();
    assert!(
        told.contains("gone.csv") && told.contains("[detect]"),
        "{told}"
    );

    let own = b"kind,value,confidence\nip,208.68.36.90,low\nip,192.0.2.1,high\n";
    let own = [written(dir.path(), "own.csv", own)];
    let known = Enrichment::load(&EnrichFiles {
        indicators: &own,
        ..EnrichFiles::default()
    })
    .unwrap();
    let confidence = |id: &str| {
        let rows = known.indicators().rows().iter().filter(|row| row.id == id);
        rows.map(|row| row.confidence).collect::<Vec<_>>()
    };
    assert_eq!(confidence("ip:208.68.36.90"), ["low"]);
    assert_eq!(confidence("ip:192.0.2.1"), ["high"]);
    assert_eq!(confidence("ip:44.215.108.109"), ["high"]);
    let shipped = Enrichment::shipped().unwrap().indicators_digest();
    assert_ne!(known.indicators_digest(), shipped);
}
