//! What happens in an org, one act at a time, before it is written down in any log.
//!
//! The daily life, the attacks and the stories all speak in acts; only [`super::rows`] knows which
//! rows an act leaves in which log, and only [`super::mutate`] changes acts that were planned.

use std::sync::Arc;

/// Text that many acts share.
pub type Text = Arc<str>;

/// Which label an act belongs to; nobody's for the daily life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark(pub u32);

impl Mark {
    pub const NONE: Mark = Mark(0);
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
pub struct Act {
    /// Milliseconds since 1970, UTC.
    pub at: i64,
    /// Index into the org's users; none where the log knows no user.
    pub user: Option<usize>,
    pub from: Origin,
    pub keys: Keys,
    pub deed: Deed,
}

/// Where an act comes from, as the logs will have it.
#[derive(Debug, Clone)]
pub struct Origin {
    pub ip: Text,
    pub hidden: Hidden,
    /// Country of the address, two letters.
    pub country: Text,
    /// What the caller put into X-Forwarded-For.
    pub forwarded: Text,
}

impl Origin {
    pub fn new(ip: impl Into<Text>, country: impl Into<Text>) -> Self {
        Self {
            ip: ip.into(),
            hidden: Hidden::No,
            country: country.into(),
            forwarded: "".into(),
        }
    }
}

/// Which address cells hold `Salesforce.com IP` instead of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    No,
    /// CLIENT_IP of a login, as it often is.
    Client,
    /// SOURCE_IP of a login.
    Source,
    /// Every address cell.
    All,
}

/// LOGIN_KEY and SESSION_KEY, by which the rows of one session join.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    pub login: Text,
    pub session: Text,
}

/// A connected app as a row shows it; empty where it does not.
#[derive(Debug, Clone, Default)]
pub struct AppSeen {
    pub id: Text,
    pub name: Text,
}

#[derive(Debug, Clone)]
pub enum Deed {
    Login(Login),
    Logout(Logout),
    Call(Call),
    Job(Job),
    Page(Page),
    Aura(Aura),
    Site(Site),
    Report(Report),
    LoginAs {
        by: usize,
    },
    Metadata {
        client: Text,
        operation: &'static str,
    },
    Setup(Setup),
    Queued {
        entry_point: &'static str,
    },
    Sandbox {
        status: &'static str,
    },
}

/// The doors through which a login comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    UiPassword,
    UiPasswordReset,
    UiSso,
    Bearer,
    Refresh,
    HybridRefresh,
    ClientCredentials,
    WebServer,
    Soap,
}

/// How a login is spelled: codes in Login, labels in LoginHistory.
#[derive(Debug, Clone)]
pub struct Spelling {
    pub login_type: Text,
    pub sub_type: Text,
    pub history_type: Text,
    pub history_sub_type: Text,
}

impl Door {
    /// LOGIN_TYPE, LOGIN_SUB_TYPE, URI, LoginType, LoginSubType, and the word of the registry.
    fn words(self) -> [&'static str; 6] {
        const TOKEN: &str = "/services/oauth2/token";
        const OAUTH: &str = "Remote Access 2.0";
        match self {
            Door::UiPassword => [
                "A",
                "uiup",
                "/index.jsp",
                "Application",
                "UsernamePasswordUiLogin",
                "ui_password",
            ],
            Door::UiPasswordReset => [
                "A",
                "uipwdrst",
                "/_ui/system/security/ChangePassword",
                "Application",
                "UiPasswordReset",
                "ui_other",
            ],
            Door::UiSso => [
                "8",
                "",
                "/index.jsp",
                "SAML Sfdc Initiated SSO",
                "",
                "ui_sso",
            ],
            Door::Bearer => ["i", "", TOKEN, OAUTH, "", "oauth_bearer"],
            Door::Refresh => [
                "i",
                "oauthrefreshtoken",
                TOKEN,
                OAUTH,
                "OauthRefreshToken",
                "oauth_refresh",
            ],
            Door::HybridRefresh => [
                "i",
                "OauthHybridRefreshToken",
                TOKEN,
                OAUTH,
                "OauthHybridRefreshToken",
                "oauth_refresh",
            ],
            Door::ClientCredentials => [
                "i",
                "oauthclientcredential",
                TOKEN,
                OAUTH,
                "OauthClientCredentials",
                "oauth_client_credentials",
            ],
            Door::WebServer => [
                "i",
                "oauthcode",
                TOKEN,
                OAUTH,
                "OauthWebServer",
                "oauth_web_server",
            ],
            Door::Soap => ["I", "", "Api", "Other Apex API", "", "soap_login"],
        }
    }

