"""The files beside the logs: registry, config, the story, and what a correct run must find."""

from pathlib import Path

from . import cast, incidents, lookalikes, moment, roster

NETWORKS = {
    "erp.sync": ["198.51.100.0/28"],
    "mkt.cloud": ["203.0.113.0/26"],
    "dwh.export": ["198.51.100.16/28"],
    "legacy.soap": ["198.51.100.32/28"],
    "billing.eca": ["203.0.113.64/27", "2001:db8:20::/48"],
    "bulk.loader": ["198.51.100.80/28"],
    "hr.feed": ["198.51.100.96/28"],
    "tickets.sync": ["203.0.113.96/28"],
    "docs.archive": ["203.0.113.112/28"],
    "ci.deploy": ["198.51.100.116/30"],
    "log.reader": ["198.51.100.120/30"],
}
FLOWS = {"tickets.sync": ["oauth_refresh", "oauth_web_server"]}
# More of what an entry says.
MORE = {
    "billing.eca": "mtls = true\n",
    "bulk.loader": 'tools = ["Data Loader"]\ncadence = "daily"\n',
    "dwh.export": 'cadence = "daily"\n',
    "hr.feed": 'max_silence = "13h"\n',
    "log.reader": 'cadence = "daily"\nreview = 2026-06-30\n',
    "survey.push": "review = 2026-01-15\n",
}
OWNERS = {"tickets.sync": cast.FORMER.username}
CHANGE_AT = "2026-01-12T00:00:00Z"


def write(out: Path) -> None:
    for name, text in (("registry.toml", registry()), ("orgwatch.toml", CONFIG),
                       ("STORY.md", story()), ("expected.csv", expected())):
        out.joinpath(name).write_text(text, encoding="utf-8", newline="\n")


def _strings(values: list[str]) -> str:
    return "[" + ", ".join(f'"{v}"' for v in values) + "]"


def _entry(who: cast.Integration, networks: list[str], extra: str = "") -> str:
    name = who.user.username.split("@")[0]
    lines = ["[[user]]", f'username = "{who.user.username}"', f'role = "{who.user.role}"',
             f'system = "{who.app.name if who.app else "Price list (SOAP)"}"',
             f'owner = "{OWNERS.get(name, name.split(".")[0] + "-team@example.com")}"']
    if networks:
        lines.append(f"networks = {_strings(networks)}")
    if who.app:
        lines.append(f'apps = [{{ name = "{who.app.name}", id = "{who.app.id18}" }}]')
    lines.append(f"flows = {_strings(FLOWS.get(name, [who.path]))}")
    return "\n".join(lines) + "\n" + MORE.get(name, "") + extra


def registry() -> str:
    parts = [REGISTRY_HEAD]
    for who in cast.INTEGRATIONS:
        name = who.user.username.split("@")[0]
        if who.user.role == "unregistered":
            continue
        if name == "ipaas.hub":
            parts.append(_entry(who, ["198.51.100.48/28"], f"valid_to = {CHANGE_AT}\n"))
            parts.append(_entry(who, ["198.51.100.64/28"],
                                f'valid_from = {CHANGE_AT}\nticket = "CHG-61"\n'))
        elif name == "legacy.soap":
            parts.append("# SOAP login() retires; until then this debt is accepted.\n" + _entry(
                who, NETWORKS[name], 'valid_to = 2027-05-01T00:00:00Z\nticket = "DEBT-12"\n'))
        else:
            parts.append(_entry(who, NETWORKS.get(name, [])))
    for person in (cast.LEAD_OWNER, cast.CASE_OWNER, cast.GUEST, *cast.ADMINS):
        parts.append(f'[[user]]\nusername = "{person.username}"\nrole = "{person.role}"\n'
                     'owner = "platform-team@example.com"\n')
    for app in cast.APPS:
        parts.append(f'[[app]]\nname = "{app.name}"\nid = "{app.id18}"\nvendor = "{app.vendor}"\n'
                     f'grant = "{app.grant}"\n')
    return "\n".join(parts + [WINDOW])


def expected() -> str:
    rows = ["rule_id,username,day,severity"]
    for incident in incidents.INCIDENTS:
        for rule, name, day, severity in incident.expected:
            told = severity.removesuffix(", raised")
            rows.append(f"{rule},{name + '@example.com' if name else ''},{day},{told}")
    return "\n".join(rows) + "\n"


