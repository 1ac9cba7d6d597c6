//! Who is on the other side: the right org, the right user, and no stranger in the org's place.

use orgwatch::config::salesforce_secrets;
use orgwatch::salesforce::{Class, Client};

use super::auth::{assert_no_data_was_asked, list, refusal};
use super::connection::*;
use crate::fake_salesforce::journal::Listener;
use crate::fake_salesforce::quirks::InstanceUrl;
use crate::fake_salesforce::scenario::ORG_ID;
use crate::fake_salesforce::{FakeSf, Fault, Scenario};

fn org() -> FakeSf {
    FakeSf::start(Scenario::org())
}

// F10
#[test]
fn another_org_or_another_user_ends_the_run_before_anything_is_read() {
    let other = "00D000000000002EAA";
    let expecting = |org: &FakeSf, id: &str| {
        let settings = settings(org);
        let secrets = salesforce_secrets(&settings, &|_| None).unwrap();
        let pace = std::sync::Arc::new(FakePace(org.clock()));
        Client::new(&settings, Some(id), secrets, pace).unwrap()
    };
    let right = org();
    let id = right.with(|state| state.org.id.clone());
    assert!(wait(expecting(&right, &id).sign_in()).is_ok());
    assert!(wait(expecting(&right, &ORG_ID[..15]).sign_in()).is_ok());

    let wrong_org = org();
    let client = expecting(&wrong_org, other);
    let errors = wait(async {
        (
            refusal(client.sign_in().await),
            refusal(list(&client).await),
        )
    });
    for error in [errors.0, errors.1] {
        assert_eq!(error.class(), Class::Config);
        let text = error.to_string();
        assert!(text.contains(other) && text.contains(&id), "{text}");
    }
    assert_eq!(wrong_org.logins(), 1);
    let ended = wrong_org.with(|state| state.tokens.iter().all(|token| token.revoked));
    assert!(ended, "the session that nobody wants is ended");
    assert_no_data_was_asked(&wrong_org);

    let wrong_user = org();
    wrong_user.with(|state| state.quirks.userinfo_username = Some("admin@example.com".into()));
    let error = refusal(wait(super::connection::client(&wrong_user).sign_in()));
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("admin@example.com"), "{error}");
    assert_no_data_was_asked(&wrong_user);
}

#[test]
fn an_org_that_does_not_say_who_signed_in_is_not_read() {
    let userinfo = "/services/oauth2/userinfo";
    for (fault, class) in [
        (Fault::on(userinfo).status(403), Class::Config),
        (Fault::on(userinfo).status(404), Class::Config),
        (Fault::on(userinfo).status(503), Class::Passing),
        (
            Fault::on(userinfo).answer(200, &[], "<html></html>"),
            Class::Protocol,
        ),
        (
            Fault::on(userinfo).answer(200, &[], "{\"organization_id\":\"x\"}"),
            Class::Protocol,
        ),
    ] {
        let org = org();
        org.fault(fault.forever());
        let error = refusal(wait(client(&org).sign_in()));
        assert_eq!(error.class(), class, "{error}");
        assert_no_data_was_asked(&org);
    }
}

// F11
#[test]
fn a_token_is_never_sent_to_an_instance_that_is_not_the_orgs() {
    let evil_host = |org: &FakeSf| org.evil_url().to_owned();
    let by_name = |org: &FakeSf| org.evil_url().replace("127.0.0.1", "localhost");
    let with_user = |org: &FakeSf| org.evil_url().replace("127.0.0.1", "a@127.0.0.1");
    let foreign: [fn(&FakeSf) -> String; 5] = [
        evil_host,
        by_name,
        with_user,
        |_| "http://example.my.salesforce.com".to_owned(),
        |_| "https://evil.example.com".to_owned(),
    ];
    for named in foreign {
        let org = org();
        let url = named(&org);
        org.with(|state| state.quirks.instance_url = InstanceUrl::Given(url.clone()));
        let client = client(&org);
        let error = wait(async {
            refusal(list(&client).await);
            refusal(client.sign_in().await)
        });
        assert_eq!(error.class(), Class::Config, "{url}: {error}");
        assert!(error.to_string().contains("no token was sent"), "{error}");
        assert_eq!(org.logins(), 1);
        let asked = org.with(|state| state.journal.at(Listener::Evil).len());
        assert_eq!(asked, 0, "{url}");
        assert_no_data_was_asked(&org);
    }
    for harmless in [InstanceUrl::TrailingSlash, InstanceUrl::UpperCase] {
        let org = org();
        org.with(|state| state.quirks.instance_url = harmless);
        assert!(wait(client(&org).sign_in()).is_ok());
    }
    let org = org();
    org.with(|state| state.quirks.instance_url = InstanceUrl::Missing);
    let error = refusal(wait(client(&org).sign_in()));
    assert_eq!(error.class(), Class::Protocol);
}
