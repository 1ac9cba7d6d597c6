"""What the org says of itself: the roster, exported after two nights, and its Setup Audit Trail.

Users, profiles and permission sets are those of the first night; `CHANGES` says what the second
night's export shows differently."""

import csv
import io
import json
from pathlib import Path

from . import cast, moment
from .cast import sf_id15, sf_id18
from .records import Logs

NIGHTS = ("2026-01-29", "2026-01-30")
FLAGS = ("ApiEnabled", "ApiUserOnly", "ModifyAllData", "ViewAllData", "ManageUsers",
         "CustomizeApplication", "AuthorApex", "ViewSetup", "IsSsoEnabled", "PasswordNeverExpires",
         "ViewEventLogFiles")
INTEGRATION, SALESFORCE = "Salesforce Integration", "Salesforce"
BASE = "API Base"
RANGES = {
    "erp.sync": [("198.51.100.0", "198.51.100.15")],
    "mkt.cloud": [("203.0.113.0", "203.0.113.63")],
    "dwh.export": [("198.51.100.16", "198.51.100.31")],
    "legacy.soap": [("198.51.100.32", "198.51.100.47")],
    "billing.eca": [("203.0.113.64", "203.0.113.95"),
                    ("2001:db8:20::", "2001:db8:20:ffff:ffff:ffff:ffff:ffff")],
    "ipaas.hub": [("198.51.100.64", "198.51.100.79")],
    "bulk.loader": [("198.51.100.80", "198.51.100.95")],
    "hr.feed": [("198.51.100.96", "198.51.100.111")],
    "tickets.sync": [("203.0.113.96", "203.0.113.111")],
    "docs.archive": [("203.0.113.112", "203.0.113.127")],
    "ci.deploy": [("198.51.100.116", "198.51.100.119")],
    "log.reader": [("198.51.100.120", "198.51.100.123")],
}
# Integration users without a clone of the base profile; svc.backup was never tidied up.
OTHER_PROFILES = {"survey.push": "Survey Integration", "svc.backup": "Standard User"}
NOT_API_ONLY = {"docs.archive", "tickets.sync"}
PASSWORDS = {"legacy.soap": "2024-11-05T09:12:44", "survey.push": "2025-12-02T08:00:10",
             "erp.sync": "2026-01-03T10:20:00", "hr.feed": "2025-12-18T15:41:09",
             "tickets.sync": "2025-11-20T12:30:00", "docs.archive": "2025-12-20T07:07:07"}


def _name(user: cast.User) -> str:
    return user.username.split("@")[0]


def profile_of(user: cast.User) -> str:
    name = _name(user)
    if user in cast.ADMINS:
        return "System Administrator"
    if user == cast.GUEST:
        return "Help Site Profile"
    if user in (cast.LEAD_OWNER, cast.CASE_OWNER):
        return "Internal Owner"
    if user in cast.MACHINES or name in OTHER_PROFILES:
        return OTHER_PROFILES.get(name, f"{BASE} {name}")
    return "Standard User"


def _profiles() -> dict[str, dict]:
    """Name of each profile to its licence and permissions."""
    found = {
        "System Administrator": (SALESFORCE, set(FLAGS) - {"ApiUserOnly", "PasswordNeverExpires"}),
        "Standard User": (SALESFORCE, {"ApiEnabled"}),
        "Help Site Profile": ("Guest User License", set()),
        "Internal Owner": (SALESFORCE, {"ApiUserOnly"}),
        "Survey Integration": (INTEGRATION, {"ApiEnabled", "ApiUserOnly"}),
    }
    for user in cast.MACHINES:
        flags = {"ApiEnabled"} | ({"ApiUserOnly"} if _name(user) not in NOT_API_ONLY else set())
        found.setdefault(profile_of(user), (INTEGRATION, flags))
    return found


def profile_id(name: str) -> str:
    return sf_id18(sf_id15("00e", name))


def set_id(name: str) -> str:
    return sf_id18(sf_id15("0PS", name))


