"""The planted incidents, each with the findings at high or above that it must raise.

`expected` rows are (rule, user or none, UTC day or none for a standing condition, severity)."""

from dataclasses import dataclass
from typing import Callable

from . import cast, hygiene, moment
from .moment import MINUTE, SECOND
from .records import Logs, Raw

FULL_WIDTH_E = "\uff25"
WRONG_APP_ID = cast.sf_id18("0H45e0000000W9Z")
MISSING_FILE = ("ApiTotalUsage", "2026-01-20")
BROKEN_FILE = ("Login", "2026-01-22")


@dataclass(frozen=True)
class Incident:
    day: str
    who: str
    story: str
    expected: tuple[tuple[str, str, str, str], ...]
    plant: Callable[[Logs], None] | None = None


def _machine(name: str) -> cast.Integration:
    return cast.BY_NAME[name]


def _last_login(logs: Logs, who: cast.Integration, at: int):
    """The last normal login before a time, whose key an attacker then uses."""
    return max((s for s in logs.sessions[who.user.username] if s.at < at and s.path == who.path),
               key=lambda s: s.at)


def _calls(logs, at, who, ip, login_key, count, every, *, app=True, verb="query", rows=20):
    """`count` REST calls from one address."""
    named = {"app_id": who.app.id18, "app_name": who.app.name} if app else {}
    for number in range(count):
        entity = who.entities[number % len(who.entities)]
        logs.rest_call(at + number * every, who.user, ip, login_key, entity, verb, rows=rows, **named)


def login_as(logs: Logs) -> None:
    admin, target = cast.ADMINS[0], _machine("tickets.sync").user
    ip, at = cast.OFFICE_ADDRESSES[1], moment.at("2026-01-27T18:11:00")
    login_key = logs.token("login", 16)
    for number in range(5):
        when = at + number * 700
        logs.event("LoginAs", when, target, {
            "URI": "/servlet/servlet.su", "SESSION_KEY": logs.token("session", 16),
            "LOGIN_KEY": login_key, "DELEGATED_USER_NAME": admin.username,
            "DELEGATED_USER_ID": admin.id15, "DELEGATED_USER_ID_DERIVED": admin.id18,
            "CLIENT_IP": ip,
        })
        logs.uri(when + 200 + number * 20 * SECOND, target, ip, login_key,
                 ("/home/home.jsp", "/ui/setup/Setup", "/lightning/page/home")[number % 3])
    logs.logout(at + 12 * MINUTE, target, "S", ip, login_key=login_key, by_user=True)


def ui_password(logs: Logs) -> None:
    logs.login(moment.at("2025-12-30T14:12:40"), _machine("erp.sync").user, "ui_password", "198.51.100.3")


def blocked_attempts(logs: Logs) -> None:
    at = moment.at("2026-01-05T03:31:05")
    for minutes, ip in ((0, "192.0.2.40"), (6, "192.0.2.41"), (14, "192.0.2.40")):
        logs.login(at + minutes * MINUTE, _machine("billing.eca").user, "ui_password", ip,
                   status="LOGIN_ERROR_USER_API_ONLY")


def soap_instead_of_jwt(logs: Logs) -> None:
    at = moment.at("2026-01-06T09:22:10")
    session = logs.login(at, _machine("hr.feed").user, "soap_login", "198.51.100.99",
                         agent="JAX-WS RI 2.1.5-b03-")
    for number in range(2):
        logs.soap_call(at + (4 + number) * SECOND, session, "query", "User", "hr/export", 40)


def login_from_elsewhere(logs: Logs) -> None:
    who, at, ip = _machine("dwh.export"), moment.at("2026-01-07T22:14:00"), "192.0.2.23"
    session = logs.login(at, who.user, who.path, ip, app=who.app.name, agent="python-requests/2.32.3")
    _calls(logs, at + 5 * SECOND, who, ip, session.login_key, 6, 20 * SECOND)


def frontdoor(logs: Logs) -> None:
    who, at, ip = _machine("mkt.cloud"), moment.at("2026-01-13T11:20:00"), "192.0.2.77"
    stolen = _last_login(logs, who, at)
    for number in range(14):
        logs.page_view(at + number * 25 * SECOND, stolen, number + 1,
                       ("Lead", "Contact", "Account")[number % 3], ip=ip)
    logs.logout(at + 21 * MINUTE, who.user, "F", ip, login_key=stolen.login_key)


def guest_rest(logs: Logs) -> None:
    at = moment.at("2026-01-14T05:40:00")
    for number in range(40):
        logs.rest_call(at + number * 7 * SECOND, cast.GUEST, "192.0.2.90", "",
                       ("Account", "Contact")[number % 2], "query", rows=50)


def internal_api(logs: Logs) -> None:
    at = moment.at("2026-01-14T21:02:30")
    for number in range(3):
        logs.rest_call(at + number * 9 * SECOND, cast.CASE_OWNER, "192.0.2.81", "", "Case", "query", rows=5)


