//! The hardened HTTP client that everything which leaves the machine by HTTP starts from: alerts
//! to webhooks, questions to the org.

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

const AGENT: &str = concat!("orgwatch/", env!("CARGO_PKG_VERSION"));

/// A client that speaks TLS 1.2 or later, follows no redirect, asks no proxy, repeats nothing by
/// itself and sends no referer. `plaintext` lets it speak http as well, for a server on this
/// machine; the configuration allows it for `localhost` alone.
pub(crate) fn client(plaintext: bool) -> ClientBuilder {
    let client = reqwest::Client::builder()
        .user_agent(AGENT)
        .https_only(!plaintext)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false);
    if !plaintext {
        return client;
    }
    // Whatever the machine's tables say of the name: nothing leaves it in the clear.
    let here = [
        ([127, 0, 0, 1], 0).into(),
        ([0, 0, 0, 0, 0, 0, 0, 1], 0).into(),
    ];
    client.resolve_to_addrs("localhost", &here)
}

/// The innermost words of an error, which do not hold the address; none where only its own words
/// are left, because those end with the address.
pub(crate) fn innermost(error: &reqwest::Error) -> Option<String> {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(first.source(), |cause| cause.source());
    Some(causes.last()?.to_string())
}