GROUP = sf_id18(sf_id15("0PG", "Ticket Work"))
# Name, label, type, group, permissions. A group's own set is what is left after muting.
SETS = [
    ("Case_Work", "Case Work", "Regular", "", {"ApiEnabled"}),
    ("Old_Migration", "Old Migration", "Regular", "", {"ApiEnabled", "ViewAllData", "ModifyAllData"}),
    ("HR_Extract", "HR Extract", "Regular", "", {"ApiEnabled"}),
    ("Read_Logs", "Read Logs", "Regular", "", {"ApiEnabled", "ViewEventLogFiles"}),
    ("API_Only", "API Only", "Regular", "", {"ApiUserOnly"}),
    ("Ticket_Admin", "Ticket Admin", "Regular", "", {"ApiEnabled", "ViewAllData"}),
    ("Ticket_Mute", "Ticket Mute", "Muting", GROUP, {"ViewAllData"}),
    ("Ticket_Work", "Ticket Work", "Group", GROUP, {"ApiEnabled"}),
]
# (user, set, group or "", expires or ""), first night; then what the second night has more.
ASSIGNED = [
    ("erp.sync", "Case_Work", "", ""),
    ("docs.archive", "Old_Migration", "", ""),
    ("hr.feed", "Case_Work", "", ""),
    ("dwh.export", "Old_Migration", "", "2025-12-15T00:00:00.000+0000"),
    ("log.reader", "Read_Logs", "", ""),
    ("tickets.sync", "Ticket_Work", GROUP, ""),
]
ASSIGNED_SECOND = [("hr.feed", "HR_Extract", "", ""), ("tickets.sync", "API_Only", "", "")]
RESET = ("survey.push", "2026-01-30T09:41:07")
# App, addresses, who may, refresh tokens, scopes, user-agent flow.
POLICIES = {
    "MktCloud Connector": ("RELAX_IP_RANGES", "false", "INFINITE", "api refresh_token"),
    "Survey Push": ("ENFORCE_IP_RANGES", "false", "INFINITE", "api refresh_token"),
}
GOOD_POLICY = ("ENFORCE_IP_RANGES", "true", "SPECIFIC_INACTIVITY", "api refresh_token")


def write(logs: Logs, out: Path) -> None:
    for night in NIGHTS:
        second = night == NIGHTS[1]
        for name, header, rows in (
            ("User", "Id,Username,IsActive,UserType,ProfileId,Profile.Name,Profile.UserLicense.Name,"
                     "CreatedDate,LastLoginDate,LastPasswordChangeDate", _users(logs, night)),
            ("UserLogin", "Id,UserId,IsFrozen,IsPasswordLocked", _states()),
            ("Profile", "Id,Name,UserType,UserLicense.Name," + _flag_names(), _profile_rows()),
            ("PermissionSet", "Id,Name,Label,Type,IsOwnedByProfile,ProfileId,PermissionSetGroupId,"
                              + _flag_names(), _set_rows()),
            ("PermissionSetAssignment", "Id,AssigneeId,PermissionSetId,PermissionSetGroupId,IsActive,"
                                        "ExpirationDate", _assigned(second)),
            ("PermissionSetLicenseAssign", "AssigneeId,PermissionSetLicense.DeveloperName", _licensed()),
            ("ConnectedApplication", "Id,Name,CreatedDate,OptionsAllowAdminApprovedUsersOnly,"
                                     "ipRelaxation,refreshTokenPolicy,scopes", _apps()),
            ("LoginIpRange", "ProfileId,Profile.Name,StartAddress,EndAddress", _ranges()),
        ):
            _save(out / f"{name}_{night}.csv", header, rows)
        _tokens(out / f"OauthToken_{night}.json", night)
        _audit_trail(logs, out / f"SetupAuditTrail_{night}.csv", moment.at(night) + moment.DAY)


def _audit_trail(logs: Logs, path: Path, end: int) -> None:
    """The last days' entries: each export repeats those of the one before."""
    _save(path, "Id,CreatedDate,CreatedById,CreatedBy.Username,Action,Section,Display,DelegateUser",
          ([sf_id18(sf_id15("0Ym", f"{action}{at}")), moment.soql(at), who.id18, who.username,
            action, section, display, ""]
           for at, who, action, section, display in sorted(logs.audit, key=lambda a: a[0]) if at < end))


