#!/usr/bin/env python3
"""Writes a Login log as EventLogFile delivers it, of any size, from a seed.

    python3 benches/make_login_csv.py --out login.csv --bytes 1_000_000_000 --days 4

Every field is quoted, rows are in the order of time, about 300 users log in from a few addresses
each, and ids and keys are unique per row. With --reissue the same log is written a second time as
Salesforce issues a day again: every row of the first file, and one late row among each hundred.

Beside each file stands FILE.json with what a reader must find in it. Needs Python 3.11 and
nothing else; the same arguments and the same Python give the same bytes.
"""

import argparse
import base64
import itertools
import json
import math
import random
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from login_columns import header

USERS = 300
MACHINES = 30
BLOCK_ROWS = 20_000
# One row in so many is late: only the re-issued file has it.
LATE_EVERY = 101
LATE_AT = 50
# Values are drawn by 16 random bits from tables of this length.
SLOTS = 1 << 16
DAY_MS = 86_400_000

# Where a value differs from row to row, its place in a profile's text.
GAP = "\0"

PEOPLE = [
    "amber",
    "birch",
    "cedar",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heath",
    "iris",
    "juniper",
    "kelp",
    "linden",
    "maple",
]
NOUNS = [
    "finch",
    "heron",
    "kite",
    "lark",
    "merlin",
    "otter",
    "plover",
    "robin",
    "swift",
    "tern",
    "vole",
    "wren",
]
SYSTEMS = ["erp", "hr", "billing", "dwh", "tickets", "survey", "backup", "mailer", "docs", "loader"]

BROWSERS = [
    f"Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36"
    for platform in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7")
    for v in (129, 130, 131)
] + [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "SalesforceMobileSDK/12.1.1 iOS/18.1 (iPhone) Salesforce/252.0.0",
]
CLIENTS = ["Java/21.0.1", "python-requests/2.32.3", "Jakarta Commons-HttpClient/3.1", "Go/2.0", ""]
FAILURES = [
    ("LOGIN_ERROR_INVALID_PASSWORD", 70),
    ("LOGIN_ERROR_PASSWORD_LOCKOUT", 10),
    ("LOGIN_ERROR_RESTRICTED_DOMAIN", 10),
    ("LOGIN_ERROR_USER_INACTIVE", 5),
    ("LOGIN_CHALLENGE_ISSUED", 5),
]


@dataclass(frozen=True)
class Door:
    """How a way to log in is spelled."""

    login_type: str
    sub_type: str
    uri: str
    api_type: str = ""
    api_version: str = "9998.0"
    password_sent: str = ""
    has_session: bool = False


UI_PASSWORD = Door("A", "uiup", "/index.jsp")
UI_SSO = Door("8", "", "/index.jsp")
OAUTH_REFRESH = Door("i", "oauthrefreshtoken", "/services/oauth2/token")
MACHINE_DOORS = [
    Door("i", "", "/services/oauth2/token"),
    Door("i", "oauthclientcredential", "/services/oauth2/token"),
    Door("A", "oauthpassword", "/services/oauth2/token", password_sent="T"),
    Door("I", "", "Api", "P", "62.0", "T", has_session=True),
]


@dataclass(frozen=True)
class Profile:
    """All that stays the same when a user logs in this way again: the text around the gaps."""

    pieces: tuple[str, ...]
    has_session: bool


def id15(prefix: str, number: int) -> str:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    return prefix + digits.rjust(15 - len(prefix), "0")


def id18(short: str) -> str:
    """The form that is safe without case: three letters that say which characters are upper."""
    suffix = ""
    for part in (short[0:5], short[5:10], short[10:15]):
        upper = sum(1 << n for n, character in enumerate(part) if "A" <= character <= "Z")
        suffix += "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[upper]
    return short + suffix


def addresses(rng: random.Random, machine: bool) -> list[str]:
    """A user's addresses, the usual one first; all from ranges reserved for documentation."""
    networks = ("198.51.100",) if machine else ("192.0.2", "198.51.100", "203.0.113")
    found = [
        f"{rng.choice(networks)}.{rng.randint(1, 254)}"
        for _ in range(rng.randint(1, 2 if machine else 4))
    ]
    if rng.random() < 0.15:
        found.append(f"2001:db8:{rng.randint(1, 0xFFF):x}::{rng.randint(1, 0xFFFF):x}")
    return found