    pub fn spelling(self) -> Spelling {
        let [login_type, sub_type, _, history_type, history_sub_type, _] = self.words();
        Spelling {
            login_type: login_type.into(),
            sub_type: sub_type.into(),
            history_type: history_type.into(),
            history_sub_type: history_sub_type.into(),
        }
    }

    pub fn uri(self) -> &'static str {
        self.words()[2]
    }

    /// The word of the registry's `flows`.
    pub fn flow(self) -> &'static str {
        self.words()[5]
    }

    pub fn is_ui(self) -> bool {
        matches!(self, Door::UiPassword | Door::UiPasswordReset | Door::UiSso)
    }

    /// A password goes to an API endpoint.
    pub fn sends_password(self) -> bool {
        self == Door::Soap
    }
}

pub const SUCCESS: &str = "LOGIN_NO_ERROR";

/// One attempt to log in.
#[derive(Debug, Clone)]
pub struct Login {
    pub door: Door,
    pub spelling: Spelling,
    /// LOGIN_STATUS.
    pub status: &'static str,
    pub app: AppSeen,
    /// User-Agent as it was sent.
    pub agent: Text,
    /// What was typed, where no user of the org has that name.
    pub typed: Option<Text>,
    pub version: u16,
}

impl Login {
    pub fn new(door: Door, app: AppSeen, agent: Text) -> Self {
        Self {
            door,
            spelling: door.spelling(),
            status: SUCCESS,
            app,
            agent,
            typed: None,
            version: 0,
        }
    }

    pub fn ending(mut self, status: &'static str) -> Self {
        self.status = status;
        self
    }
}

/// The end of a session.
#[derive(Debug, Clone)]
pub struct Logout {
    /// SESSION_TYPE: U, O, P, A …
    pub session_type: Text,
    pub user_type: &'static str,
    /// A second factor was asked for.
    pub high_assurance: bool,
    pub by_user: bool,
}

/// One call of an API.
#[derive(Debug, Clone)]
pub struct Call {
    pub family: Family,
    /// HTTP verb, or the SOAP method.
    pub method: &'static str,
    /// Path below `/services/data` without version, as in `sobjects/Account`.
    pub resource: Text,
    pub entity: Text,
    pub version: u16,
    pub client: Text,
    pub app: AppSeen,
    pub status: u16,
    /// Rows that the answer held; none where the log leaves it out.
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// SOQL text.
    pub query: Text,
    /// Leaves a row in UniqueQuery, too.
    pub unique: bool,
    pub category: &'static str,
    /// A numeric code, as the detail logs write it.
    pub agent_code: Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Rest,
    Soap,
    ApexRest,
    DirectAura,
}

impl Family {
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Rest => "REST",
            Family::Soap => "SOAP",
            Family::ApexRest => "ApexREST",
            Family::DirectAura => "DirectAura",
        }
    }
}

/// One state of a Bulk API 2.0 job.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: Text,
    pub operation: &'static str,
    pub entity: Text,
    pub state: &'static str,
    pub records: u64,
    pub version: u16,
    pub app: AppSeen,
    pub client: Text,
    /// The HTTP verb of the call that brought the job into this state.
    pub verb: &'static str,
}

/// A page of the user interface.
#[derive(Debug, Clone)]
pub struct Page {
    pub kind: PageKind,
    /// Path for a classic page, object for a Lightning page.
    pub what: Text,
    pub agent: Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    Classic,
    Lightning,
}

/// One POST of the Aura framework with the actions in it.
#[derive(Debug, Clone)]
pub struct Aura {
    /// `Controller/ACTION$method`, one for each action.
    pub actions: Vec<&'static str>,
    pub uri: &'static str,
    pub user_type: &'static str,
    pub agent: Text,
}

/// One request to a site.
#[derive(Debug, Clone)]
pub struct Site {
    pub page: &'static str,
    pub is_api: bool,
    pub method: &'static str,
    pub is_error: bool,
}

/// A report that ran.
#[derive(Debug, Clone)]
pub struct Report {
    pub id: Text,
    pub rows: u64,
    /// ReportRunFromLightning, ReportExported, DashboardComponentUpdated …
    pub origin: &'static str,
    pub exported: bool,
}

/// One entry of the Setup Audit Trail.
#[derive(Debug, Clone)]
pub struct Setup {
    pub action: &'static str,
    pub section: &'static str,
    pub display: String,
}