def everybody() -> list[cast.User]:
    return [*cast.MACHINES, cast.BY_NAME["svc.backup"].user, cast.LEAD_OWNER, cast.CASE_OWNER,
            cast.AUTOPROC, cast.GUEST, *cast.ADMINS, *cast.HUMANS, cast.FORMER]


def _users(logs: Logs, night: str):
    end = moment.at(night) + moment.DAY
    for user in everybody():
        name, kind = _name(user), "Standard"
        profile = profile_of(user)
        last = max((s.at for s in logs.sessions.get(user.username, []) if s.at < end), default=0)
        changed = PASSWORDS.get(name, "" if user in cast.MACHINES else "2025-12-10T17:20:30")
        if (name, night) == (RESET[0], NIGHTS[1]):
            changed = RESET[1]
        if user == cast.LEAD_OWNER:
            changed = "2023-05-04T11:00:00"
        if user in (cast.CASE_OWNER, cast.AUTOPROC, cast.GUEST):
            changed = ""
        if user == cast.AUTOPROC:
            kind, profile = "AutomatedProcess", ""
        if user == cast.GUEST:
            kind = "Guest"
        licence = _profiles()[profile][0] if profile else ""
        yield [user.id18, user.username, _bool(user != cast.FORMER), kind,
               profile_id(profile) if profile else "", profile, licence,
               "2023-02-01T08:00:00.000+0000", moment.soql(last) if last else "",
               f"{changed}.000+0000" if changed else ""]


def _states():
    for user in everybody():
        yield [sf_id18(sf_id15("0Yw", user.username)), user.id18, "false", "false"]


def _flag_names() -> str:
    return ",".join(f"Permissions{flag}" for flag in FLAGS)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _profile_rows():
    for name, (licence, flags) in _profiles().items():
        kind = "Guest" if licence.startswith("Guest") else "Standard"
        yield [profile_id(name), name, kind, licence, *(_bool(f in flags) for f in FLAGS)]


def _set_rows():
    for name, label, kind, group, flags in SETS:
        yield [set_id(name), name, label, kind, "false", "", group, *(_bool(f in flags) for f in FLAGS)]
    for name, (_, flags) in _profiles().items():
        hidden = "X" + profile_id(name)
        yield [set_id(hidden), hidden, hidden, "Profile", "true", profile_id(name), "",
               *(_bool(f in flags) for f in FLAGS)]


def _assigned(second: bool):
    for name, permission_set, group, expires in ASSIGNED + (ASSIGNED_SECOND if second else []):
        user = cast.user(name)
        yield [sf_id18(sf_id15("0Pa", name + permission_set)), user.id18, set_id(permission_set), group,
               _bool(not expires), expires]


def _licensed():
    for user in cast.MACHINES:
        yield [user.id18, "SalesforceAPIIntegrationPsl"]


def _apps():
    for app in cast.APPS:
        if app.id15.startswith("0H4"):
            relaxation, approved, refresh, scopes = POLICIES.get(app.name, GOOD_POLICY)
            yield [app.id18, app.name, "2023-02-01T09:00:00.000+0000", approved, relaxation, refresh, scopes]


def _ranges():
    for name, ranges in RANGES.items():
        profile = profile_of(cast.BY_NAME[name].user)
        for start, end in ranges:
            yield [profile_id(profile), profile, start, end]
    yield [profile_id("Internal Owner"), "Internal Owner", "0.0.0.0", "0.0.0.0"]
    for profile in ("System Administrator", "Survey Integration"):
        yield [profile_id(profile), profile, "", ""]


def _tokens(path: Path, night: str) -> None:
    """As `sf data query --json` answers."""
    records = []
    for who in cast.INTEGRATIONS:
        if who.path == "oauth_refresh":
            records.append({
                "attributes": {"type": "OauthToken"}, "UserId": who.user.id18, "AppName": who.app.name,
                "UseCount": 4000 + len(who.user.username), "LastUsedDate": f"{night}T23:00:00.000+0000",
            })
    answer = {"status": 0, "result": {"records": records, "totalSize": len(records), "done": True}}
    path.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8", newline="\n")


def _save(path: Path, header: str, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    out.writerow(header.split(","))
    out.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="\n")
