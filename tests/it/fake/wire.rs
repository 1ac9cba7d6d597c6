//! Faults on the wire are the ones that are asked for, as a client sees them.

use std::error::Error;
use std::time::Duration;

use super::{get, http, log_in, soql};
use crate::fake_salesforce::tls::Shown;
use crate::fake_salesforce::{Action, Ending, FakeSf, Fault, Scenario};

/// An org, its session, and the path of a log file of 5,600 bytes or so.
async fn ready() -> (FakeSf, String, String) {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let id = org.with(|state| state.log_files[0].id.clone());
    (
        org,
        token,
        format!("/services/data/v66.0/sobjects/EventLogFile/{id}/LogFile"),
    )
}

/// Bytes that came, and whether they ended properly.
async fn download(org: &FakeSf, token: &str, path: &str) -> (usize, bool) {
    let mut answer = get(org, token, path, &[]).await;
    let mut came = 0;
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => came += chunk.len(),
            Ok(None) => return (came, true),
            Err(_) => return (came, false),
        }
    }
}

#[tokio::test]
async fn a_fault_acts_as_often_as_told_from_the_request_it_is_told() {
    let (org, token, _) = ready().await;
    org.fault(
        Fault::on("/query$")
            .soql("FROM User")
            .nth(2)
            .times(2)
            .status(503),
    );
    org.fault(Fault::on("^/query$").forever().status(500));
    let mut seen = Vec::new();
    for _ in 0..5 {
        soql(&org, &token, "SELECT Id FROM Profile").await;
        let query = [("q", "SELECT Id FROM User")];
        let answer = get(&org, &token, "/services/data/v66.0/query", &query).await;
        seen.push(answer.status().as_u16());
    }
    assert_eq!(seen, [200, 503, 503, 200, 200]);
    assert!(org.with(|state| state.faults.all_used()));
    let faulty = org.journal().iter().filter(|entry| entry.fault).count();
    assert_eq!(faulty, 2);
}

#[tokio::test]
async fn bodies_that_are_cut_short_end_without_their_end() {
    let (org, token, path) = ready().await;
    let (whole, proper) = download(&org, &token, &path).await;
    assert!(whole > 3000 && proper);
    for (after, ending, least, most) in [
        (1000, Ending::Close, 1000, 1000),
        (1000, Ending::Reset, 0, 1000),
        (u64::MAX, Ending::Close, whole, whole),
    ] {
        // What is cut is what is on the wire: no compression here.
        org.with(|state| state.quirks.gzip = crate::fake_salesforce::quirks::Gzip::Never);
        org.fault(Fault::on("LogFile$").does(Action::Truncate { after, ending }));
        let (came, proper) = download(&org, &token, &path).await;
        assert!(
            !proper && (least..=most).contains(&came),
            "{after} {ending:?}: {came}"
        );
    }
    org.fault(Fault::on("LogFile$").does(Action::Drop(Ending::Reset)));
    let url = format!("{}{path}", org.login_url());
    assert!(http().get(&url).bearer_auth(&token).send().await.is_err());
    assert_eq!(download(&org, &token, &path).await, (whole, true));
}

#[tokio::test]
async fn lengths_and_versions_lie_as_told() {
    let (org, token, path) = ready().await;
    let (whole, _) = download(&org, &token, &path).await;
    org.with(|state| state.quirks.gzip = crate::fake_salesforce::quirks::Gzip::Never);
    org.fault(Fault::on("LogFile$").does(Action::WrongLength(5)));
    assert_eq!(download(&org, &token, &path).await, (whole, false));
    org.fault(Fault::on("LogFile$").does(Action::WrongLength(-5)));
    assert_eq!(download(&org, &token, &path).await, (whole - 5, true));
    org.fault(Fault::on("LogFile$").does(Action::Http10 { after: None }));
    let answer = get(&org, &token, &path, &[]).await;
    assert_eq!(answer.version(), reqwest::Version::HTTP_10);
    assert!(!answer.headers().contains_key("transfer-encoding"));
    assert_eq!(answer.bytes().await.unwrap().len(), whole);
    org.fault(Fault::on("LogFile$").does(Action::Http10 { after: Some(100) }));
    assert_eq!(
        download(&org, &token, &path).await,
        (100, true),
        "nobody can tell"
    );
}