def internal_attempt(logs: Logs) -> None:
    logs.login(moment.at("2026-01-15T04:18:50"), cast.LEAD_OWNER, "ui_password", "192.0.2.80",
               status="LOGIN_ERROR_INVALID_PASSWORD")


def sso_in_history_only(logs: Logs) -> None:
    logs.login(moment.at("2026-01-16T03:20:15"), _machine("dwh.export").user, "ui_sso",
               "198.51.100.20", elf=False)


def unexpected_ipv6(logs: Logs) -> None:
    who = _machine("bulk.loader")
    logs.login(moment.at("2026-01-21T20:44:30"), who.user, who.path, "2001:db8:bad::1",
               app=who.app.name, agent=who.agent)


def broken_rows_then_attack(logs: Logs) -> None:
    """Eight rows whose User-Agent breaks the quoting in two ways, then a good login."""
    who, at, ip = _machine("tickets.sync"), moment.at("2026-01-22T04:07:00"), "192.0.2.55"
    shapes = ('"curl/8.5 "," "', '"curl/8.5 ""')
    for number in range(8):
        logs.login(at + number * 1500, who.user, "ui_password", ip, agent=Raw(shapes[number % 2]),
                   status="LOGIN_ERROR_INVALID_PASSWORD")
    logs.login(at + 8 * 1500 + 900, who.user, "ui_password", ip)


def stolen_token(logs: Logs) -> None:
    """400 calls without any login there: 60 under the key of a good login, the rest under keys
    that no Login row knows."""
    who, at, ip = _machine("mkt.cloud"), moment.at("2026-01-23T02:10:00"), "192.0.2.66"
    good = _last_login(logs, who, at)
    foreign = logs.token("login", 16)
    _calls(logs, at, who, ip, foreign, 340, 6 * SECOND)
    _calls(logs, at + 36 * MINUTE, who, ip, good.login_key, 60, 4 * SECOND)


def api_under_ui_session(logs: Logs) -> None:
    """From an address of the network where the app itself never runs."""
    who, at, ip = _machine("docs.archive"), moment.at("2026-01-26T20:05:00"), "203.0.113.120"
    session = logs.login(at, who.user, "ui_password", ip)
    _calls(logs, at + 90 * SECOND, who, ip, session.login_key, 12, 15 * SECOND, app=False)


def look_alike_app(logs: Logs) -> None:
    logs.login(moment.at("2026-01-27T08:15:30"), _machine("erp.sync").user, "oauth_bearer",
               "198.51.100.4", app=FULL_WIDTH_E + "RP Sync", agent="Java/17.0.9")


def right_name_wrong_id(logs: Logs) -> None:
    who, at = _machine("docs.archive"), moment.at("2026-01-28T10:31:00")
    session = _last_login(logs, who, at)
    for number in range(30):
        logs.rest_call(at + number * 11 * SECOND, who.user, "203.0.113.114", session.login_key,
                       "ContentVersion", "query", rows=10, app_id=WRONG_APP_ID, app_name=who.app.name)


def unknown_login_type(logs: Logs) -> None:
    logs.login(moment.at("2026-01-29T12:26:20"), _machine("ipaas.hub").user, "unknown",
               "198.51.100.66", agent="Flowbridge/9.1", history=False)