def story() -> str:
    lines = [STORY_HEAD]
    for incident in sorted(incidents.INCIDENTS, key=lambda i: i.day):
        raises = "; ".join(f"`{r}` {s}" + (f" ({n})" if n and n != incident.who else "")
                           for r, n, _, s in incident.expected)
        lines.append(f"| {incident.day} | {incident.who} | {incident.story} | {raises} |")
    lines += ["", LOOKALIKE_HEAD]
    lines += [f"| {day} | {who} | {text} |" for day, who, text in sorted(lookalikes.STORY)]
    return "\n".join(lines) + "\n" + STORY_TAIL


REGISTRY_HEAD = """\
# What the Acme Example Org declares about its machine users. svc.backup@example.com is missing on
# purpose, and people are not listed: what has no entry is judged by what the logs say.

[org]
base_profiles = [
    """ + ",\n    ".join(f'"{roster.BASE} {n}"' for n in roster.RANGES) + """,
]
log_readers = ["log.reader@example.com"]
"""
WINDOW = """\
[[window]]
kind = "consent"
user = "tickets.sync@example.com"
from = 2026-01-14T17:00:00Z
to = 2026-01-14T18:00:00Z
networks = ["203.0.113.96/28"]
ticket = "CHG-77"

[[window]]
kind = "maintenance"
user = "tickets.sync@example.com"
from = 2026-01-29T08:00:00Z
to = 2026-01-30T20:00:00Z
ticket = "CHG-80"
"""
CONFIG = f"""\
# The sample org. Everything is relative to this file; nothing leaves the `out` folder.
#   orgwatch run --config sample-data/orgwatch.toml --now 2026-01-31T03:00:00Z
[org]
name = "{cast.ORG_NAME}"
id = "{cast.ORG_ID}"
timezone = "America/Los_Angeles"    # of the people who export the Setup page's Login History

[store]
data_dir = "out"

[inputs]
paths = ["logs"]

[registry]
file = "registry.toml"

[detect]
lookback_days = 40                  # one run looks at all 35 nights

[alert.email]
transport = "file"                  # .eml files in out/outbox; "smtp" and "sendmail" mail them
from = "orgwatch@example.com"
to = ["security@example.com"]

[limits]
quarantine_ratio = 0.10             # the file with the planted broken rows stays below it
"""
STORY_HEAD = f"""\
# The story of the sample data

One synthetic org, {cast.ORG_NAME}, for {len(moment.DAYS)} nights from {moment.FIRST_DAY} to \
{moment.LAST_DAY} (UTC).
Nobody in it exists. Every address is from a range reserved for documentation: machines and offices in
198.51.100.0/24, 203.0.113.0/24 and 2001:db8::/32, attackers in 192.0.2.0/24
(and once 2001:db8:bad::1). `generate.py` writes all of it from one seed; `generate.py --check`
proves that the committed files are what it writes.

Users are written here without their `@example.com`; days are UTC.

## Planted incidents

These, and no others, are findings at high or above. `expected.csv` says the same for programs:
one line for each finding, `day` empty for a standing condition. *Raised*: the rule alone says high,
and another rule found the same account within 24 hours.

| Day | User | What happens | Findings |
|---|---|---|---|"""
LOOKALIKE_HEAD = """\
## Look-alikes that must stay quiet

Nothing at high or above may come of these.

| Day | User | What happens |
|---|---|---|"""
STORY_TAIL = f"""
## How the files arrive

- `logs/eventlogfile/`: daily files by event type. December is one zip, older large files are gzipped,
  the rest are plain CSV.
- `hourly/`: the same events once more for Login on 5 and 27 January and ApiTotalUsage on 5 January;
  Login of 15 January as one concatenated file.
- Login of 7 January was issued twice; the first issue ends at 21:00 and is contained in the second.
- Login of 13 January lacks the events after 22:00: they came late, in the file of 14 January.
- ApiTotalUsage has one more column, API_CLIENT_CATEGORY, from 19 January on.
- The Login file of 22 January holds eight rows that cannot be read.
- `logs/loginhistory/`: two SOQL exports and one CSV of the Setup page in Los Angeles local time (9 to
  19 January there). They overlap on the 9th to 12th and 18th to 20th; the 13th to 17th is in the
  Setup page's CSV alone.
- `logs/roster/`: what the org says of itself after the nights of 29 and 30 January, with the Setup
  Audit Trail; `OauthToken` as `sf data query --json` answers, the rest as CSV.
"""