#[tokio::test]
async fn compressed_bodies_break_as_told() {
    let (org, token, path) = ready().await;
    let (whole, _) = download(&org, &token, &path).await;
    for action in [Action::CorruptGzip, Action::CutGzip { after: 60 }] {
        org.fault(Fault::on("LogFile$").does(action.clone()));
        let (came, proper) = download(&org, &token, &path).await;
        assert!(!proper && came <= whole, "{action:?}: {came}");
    }
    let inflated = 8 << 20;
    org.fault(Fault::on("LogFile$").does(Action::GzipBomb { inflated }));
    let raw = reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .build()
        .unwrap();
    let raw = raw
        .get(format!("{}{path}", org.login_url()))
        .bearer_auth(&token);
    let compressed = raw.send().await.unwrap().bytes().await.unwrap().len();
    assert!(compressed as u64 * 100 < inflated, "{compressed}");
    org.fault(Fault::on("LogFile$").does(Action::GzipBomb { inflated }));
    assert_eq!(download(&org, &token, &path).await, (8 << 20, true));
}

#[tokio::test]
async fn a_stalled_body_stays_silent_and_a_dripping_one_goes_on() {
    let (org, token, path) = ready().await;
    let impatient = reqwest::Client::builder()
        .no_proxy()
        .read_timeout(Duration::from_millis(150));
    let impatient = impatient.build().unwrap();
    let url = format!("{}{path}", org.login_url());
    let ask = async || {
        let answer = impatient
            .get(&url)
            .bearer_auth(&token)
            .send()
            .await
            .unwrap();
        answer.bytes().await
    };
    org.fault(Fault::on("LogFile$").does(Action::Stall { after: 100 }));
    let silent = ask().await.unwrap_err();
    let mut cause: Option<&dyn Error> = Some(&silent);
    let mut words = String::new();
    while let Some(error) = cause {
        words.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(
        words.contains("timed out") || words.contains("timeout"),
        "{words}"
    );
    let pause = Duration::from_millis(50);
    org.fault(Fault::on("LogFile$").does(Action::Drip { bytes: 100, pause }));
    let started = std::time::Instant::now();
    assert!(ask().await.is_ok());
    assert!(
        started.elapsed() > Duration::from_millis(150),
        "longer than a pause may be"
    );
}

#[tokio::test]
async fn tls_shows_the_certificate_that_is_asked_for() {
    let org = FakeSf::start(Scenario::org());
    let client = |identity: Option<(std::path::PathBuf, std::path::PathBuf)>| {
        let ca = std::fs::read(org.ca_pem_file()).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
        let builder = match identity {
            Some((key, certificate)) => {
                let mut pem = std::fs::read(key).unwrap();
                pem.extend(std::fs::read(certificate).unwrap());
                builder.identity(reqwest::Identity::from_pem(&pem).unwrap())
            }
            None => builder,
        };
        builder.build().unwrap()
    };
    let versions = |url: &str| format!("{url}/services/data/");
    let good = client(None)
        .get(versions(org.tls_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(good.status(), 200);
    for shown in [
        Shown::UnknownAuthority,
        Shown::Expired,
        Shown::OtherHost,
        Shown::Tls11,
    ] {
        let url = versions(&org.tls_with(shown));
        assert!(client(None).get(url).send().await.is_err(), "{shown:?}");
    }
    let mutual = versions(org.mtls_url());
    assert!(client(None).get(&mutual).send().await.is_err());
    let stranger = (org.stranger_key_file(), org.stranger_certificate_file());
    assert!(client(Some(stranger)).get(&mutual).send().await.is_err());
    let known = (org.client_key_file(), org.client_certificate_file());
    assert_eq!(
        client(Some(known))
            .get(&mutual)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let journal = org.journal();
    assert_eq!(journal.len(), 2);
    assert_eq!(journal[1].client.as_deref(), Some("CN=orgwatch"));
}