def profiles_of(rng: random.Random, number: int) -> list[tuple[Profile, float]]:
    """The ways in which one user logs in, with how often each is taken."""
    machine = number < MACHINES
    user_id = id15("0055e00000", 3_500_000 + number * 977)
    if machine:
        name = f"svc.{SYSTEMS[number % len(SYSTEMS)]}{number}@example.com"
        doors = [(rng.choice(MACHINE_DOORS), 1.0)]
        clients = [rng.choice(CLIENTS)]
    else:
        name = f"{rng.choice(PEOPLE)}.{rng.choice(NOUNS)}{number}@example.com"
        doors = [(rng.choice([UI_PASSWORD, UI_SSO]), 1.0), (OAUTH_REFRESH, 0.4)]
        clients = rng.sample(BROWSERS, 2)
    # A few users make most of the traffic, and machines more than people.
    busy = (12.0 if machine else 1.0) / (1 + rng.random() * number)
    found = []
    for place, address in enumerate(addresses(rng, machine)):
        for (door, door_share), client in itertools.product(doors, clients):
            share = busy * door_share / (1 + 3 * place)
            cells = {
                "EVENT_TYPE": "Login",
                "ORGANIZATION_ID": "00D5e000000AcmE",
                "USER_ID": user_id,
                "URI": door.uri,
                "USER_TYPE": "Standard",
                "LOGIN_TYPE": door.login_type,
                "BROWSER_TYPE": client,
                "API_TYPE": door.api_type,
                "API_VERSION": door.api_version,
                "USER_NAME": name,
                "TLS_PROTOCOL": "TLSv1.3" if rng.random() < 0.8 else "TLSv1.2",
                "CIPHER_SUITE": rng.choice(
                    ["TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"]
                ),
                "USE_API_TOKEN": door.password_sent,
                "HTTP_REFERER": "https-//acme-my-example-com/" if door is UI_PASSWORD else "",
                "LOGIN_URL": "acme.my.example.com",
                "COUNTRY_CODE": rng.choice(["US", "US", "US", "DE", "GB"]),
                "AUTHENTICATION_METHOD_REFERENCE": "pwd;mfa" if door is UI_SSO else "",
                "LOGIN_SUB_TYPE": door.sub_type,
                "AUTHENTICATION_SERVICE_ID": "0LE5e0000008OIA" if door is UI_SSO else "",
                "USER_ID_DERIVED": id18(user_id),
                "CLIENT_IP": "Salesforce.com IP" if rng.random() < 0.1 else address,
                "LOGIN_STATUS": "LOGIN_NO_ERROR",
                "SOURCE_IP": address,
                "FORWARDED_FOR_IP": f"{address}, 203.0.113.9" if door.password_sent else "",
            }
            found.append((profile(cells, door), share))
            for status, weight in FAILURES:
                failed = cells | {"LOGIN_STATUS": status, "REQUEST_STATUS": "F"}
                found.append((profile(failed, door), share * 0.025 * weight / 100))
    return found


def profile(cells: dict[str, str], door: Door) -> Profile:
    gaps = [
        "TIMESTAMP",
        "REQUEST_ID",
        "RUN_TIME",
        "CPU_TIME",
        "SESSION_KEY",
        "LOGIN_KEY",
        "DB_TOTAL_TIME",
        "TIMESTAMP_DERIVED",
    ]
    cells = dict.fromkeys(gaps, GAP) | {"URI_ID_DERIVED": ""} | cells
    row = ",".join(f'"{cells.get(heading, "")}"' for heading in header())
    return Profile(tuple((row + "\n").split(GAP)), door.has_session)


@dataclass
class Account:
    """What a file holds."""

    rows: int = 0
    run_time_sum: int = 0
    first_ms: int = 0
    last_ms: int = 0
    bytes: int = 0


@dataclass
class Target:
    """A file being written, with the account of it."""

    path: Path
    late_rows: bool
    account: Account = field(default_factory=Account)

    def __post_init__(self) -> None:
        self.manifest = self.path.with_name(self.path.name + ".json")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A file without its account is not finished.
        self.manifest.unlink(missing_ok=True)
        self.file = self.path.open("wb")
        self._put(",".join(f'"{heading}"' for heading in header()) + "\n")

    def _put(self, text: str) -> None:
        self.account.bytes += self.file.write(text.encode("ascii"))

    def write(self, first: int, rows: list[str], run_times: list[int], times: list[int]) -> None:
        if not self.late_rows:
            late = slice((LATE_AT - first) % LATE_EVERY, None, LATE_EVERY)
            rows, run_times, times = rows[:], run_times[:], times[:]
            del rows[late], run_times[late], times[late]
        self._put("".join(rows))
        account = self.account
        account.first_ms = account.first_ms if account.rows else times[0]
        account.last_ms = times[-1]
        account.rows += len(rows)
        account.run_time_sum += sum(run_times)

    def finish(self, arguments: dict[str, object]) -> None:
        self.file.close()
        text = json.dumps({"arguments": arguments} | asdict(self.account), indent=1)
        self.manifest.write_text(text + "\n", encoding="utf-8")


