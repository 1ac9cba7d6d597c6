"""Benign events that look like attacks. They must raise nothing at high or above."""

from . import cast, moment
from .cast import Integration
from .moment import HOUR, MINUTE, SECOND
from .records import CHROME, HIDDEN, Logs

EGRESS_CHANGE = "2026-01-12T00:00:00"
STORY = [
    ("2025-12-28", "coral.finch", "a person whose mail client syncs around the clock, with UI "
     "logins on every working day (whole period): a named user with an app, no machine account"),
    ("2026-01-02", "erp.sync", "works from 198.51.100.15, the last address of its /28"),
    ("2026-01-03", "docs.archive", "SOURCE_IP says `Salesforce.com IP`, CLIENT_IP is allowed "
     "(3 and 4 January)"),
    ("2026-01-04", "erp.sync", "LoginHistory writes its app with a blank at the end"),
    ("2026-01-08", "erp.sync", "a wrong password from 192.0.2.66 with an allowed address in "
     "FORWARDED_FOR_IP: the low row for a failed attempt, no more"),
    ("2026-01-10", "hr.feed", "an allowed address written as IPv4-mapped IPv6"),
    ("2026-01-10", "mkt.cloud", "two truly equal rows in one ApiTotalUsage file count as two"),
    ("2026-01-12", "ipaas.hub", "leaves from a new network; the registry has the change (CHG-61) "
     "from this midnight on, and the old network until then"),
    ("2026-01-14", "tickets.sync", "an administrator renews the consent in a browser, inside the "
     "window CHG-77 and from its network"),
    ("2026-01-15", "", "the hourly Login files of the day in one file, with the header "
     "repeated 23 times"),
    ("2026-01-21", "help.site.guest", "pages of the public site: guest rows of the category "
     "LIGHTNING_UI (21 and 22 January)"),
    ("2026-01-24", "hr.feed", "its app is renamed `HR Feed v2` for some hours; the id is the same"),
    ("2026-01-28", "amber.wren", "a browser whose User-Agent holds quotes and a line break"),
    ("2025-12-27", "billing.eca", "an External Client App: half of its API rows carry no app at "
     "all, the others its 888… id in 15 characters (whole period)"),
    ("2025-12-27", "legacy.soap", "logs in by SOAP, which its registry entry allows until May 2027 "
     "(whole period): told weekly, at medium"),
    ("2025-12-27", "survey.push", "declares no networks and moves about inside one /24 "
     "(whole period)"),
    ("2025-12-27", "autoproc", "Logout rows of the platform's own user (whole period)"),
    ("2026-01-29", "dwh.export", "was given the old permission set for some days in December: the "
     "assignment has expired (roster)"),
    ("2026-01-29", "tickets.sync", "its permission set group mutes the one dangerous permission that "
     "it holds (roster)"),
    ("2026-01-30", "tickets.sync", "is made API-only inside the maintenance window CHG-80 (roster)"),
    ("2025-12-27", "log.reader", "reads EventLogFile every day, as the registry allows (until "
     "28 January, when it falls silent: a medium finding)"),
    ("2025-12-29", "case.owner", "a dashboard that runs as this internal user, on Mondays"),
]


def hosts(who: Integration, at: int) -> tuple[str, ...]:
    """Where a machine logs in from at that time."""
    if who.user.username == "ipaas.hub@example.com" and at >= moment.at(EGRESS_CHANGE):
        return cast.IPAAS_NEW_HOSTS
    return who.hosts


def login_oddity(username: str, at: int) -> dict:
    """Arguments of `Logs.login` that differ from the machine's normal login."""
    name, day, hour = username.split("@")[0], moment.day_of(at), moment.hour_of(at)
    if name == "erp.sync" and day == "2026-01-02" and 18 <= hour < 20:
        return {"ip": "198.51.100.15"}
    if name == "docs.archive" and day in ("2026-01-03", "2026-01-04"):
        return {"source_ip": HIDDEN, "client_ip": "203.0.113.114"}
    if name == "erp.sync" and day == "2026-01-04":
        return {"app": cast.ERP.name + " "}
    if name == "hr.feed" and day == "2026-01-10":
        return {"ip": "::ffff:198.51.100.98"}
    return {}


def call_oddity(who: Integration, at: int, rng) -> dict:
    """Arguments of `Logs.rest_call` that differ from the machine's normal call."""
    name, day, hour = who.user.username.split("@")[0], moment.day_of(at), moment.hour_of(at)
    if name == "billing.eca":
        return {"app_id": "", "app_name": ""} if rng.random() < 0.5 else {"app_id": cast.BILLING.id15}
    if name == "hr.feed" and day == "2026-01-24" and 6 <= hour < 22:
        return {"app_name": "HR Feed v2"}
    if name == "erp.sync" and rng.random() < 0.02:
        return {"rest_ip": HIDDEN}
    return {}


def page_agent(person: cast.User, at: int) -> dict:
    if person.username == "amber.wren@example.com" and moment.day_of(at) == "2026-01-28":
        return {"agent": CHROME + ' "kiosk"\nbuild 7'}
    return {}


def write(logs: Logs) -> None:
    _failed_password(logs)
    _equal_rows(logs)
    _consent_window(logs)
    _guest_pages(logs)


def _failed_password(logs: Logs) -> None:
    logs.login(moment.at("2026-01-08T11:47:20"), cast.BY_NAME["erp.sync"].user, "ui_password",
               "192.0.2.66", status="LOGIN_ERROR_INVALID_PASSWORD", forwarded="198.51.100.3")


def _equal_rows(logs: Logs) -> None:
    who = cast.BY_NAME["mkt.cloud"]
    at = moment.at("2026-01-10T12:05:30")
    logs.api_total(at, who.user, "203.0.113.11", family="REST", resource="/v62.0/limits",
                   method="GET", app_id=cast.MKT.id18, app_name=cast.MKT.name)
    logs.rows["ApiTotalUsage"].append(logs.rows["ApiTotalUsage"][-1])


def _consent_window(logs: Logs) -> None:
    who = cast.BY_NAME["tickets.sync"]
    at = moment.at("2026-01-14T17:20:10")
    browser = logs.login(at, who.user, "ui_password", "203.0.113.97")
    logs.uri(at + 5 * SECOND, who.user, browser.ip, browser.login_key,
             "/_ui/identity/oauth/ui/AuthorizationPage")
    logs.login(at + 30 * SECOND, who.user, "oauth_web_server", who.hosts[0], app=cast.TICKETS.name,
               agent=who.agent)


def _guest_pages(logs: Logs) -> None:
    rng = logs.stream("guest pages")
    for day in ("2026-01-21", "2026-01-22"):
        at = moment.at(day) + 9 * HOUR
        for _ in range(30):
            at += int(rng.random() * 8 * MINUTE)
            ip = f"203.0.113.{150 + int(rng.random() * 40)}"
            family, resource = (("DirectAura", "/aura") if rng.random() < 0.5
                                else ("REST", "/v62.0/ui-api/records"))
            logs.api_total(at, cast.GUEST, ip, family=family, resource=resource, method="POST",
                           category="LIGHTNING_UI")
