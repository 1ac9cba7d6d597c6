"""Who exists in the Acme Example Org: users, apps, and the addresses they come from."""

import hashlib
from dataclasses import dataclass

ORG_ID = "00D5e000000AcmE"
ORG_NAME = "Acme Example Org"
LOGIN_HOST = "acme.my.example.com"
SSO_SERVICE_ID = "0LE5e0000004CqK"

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def sf_id18(id15: str) -> str:
    """The 18-character form: one check character for each five, from their capitals."""
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << i for i, c in enumerate(id15[start:start + 5]) if "A" <= c <= "Z")
        suffix += "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits]
    return id15 + suffix


def sf_id15(prefix: str, name: str) -> str:
    """A 15-character id that depends on nothing but its name."""
    digest = hashlib.sha256(name.encode()).digest()
    tail = "".join(_BASE62[b % 62] for b in digest[:4])
    return prefix + "5e000000"[: 11 - len(prefix)] + tail


@dataclass(frozen=True)
class App:
    name: str
    id15: str
    vendor: str
    grant: str

    @property
    def id18(self) -> str:
        return sf_id18(self.id15)


@dataclass(frozen=True)
class User:
    username: str
    role: str = "human"

    @property
    def id15(self) -> str:
        return sf_id15("005", self.username)

    @property
    def id18(self) -> str:
        return sf_id18(self.id15)


@dataclass(frozen=True)
class Integration:
    """A machine user, its door and its rhythm. Minutes of 0 mean: not at that time."""

    user: User
    app: App | None
    path: str
    hosts: tuple[str, ...]
    agent: str
    entities: tuple[str, ...]
    login_minutes: int
    busy_minutes: int
    idle_minutes: int
    kind: str = "rest"


def user(name: str, role: str = "human") -> User:
    return User(f"{name}@example.com", role)


def app(name: str, vendor: str = "own", grant: str = "jwt_bearer", prefix: str = "0H4") -> App:
    return App(name, sf_id15(prefix, name), vendor, grant)


ERP = app("ERP Sync")
MKT = app("MktCloud Connector", "MktCloud Example Inc", "refresh_token")
DWH = app("DWH Export", grant="client_credentials")
BILLING = app("Billing ECA", grant="client_credentials", prefix="888")
IPAAS = app("Flowbridge Hub", "Flowbridge Example Ltd", "refresh_token")
LOADER = app("Night Loader")
HR = app("HR Feed")
TICKETS = app("Ticket Bridge", "Ticket Bridge Example", "web_server")
DOCS = app("Docs Archive", "Docs Archive Example", "refresh_token")
SURVEY = app("Survey Push", "Survey Push Example", "refresh_token")
CI = app("CI Deploy")
LOG_READER = app("Log Reader", grant="jwt_bearer")
BACKUP = app("Orbit Backup", "Orbit Backup Example", "refresh_token")
MAIL_SYNC = app("Mail Sync Desk", "Mail Sync Example", "refresh_token")
APPS = [ERP, MKT, DWH, BILLING, IPAAS, LOADER, HR, TICKETS, DOCS, SURVEY, CI, LOG_READER, BACKUP, MAIL_SYNC]

IPAAS_OLD_HOSTS = ("198.51.100.50", "198.51.100.51")
IPAAS_NEW_HOSTS = ("198.51.100.66", "198.51.100.67")

