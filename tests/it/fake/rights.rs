//! What a missing permission looks like, object by object; and routes that are not for everybody.

use serde_json::Value;

use super::{get, http, log_in, refusal, soql, soql_refusal};
use crate::fake_salesforce::{FakeSf, Scenario, USERNAME};

#[tokio::test]
async fn without_its_permission_an_object_is_not_there() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    for (object, permissions) in [
        ("EventLogFile", &["ViewEventLogFiles"][..]),
        ("Profile", &["ViewSetup"]),
        ("SetupAuditTrail", &["ViewSetup"]),
        ("ConnectedApplication", &["ViewSetup"]),
        ("SetupEntityAccess", &["ViewSetup"]),
        ("PermissionSet", &["ViewSetup", "ManageUsers"]),
        ("PermissionSetAssignment", &["ViewSetup", "ManageUsers"]),
        ("PermissionSetLicenseAssign", &["ViewSetup", "ManageUsers"]),
        ("UserLogin", &["ManageUsers"]),
        ("VerificationHistory", &["ManageUsers"]),
    ] {
        let query = format!("SELECT Id FROM {object}");
        let with = soql(&org, &token, &query).await;
        assert_eq!(with.0, 200, "{object}: {}", with.1);
        assert_ne!(with.1["totalSize"], 0, "{object}");
        for permission in permissions {
            assert_eq!(
                soql(&org, &token, &query).await.0,
                200,
                "one of them is enough: {object}"
            );
            org.with(|state| state.integration().permissions.remove(*permission));
        }
        let without = soql_refusal(&org, &token, &query).await;
        assert_eq!(without, (400, "INVALID_TYPE".to_owned()), "{object}");
        let describe = format!("/services/data/v66.0/sobjects/{object}/describe");
        assert_eq!(
            get(&org, &token, &describe, &[]).await.status(),
            404,
            "{object}"
        );
        org.with(|state| {
            let all = crate::fake_salesforce::token::integration_permissions();
            state.integration().permissions = all;
        });
    }
}

#[tokio::test]
async fn some_objects_show_ones_own_rows_and_say_nothing() {
    let scenario = Scenario::org()
        .without("ManageUsers")
        .without("MonitorLoginHistory");
    let org = FakeSf::start(
        scenario
            .without("CustomizeApplication")
            .without("ViewSetup"),
    );
    let token = log_in(&org).await;
    for (object, own) in [("LoginHistory", 16), ("OauthToken", 0), ("User", 1)] {
        let (status, body) = soql(&org, &token, &format!("SELECT COUNT() FROM {object}")).await;
        assert_eq!(
            (status.as_u16(), &body["totalSize"]),
            (200, &serde_json::json!(own)),
            "{object}"
        );
    }
}

#[tokio::test]
async fn what_describe_names_depends_on_the_edition() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let names = async || {
        let answer = get(
            &org,
            &token,
            "/services/data/v66.0/sobjects/Profile/describe",
            &[],
        )
        .await;
        let answer: Value = answer.json().await.unwrap();
        let fields = answer["fields"].as_array().unwrap().iter();
        fields
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect::<Vec<String>>()
    };
    assert!(names().await.contains(&"PermissionsAuthorApex".to_owned()));
    org.with(|state| state.objects.take_away("Profile", "PermissionsAuthorApex"));
    assert!(!names().await.contains(&"PermissionsAuthorApex".to_owned()));
    let query = "SELECT PermissionsAuthorApex FROM Profile";
    assert_eq!(
        soql_refusal(&org, &token, query).await,
        (400, "INVALID_FIELD".to_owned())
    );
}

#[tokio::test]
async fn routes_tell_apart_what_is_old_unknown_too_long_or_the_wrong_verb() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let at = async |path: &str| refusal(get(&org, &token, path, &[]).await).await;
    assert_eq!(
        at("/services/data/v30.0/limits").await,
        (410, "UNSUPPORTED_API_VERSION".to_owned())
    );
    for unknown in [
        "/services/data/v67.0/limits",
        "/services/data/v66/limits",
        "/services/data/v66.0/jobs/query",
        "/elsewhere",
    ] {
        assert_eq!(
            at(unknown).await,
            (404, "NOT_FOUND".to_owned()),
            "{unknown}"
        );
    }
    let post = http().post(format!("{}/services/data/v66.0/limits", org.login_url()));
    let post = post.bearer_auth(&token).send().await.unwrap();
    assert_eq!(refusal(post).await, (405, "METHOD_NOT_ALLOWED".to_owned()));
    let long = [("q", "x".repeat(17_000))];
    let url = format!("{}/services/data/v66.0/query", org.login_url());
    let long = http()
        .get(url)
        .query(&long)
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(long.status(), 414);
    assert!(long.text().await.unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn data_is_at_my_domain_and_for_users_with_the_api() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let limits = async |host: &str| {
        let url = format!("{host}/services/data/v66.0/limits");
        http().get(url).bearer_auth(&token).send().await.unwrap()
    };
    let at_login = limits(org.shared_login_url()).await;
    assert_eq!(refusal(at_login).await, (401, "URL_NOT_RESET".to_owned()));
    let body: Value = limits(org.login_url()).await.json().await.unwrap();
    assert_eq!(body["DailyApiRequests"]["Max"], 100_000);
    org.with(|state| state.integration().mutual_tls = true);
    let refused = refusal(limits(org.login_url()).await).await;
    assert_eq!(refused, (403, "MUTUAL_AUTHENTICATION_FAILED".to_owned()));
    org.with(|state| {
        let user = state.user_mut(USERNAME);
        user.mutual_tls = false;
        user.permissions.remove("ViewSetup");
    });
    assert_eq!(limits(org.login_url()).await.status(), 403);
    org.with(|state| state.integration().permissions.remove("ApiEnabled"));
    let refused = refusal(limits(org.login_url()).await).await;
    assert_eq!(refused, (403, "API_DISABLED_FOR_ORG".to_owned()));
}
