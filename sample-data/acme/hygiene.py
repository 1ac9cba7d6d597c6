"""Planted incidents of credential hygiene, identity design and coverage. What the roster shows of
them is in `roster.py`. Rows as in `incidents.Incident`."""

from . import cast, moment
from .moment import MINUTE, SECOND
from .records import CHROME, Logs

LAST_DAY_OF_LOG_READER = "2026-01-28"
WEAK_CIPHER = "AES256-SHA"


def _machine(name: str) -> cast.Integration:
    return cast.BY_NAME[name]


def password_grant(logs: Logs) -> None:
    who = _machine("survey.push")
    logs.login(moment.at("2026-01-08T13:05:12"), who.user, "oauth_username_password", "203.0.113.133",
               app=who.app.name, agent="python-requests/2.28.0")


def old_tls(logs: Logs) -> None:
    who = _machine("hr.feed")
    logs.login(moment.at("2026-01-09T14:40:31"), who.user, who.path, "198.51.100.98", app=who.app.name,
               agent="Java/7.0.80", tls="1.1", cipher="ECDHE-RSA-AES256-SHA")


def person_without_factor(logs: Logs) -> None:
    who, at, ip = cast.ADMINS[1], moment.at("2026-01-11T21:05:40"), cast.home_address(cast.ADMINS[1])
    session = logs.login(at, who, "ui_password", ip)
    logs.logout(at + 35 * MINUTE, who, "U", ip, login_key=session.login_key, by_user=True)


def a_persons_tool(logs: Logs) -> None:
    """Through its own app, from its own network: only the client's name tells."""
    who, at = _machine("ipaas.hub"), moment.at("2026-01-17T19:12:00")
    session = max((s for s in logs.sessions[who.user.username] if s.at < at), key=lambda s: s.at)
    for number in range(25):
        logs.rest_call(at + number * 4 * SECOND, who.user, "198.51.100.66", session.login_key, "Contact",
                       "query", rows=200, app_id=who.app.id18, app_name=who.app.name, client="Workbench/62.0")


def stopped_by_the_apps_ranges(logs: Logs) -> None:
    who, at = _machine("dwh.export"), moment.at("2026-01-19T05:50:22")
    for number in range(2):
        logs.login(at + number * 3 * MINUTE, who.user, who.path, "192.0.2.30", app=who.app.name,
                   agent="curl/8.5.0", status="LOGIN_OAUTH_INVALID_IP")


def browser_as_client(logs: Logs) -> None:
    who = _machine("mkt.cloud")
    logs.login(moment.at("2026-01-25T06:15:03"), who.user, who.path, "203.0.113.12", app=who.app.name,
               agent=CHROME)


def logs_are_read(logs: Logs) -> None:
    who, at = _machine("svc.backup"), moment.at("2026-01-24T02:20:00")
    session = max((s for s in logs.sessions[who.user.username] if s.at < at), key=lambda s: s.at)
    for number in range(6):
        logs.rest_call(at + number * 9 * SECOND, who.user, session.ip, session.login_key, "EventLogFile",
                       "query", rows=40, app_id=who.app.id18, app_name=who.app.name)


def left_and_still_knocking(logs: Logs) -> None:
    at = moment.at("2026-01-30T03:31:00")
    for number in range(6):
        logs.login(at + number * 40 * SECOND, cast.FORMER, "ui_password", "192.0.2.95",
                   status="LOGIN_ERROR_USER_INACTIVE")


def password_reset(logs: Logs) -> None:
    logs.set_up(moment.at("2026-01-30T09:41:07"), cast.ADMINS[0], "resetpassword", "Manage Users",
                "Reset password for user survey.push@example.com")


def more_rights(logs: Logs) -> None:
    logs.set_up(moment.at("2026-01-30T11:15:30"), cast.ADMINS[1], "PermSetAssign", "Manage Users",
                "Permission set HR Extract: assigned to user hr.feed@example.com")


def logging_changed(logs: Logs) -> None:
    logs.set_up(moment.at("2026-01-29T18:02:51"), cast.ADMINS[1], "eventLogFileDeletionEnabled",
                "Event Monitoring Settings", "Changed Enable deletion of event monitoring data to on")


INCIDENTS = [
    ("2026-01-08", "survey.push", "A login by the OAuth username-password flow.",
     (("oauth-username-password-flow", "survey.push", "2026-01-08", "high"),
      ("flow-downgrade", "survey.push", "2026-01-08", "high")), password_grant),
    ("2026-01-09", "hr.feed", "A login over TLS 1.1.",
     (("weak-tls", "hr.feed", "2026-01-09", "high"),), old_tls),
    ("2026-01-11", "admin.elm", "An administrator's password login of which nothing shows a second "
     "factor; the session ends at standard level.",
     (("mfa-absent-password-login", "admin.elm", "2026-01-11", "high"),), person_without_factor),
    ("2026-01-17", "ipaas.hub", "Workbench with its token, through its own app and from its own network.",
     (("interactive-tool-on-integration-user", "ipaas.hub", "2026-01-17", "high"),
      ("rows-volume-anomaly", "ipaas.hub", "2026-01-17", "high")), a_persons_tool),
    ("2026-01-19", "dwh.export", "Two logins with the right client secret from 192.0.2.30, stopped by the "
     "app's address ranges.",
     (("control-held-near-miss", "dwh.export", "2026-01-19", "high"),), stopped_by_the_apps_ranges),
    ("2026-01-24", "svc.backup", "Reads EventLogFile, which only log.reader may.",
     (("log-access-or-setting-change", "svc.backup", "2026-01-24", "high"),), logs_are_read),
    ("2026-01-25", "mkt.cloud", "Its refresh token is used by a browser.", (), browser_as_client),
    ("2026-01-30", "slate.wren", "Six logins of an account that is inactive.", (), left_and_still_knocking),
    ("2026-01-30", "survey.push", "An administrator resets its password; no window is open.",
     (("integration-password-reset", "survey.push", "2026-01-30", "high"),), password_reset),
    ("2026-01-30", "hr.feed", "Gets one more permission set; no window is open.",
     (("privilege-change-on-integration-user", "hr.feed", "2026-01-30", "high"),), more_rights),
    ("2026-01-29", "admin.elm", "Allows the deletion of event logs.",
     (("log-access-or-setting-change", "admin.elm", "2026-01-29", "critical"),), logging_changed),
    ("2026-01-29", "docs.archive", "Holds an old permission set that opens all data, and may use the user "
     "interface (roster).",
     (("integration-overprivileged", "docs.archive", "", "high"),
      ("integration-not-api-only", "docs.archive", "", "high"))),
    ("2026-01-29", "survey.push", "Its profile has no login IP ranges, and it logged in by password (roster).",
     (("integration-no-ip-range", "survey.push", "", "high"),)),
    ("2026-01-29", "", "MktCloud Connector: tokens without end, from any address, for every user (roster).",
     (("app-policy-weak", "", "", "high"),)),
]
