//! Addresses of the org: where to sign in, and whether the instance that the answer names may be
//! sent a token.

use reqwest::Url;

use super::SalesforceError;
use super::hidden::Hidden;

/// Port of mutual TLS.
const MTLS_PORT: u16 = 8443;
/// Domains that are Salesforce's own.
const OWN_DOMAINS: [&str; 3] = [".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn"];

/// The configured address, with the port of mutual TLS where that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    url: Url,
    has_mtls: bool,
}

impl Login {
    pub(super) fn new(configured: &Url, has_mtls: bool) -> Self {
        let mut url = configured.clone();
        if has_mtls && url.port().is_none() {
            // Only an address without host refuses a port.
            let _ = url.set_port(Some(MTLS_PORT));
        }
        Self { url, has_mtls }
    }

    pub(super) fn at(&self, path: &str) -> Url {
        with_path(&self.url, path)
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Where data is asked for. A token goes to Salesforce by https or to the configured server,
    /// and nowhere else.
    pub(super) fn instance(&self, text: &str, hidden: &Hidden) -> Result<Url, SalesforceError> {
        let refused = |why: &str| SalesforceError::Setup {
            what: format!(
                "the org names {} as its instance, {why}; no token was sent there",
                hidden.shown(text)
            ),
            fix: "check `login_url`: whoever answers there must be the org itself".into(),
        };
        let url: Url = text.parse().map_err(|_| refused("which is no address"))?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let Some(host) = url.host_str().filter(|_| is_bare) else {
            return Err(refused("which is no address of a server alone"));
        };
        if url.scheme() != self.url.scheme() {
            return Err(refused("by another protocol than that of `login_url`"));
        }
        if host == self.host() {
            if self.has_mtls && url.port().is_none() {
                // Salesforce leaves the port out.
                return Ok(self.url.clone());
            }
            if url.port_or_known_default() == self.url.port_or_known_default() {
                return Ok(url);
            }
            return Err(refused("at another port than that of `login_url`"));
        }
        let host = host.to_owned();
        if url.scheme() != "https" || !is_salesforce(&host) {
            return Err(refused("which is not Salesforce's"));
        }
        match (url.port(), self.has_mtls) {
            (None, false) | (Some(MTLS_PORT), true) => Ok(url),
            (None, true) => Ok(Self::new(&url, true).url),
            _ => Err(refused("at a port that Salesforce does not use")),
        }
    }
}

fn is_salesforce(host: &str) -> bool {
    OWN_DOMAINS
        .iter()
        .any(|domain| host.len() > domain.len() && host.ends_with(domain))
}

/// The configured address for a browser, which has no certificate to show.
pub(super) fn for_people(configured: &Url) -> Url {
    let mut url = configured.clone();
    if url.port() == Some(MTLS_PORT) {
        // Only an address without host refuses it.
        let _ = url.set_port(None);
    }
    url
}

pub(super) fn with_path(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}

/// `path` below the data of a version. None where it could lead elsewhere.
pub(super) fn data(instance: &Url, api_version: u32, path: &str) -> Option<Url> {
    let fits = |b: u8| b.is_ascii_graphic() && !b"?#\\%".contains(&b);
    let is_plain = path.starts_with('/') && path.bytes().all(fits);
    let leads_on = |part: &str| !part.is_empty() && part != "." && part != "..";
    let mut parts = path.trim_start_matches('/').split('/');
    if !is_plain || path.starts_with("//") || !parts.all(leads_on) {
        return None;
    }
    let path = format!("/services/data/v{api_version}.0{path}");
    Some(with_path(instance, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Org(Login);

    impl Org {
        fn instance(&self, text: &str) -> Result<Url, SalesforceError> {
            self.0.instance(text, &Hidden::default())
        }
    }

    fn login(url: &str, has_mtls: bool) -> Org {
        Org(Login::new(&url.parse().unwrap(), has_mtls))
    }

    #[test]
    fn a_token_goes_to_salesforce_or_to_the_configured_server_only() {
        let org = login("https://example.my.salesforce.com", false);
        for (named, instance) in [
            (
                "https://example.my.salesforce.com",
                "https://example.my.salesforce.com/",
            ),
            (
                "https://EXAMPLE.my.salesforce.com:443/",
                "https://example.my.salesforce.com/",
            ),
            ("https://na1.salesforce.mil", "https://na1.salesforce.mil/"),
        ] {
            assert_eq!(org.instance(named).unwrap().as_str(), instance);
        }
        for named in [
            "https://evil.example.com",
            "https://salesforce.com.example.com",
            "https://evilsalesforce.com",
            "https://.salesforce.com",
            "http://example.my.salesforce.com",
            "https://example.my.salesforce.com:444",
            "https://na1.salesforce.com:8443",
            "https://u:p@example.my.salesforce.com",
            "https://u@na1.salesforce.com",
            "https://na1.salesforce.com/evil",
            "https://na1.salesforce.com?x",
            "https://na1.salesforce.com#x",
            "https://na1.salesforce.com\\@evil.example.com",
            "https://na1.salesforce.com.",
            "//na1.salesforce.com",
            "javascript:alert(1)",
            "data:text/plain,x",
            "",
        ] {
            assert!(org.instance(named).is_err(), "{named}");
        }
    }

    #[test]
    fn an_org_on_this_machine_stays_on_its_own_port() {
        let here = login("http://127.0.0.1:8080", false);
        assert!(here.instance("http://127.0.0.1:8080").is_ok());
        for named in [
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "http://127.0.0.2:8080",
            "http://example.my.salesforce.com",
            "https://na1.salesforce.com",
            "https://127.0.0.1:8080",
        ] {
            assert!(here.instance(named).is_err(), "{named}");
        }
    }

    #[test]
    fn mutual_tls_has_its_own_port_at_sign_in_and_at_the_instance() {
        let org = login("https://example.my.salesforce.com", true);
        assert_eq!(
            org.0.at("/services/oauth2/token").as_str(),
            "https://example.my.salesforce.com:8443/services/oauth2/token"
        );
        for named in [
            "https://example.my.salesforce.com",
            "https://example.my.salesforce.com:8443",
        ] {
            let instance = org.instance(named).unwrap();
            assert_eq!(instance.port(), Some(8443), "{named}");
        }
        let other = org.instance("https://na1.my.salesforce.com").unwrap();
        assert_eq!(other.port(), Some(8443));
        assert!(org.instance("https://na1.my.salesforce.com:444").is_err());
        let given = login("https://localhost:9443", true);
        let instance = given.instance("https://localhost").unwrap();
        assert_eq!(instance.port(), Some(9443));
    }

    #[test]
    fn a_path_stays_below_the_data_of_its_version() {
        let instance: Url = "https://example.my.salesforce.com".parse().unwrap();
        let url = data(&instance, 66, "/query/0r8xx-2000").unwrap();
        assert_eq!(
            url.as_str(),
            "https://example.my.salesforce.com/services/data/v66.0/query/0r8xx-2000"
        );
        for path in [
            "query",
            "//evil.example.com",
            "/../../oauth2/token",
            "/query/%2e%2e/x",
            "/query?q=x",
            "/query#x",
            "/a b",
            "/a\\b",
            "/query/",
            "/",
            "",
        ] {
            assert_eq!(data(&instance, 66, path), None, "{path}");
        }
    }
}