UI, IP = "integration-ui-login", "integration-unexpected-ip-login"
NO_APP = "integration-login-without-connected-app"
WRONG_APP = "integration-wrong-connected-app"
DOWNGRADE, DEVICE = "flow-downgrade", "oauth-device-flow-suspected"
INCIDENTS = [
    Incident("2026-01-27", "tickets.sync", "admin.oak uses Login-As on it; the pages carry the login key "
             "of that impersonation, which is no matter for `integration-ui-activity`.",
             (("loginas-onto-integration-user", "tickets.sync", "2026-01-27", "high"),), login_as),
    Incident("2025-12-30", "erp.sync", "A password login through the UI, from an allowed address.",
             ((UI, "erp.sync", "2025-12-30", "high"),
              (DOWNGRADE, "erp.sync", "2025-12-30", "critical")), ui_password),
    Incident("2026-01-05", "billing.eca", "Three UI logins stopped by API-only, from 192.0.2.40 and "
             "192.0.2.41; the day is there as a daily file and as hourly files.",
             (("integration-ui-attempt-blocked", "billing.eca", "2026-01-05", "high"),), blocked_attempts),
    Incident("2026-01-06", "hr.feed", "A SOAP login() by a user that must use JWT bearer.",
             ((NO_APP, "hr.feed", "2026-01-06", "high"), ("soap-login-call", "hr.feed", "2026-01-06", "high"),
              (DOWNGRADE, "hr.feed", "2026-01-06", "critical")), soap_instead_of_jwt),
    Incident("2026-01-07", "dwh.export", "A login with the right client credentials from 192.0.2.23 and "
             "six calls there. Only the daily file's second issue has these logins.",
             ((IP, "dwh.export", "2026-01-07", "critical"),
              ("integration-unexpected-ip-api", "dwh.export", "2026-01-07", "critical")), login_from_elsewhere),
    Incident("2026-01-13", "mkt.cloud", "UI pages from 192.0.2.77 under the login key of a refresh-token "
             "login (frontdoor), and the end of that frontdoor session in Logout.",
             (("integration-ui-activity", "mkt.cloud", "2026-01-13", "critical"),), frontdoor),
    Incident("2026-01-14", "help.site.guest", "The public site's guest user calls the standard REST API.",
             (("guest-api-traffic", "help.site.guest", "2026-01-14", "high"),), guest_rest),
    Incident("2026-01-14", "case.owner", "An internal system user calls the API.",
             (("internal-user-login", "case.owner", "2026-01-14", "critical"),), internal_api),
    Incident("2026-01-15", "lead.owner", "Somebody tries a password for an internal system user.",
             (("internal-user-login", "lead.owner", "2026-01-15", "high"),), internal_attempt),
    Incident("2026-01-16", "dwh.export", "A SAML login through the UI, seen only in LoginHistory, and "
             "there only in the Setup page's CSV (15 January, 7:20 PM in Los Angeles).",
             ((UI, "dwh.export", "2026-01-16", "high"),
              (DOWNGRADE, "dwh.export", "2026-01-16", "critical")), sso_in_history_only),
    Incident("2026-01-20", "", "The day's ApiTotalUsage file never came.",
             (("missing-log-file", "", "2026-01-20", "high"),)),
    Incident("2026-01-21", "bulk.loader", "A login from an IPv6 address; only IPv4 is declared.",
             ((IP, "bulk.loader", "2026-01-21", "critical"),), unexpected_ipv6),
    Incident("2026-01-22", "tickets.sync", "Eight Login rows from 192.0.2.55 that cannot be read (their "
             "User-Agent breaks the quoting), and right after them a UI login from there.",
             (("parse-reject-ratio", "", "2026-01-22", "high"),
              (UI, "tickets.sync", "2026-01-22", "critical"),
              (IP, "tickets.sync", "2026-01-22", "critical"),
              (DOWNGRADE, "tickets.sync", "2026-01-22", "critical"),
              ("login-bruteforce", "tickets.sync", "2026-01-22", "critical")), broken_rows_then_attack),
    Incident("2026-01-23", "mkt.cloud", "A stolen token: 400 calls from 192.0.2.66, where nobody logged "
             "in; 60 of them under the login key of a good login.",
             (("integration-unexpected-ip-api", "mkt.cloud", "2026-01-23", "critical"),
              ("session-hijack-suspected", "mkt.cloud", "2026-01-23", "critical"),
              ("shared-credential-concurrent", "mkt.cloud", "2026-01-23", "high")), stolen_token),
    Incident("2026-01-26", "docs.archive", "A UI login from an allowed address, and twelve API calls under "
             "its login key.",
             ((UI, "docs.archive", "2026-01-26", "critical"),
              ("integration-api-without-connected-app", "docs.archive", "2026-01-26", "critical"),
              (DOWNGRADE, "docs.archive", "2026-01-26", "high")), api_under_ui_session),
    Incident("2026-01-27", "erp.sync", "A login through `\uff25RP Sync`, whose first letter is full-width.",
             ((WRONG_APP, "erp.sync", "2026-01-27", "critical"),
              (DEVICE, "erp.sync", "2026-01-27", "critical")), look_alike_app),
    Incident("2026-01-28", "docs.archive", "Thirty calls through an app with the right name and an id that "
             "the org does not know.",
             ((WRONG_APP, "docs.archive", "2026-01-28", "critical"),), right_name_wrong_id),
    Incident("2026-01-29", "ipaas.hub", "A successful login of the unknown type `Q9`: taken for a UI login "
             "and for a path without an app until the map knows it.",
             ((UI, "ipaas.hub", "2026-01-29", "critical"), (NO_APP, "ipaas.hub", "2026-01-29", "critical"),
              ("unmapped-value", "ipaas.hub", "2026-01-29", "high"),
              (DOWNGRADE, "ipaas.hub", "2026-01-29", "high")), unknown_login_type),
    Incident("2025-12-27", "svc.backup", "A vendor's machine account that no registry knows logs in every "
             "hour of every day (whole period).",
             (("unregistered-integration-user", "svc.backup", "", "high"),)),
    *(Incident(*planted) for planted in hygiene.INCIDENTS),
]


def write(logs: Logs) -> None:
    for incident in INCIDENTS:
        if incident.plant:
            incident.plant(logs)