class Log:
    """The rows of a log, block by block."""

    def __init__(self, seed: int, start: date, days: int) -> None:
        self.rng = rng = random.Random(seed)
        ways = [way for number in range(USERS) for way in profiles_of(rng, number)]
        self.profiles = rng.choices(
            [profile for profile, _ in ways], [share for _, share in ways], k=SLOTS
        )
        self.run_times = self.skewed(160)
        self.cpu_times = self.skewed(45)
        self.db_times = self.skewed(21_000_000)
        self.start_ms = (
            int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000
        )
        self.span_ms = days * DAY_MS

    def skewed(self, median: int) -> list[int]:
        return [int(self.rng.lognormvariate(math.log(median), 0.7)) for _ in range(SLOTS)]

    def draws(self, count: int) -> array:
        numbers = array("H", self.rng.randbytes(2 * count))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    def block(self, first: int, count: int, total: int) -> tuple[list[str], list[int], list[int]]:
        """Rows `first..first + count` of `total`, with the RUN_TIME and the time of each."""
        # 54 characters a row: 22 of REQUEST_ID without its leading 4, 16 each of the two keys.
        tokens = base64.b64encode(self.rng.randbytes(54 * count * 3 // 4 + 3)).decode("ascii")
        run_times = list(map(self.run_times.__getitem__, self.draws(count)))
        cpu_times = map(self.cpu_times.__getitem__, self.draws(count))
        db_times = map(self.db_times.__getitem__, self.draws(count))
        profiles = map(self.profiles.__getitem__, self.draws(count))
        step = max(1, self.span_ms // total)
        times = [
            self.start_ms + (first + n) * self.span_ms // total + jitter % step
            for n, jitter in enumerate(self.draws(count))
        ]
        rows = []
        now, compact, derived, at = -1, "", "", 0
        for ms, run, cpu, db, way in zip(
            times, run_times, cpu_times, db_times, profiles, strict=True
        ):
            second, fraction = divmod(ms, 1000)
            if second != now:
                now, clock = second, time.gmtime(second)
                compact = time.strftime("%Y%m%d%H%M%S", clock)
                derived = time.strftime("%Y-%m-%dT%H:%M:%S", clock)
            a, b, c, d, e, f, g, h, i = way.pieces
            session = tokens[at + 38 : at + 54] if way.has_session else ""
            rows.append(
                f"{a}{compact}.{fraction:03}{b}4{tokens[at : at + 21]}{c}{run}{d}{cpu}{e}{session}{f}"
                f"{tokens[at + 21 : at + 37]}{g}{db}{h}{derived}.{fraction:03}Z{i}"
            )
            at += 54
        return rows, run_times, times


def generate(targets: list[Target], size: int, seed: int, start: date, days: int) -> None:
    sample, _, _ = Log(seed, start, days).block(0, BLOCK_ROWS, BLOCK_ROWS)
    wanted = max(1, round(size / (sum(map(len, sample)) / BLOCK_ROWS)))
    total = wanted * LATE_EVERY // (LATE_EVERY - 1)
    log = Log(seed, start, days)
    for first in range(0, total, BLOCK_ROWS):
        block = log.block(first, min(BLOCK_ROWS, total - first), total)
        for target in targets:
            target.write(first, *block)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="its size, about")
    parser.add_argument("--days", type=int, default=4, help="UTC days that it covers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--start", type=date.fromisoformat, default=date(2026, 1, 5), help="first day"
    )
    parser.add_argument("--reissue", type=Path, help="write the log issued again to this file, too")
    args = parser.parse_args()
    if args.bytes < 1 or args.days < 1:
        parser.error("--bytes and --days must be at least 1")
    targets = [Target(args.out, late_rows=False)]
    if args.reissue:
        targets.append(Target(args.reissue, late_rows=True))
    generate(targets, args.bytes, args.seed, args.start, args.days)
    arguments = {name: str(getattr(args, name)) for name in ("bytes", "days", "seed", "start")}
    for target in targets:
        target.finish(arguments)
        account = target.account
        print(f"{target.path}: {account.rows:,} rows, {account.bytes:,} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