INTEGRATIONS = [
    Integration(user("erp.sync", "integration"), ERP, "oauth_bearer",
                ("198.51.100.3", "198.51.100.4"), "Java/17.0.9",
                ("Account", "Order", "Product2", "Invoice__c"), 60, 5, 30),
    Integration(user("mkt.cloud", "integration"), MKT, "oauth_refresh",
                ("203.0.113.10", "203.0.113.11", "203.0.113.12"), "MktCloud/4.2",
                ("Lead", "Contact", "Campaign"), 60, 15, 15),
    Integration(user("dwh.export", "integration"), DWH, "oauth_client_credentials",
                ("198.51.100.20",), "python-requests/2.31.0",
                ("Account", "Opportunity", "Case"), 0, 0, 0, "bulk_query"),
    Integration(user("legacy.soap", "integration"), None, "soap_login",
                ("198.51.100.40",), "JAX-WS RI 2.1.5-b03-",
                ("Pricebook2", "Product2"), 120, 60, 180, "soap"),
    Integration(user("billing.eca", "integration"), BILLING, "oauth_client_credentials",
                ("203.0.113.70", "2001:db8:20::70"), "okhttp/4.12.0",
                ("Invoice__c", "Account"), 120, 30, 30),
    Integration(user("ipaas.hub", "integration"), IPAAS, "oauth_refresh",
                IPAAS_OLD_HOSTS, "Flowbridge/9.1",
                ("Case", "Contact", "Task"), 120, 20, 120),
    Integration(user("bulk.loader", "integration"), LOADER, "oauth_bearer",
                ("198.51.100.82",), "Go-http-client/2.0",
                ("Product2", "PricebookEntry"), 0, 0, 0, "bulk_ingest"),
    Integration(user("hr.feed", "integration"), HR, "oauth_bearer",
                ("198.51.100.98",), "Java/21.0.1",
                ("User", "Worker__c"), 360, 90, 360),
    Integration(user("tickets.sync", "integration"), TICKETS, "oauth_refresh",
                ("203.0.113.98", "203.0.113.99"), "TicketBridge/2.8",
                ("Case", "CaseComment"), 120, 30, 120),
    Integration(user("docs.archive", "integration"), DOCS, "oauth_refresh",
                ("203.0.113.114",), "docs-archive/1.9",
                ("ContentVersion", "Account"), 240, 60, 120),
    Integration(user("survey.push", "integration"), SURVEY, "oauth_refresh",
                tuple(f"203.0.113.{n}" for n in range(130, 150)), "SurveyPush/3.3",
                ("Contact", "Survey__c"), 180, 60, 180),
    Integration(user("ci.deploy", "ci"), CI, "oauth_bearer",
                ("198.51.100.118",), "sf-cli/2.70.7",
                ("ApexClass", "Profile"), 240, 120, 0),
    Integration(user("log.reader", "integration"), LOG_READER, "oauth_bearer",
                ("198.51.100.121",), "python-requests/2.32.3",
                ("EventLogFile",), 0, 0, 0, "daily"),
    Integration(user("svc.backup", "unregistered"), BACKUP, "oauth_refresh",
                ("203.0.113.200",), "OrbitBackup/7.0",
                ("Account", "Contact", "Attachment"), 60, 60, 60),
]
MACHINES = [i.user for i in INTEGRATIONS if i.user.role != "unregistered"]
BY_NAME = {i.user.username.split("@")[0]: i for i in INTEGRATIONS}

LEAD_OWNER = user("lead.owner", "internal_system")
CASE_OWNER = user("case.owner", "internal_system")
AUTOPROC = user("autoproc", "automated")
GUEST = user("help.site.guest", "guest")
ADMINS = [user("admin.oak", "human_admin"), user("admin.elm", "human_admin")]
SYNC_HUMAN = user("coral.finch")
# Left the company; the account is inactive.
FORMER = user("slate.wren")

_COLOURS = "amber basil cedar coral dusty ember fawn green hazel ivory jade khaki lilac".split()
_BIRDS = "wren finch".split()
HUMANS = [user(f"{c}.{b}") for b in _BIRDS for c in _COLOURS if (c, b) != ("lilac", "finch")]

OFFICE_ADDRESSES = [f"198.51.100.{n}" for n in range(200, 206)]


def home_address(person: User) -> str:
    """Half of the homes speak IPv4, half IPv6."""
    number = hashlib.sha256(person.username.encode()).digest()
    if number[0] % 2:
        return f"203.0.113.{208 + number[1] % 44}"
    return f"2001:db8:a{number[1]:02x}::{number[2]:x}"
