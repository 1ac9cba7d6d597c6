//! The fake org keeps its own rules: what it would let pass, no test of a client could catch.
//! Here a client of a few lines asks it; the shapes are those of Salesforce's own guides, and the
//! order of the token endpoint's checks is the documented one as far as there is one.

mod authorize;
mod journal;
mod log_files;
mod query;
mod rights;
mod token;
mod wire;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::fake_salesforce::{CLIENT_ID, FakeSf, USERNAME, keys};

const JWT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

fn claims(org: &FakeSf) -> Value {
    json!({
        "iss": CLIENT_ID,
        "sub": USERNAME,
        "aud": org.login_url(),
        "exp": org.clock().now().timestamp() + 120,
    })
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(keys::jwt_key_pem().as_bytes()).unwrap();
    encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

async fn ask_token(url: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let url = format!("{url}/services/oauth2/token");
    let answer = http().post(url).form(form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn by_assertion(org: &FakeSf, assertion: &str) -> (StatusCode, Value) {
    let form = [("grant_type", JWT), ("assertion", assertion)];
    ask_token(org.login_url(), &form).await
}

async fn log_in(org: &FakeSf) -> String {
    let (status, body) = by_assertion(org, &signed(&claims(org))).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

async fn get(org: &FakeSf, token: &str, path: &str, query: &[(&str, &str)]) -> Response {
    let url = format!("{}{path}", org.login_url());
    let request = http().get(url).query(query).bearer_auth(token);
    request.send().await.unwrap()
}

async fn soql(org: &FakeSf, token: &str, query: &str) -> (StatusCode, Value) {
    let answer = get(org, token, "/services/data/v66.0/query", &[("q", query)]).await;
    (answer.status(), answer.json().await.unwrap())
}

/// Status and `errorCode` of a refusal by the data API.
async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let code = body[0]["errorCode"].as_str();
    (status, code.unwrap_or_else(|| panic!("{body}")).to_owned())
}

async fn soql_refusal(org: &FakeSf, token: &str, query: &str) -> (u16, String) {
    let query = [("q", query)];
    refusal(get(org, token, "/services/data/v66.0/query", &query).await).await
}
