"""Asks DuckDB the questions of tests/sqllogic, of the raw CSV files of an org's logs.

Usage: sqllogic_with_duckdb.py [--write] LOGS_FOLDER FILE.slt …
Prints a JSON object: how many queries there are by file, and where DuckDB's answer differs from the one in
the file. With --write the answers in the files become DuckDB's.

DuckDB reads the CSVs by itself. What is done to them here is what the catalogue does: empty cells are
NULL, times are UTC, numbers are numbers, ids have 18 characters, an address is its canonical text, and a
row counts once however many files it is in."""

import csv
import datetime
import gzip
import ipaddress
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path

import duckdb

INTEGERS = set(
    "run_time cpu_time db_total_time db_blocks db_cpu_time rows_processed request_size response_size number_fields "
    "records_processed records_failed row_count duration effective_page_time status_code "
    "number_columns session_level".split()
)
FLAGS = ["counts_against_api_limit"]
# Raw headings that are kept as they are, by table; times and users are taken care of below.
TABLES = {
    "elf_login": ("Login", "run_time cpu_time db_total_time login_type browser_type api_type api_version "
                  "tls_protocol cipher_suite login_url country_code login_sub_type login_status request_status "
                  "user_name user_type request_id"),
    "elf_logout": ("Logout", "user_type session_type session_level api_type api_version user_initiated_logout "
                   "request_id"),
    "elf_api": ("API", "run_time cpu_time request_status api_type api_version client_name method_name entity_name "
                "rows_processed request_size response_size request_id"),
    "elf_api_total_usage": ("ApiTotalUsage", "api_family api_version client_name http_method entity_name "
                            "counts_against_api_limit status_code connected_app_name connected_app_id user_name "
                            "api_client_category request_id"),
    "elf_rest_api": ("RestApi", "run_time cpu_time request_status method media_type status_code user_agent "
                     "rows_processed request_size response_size entity_name request_id"),
    "elf_bulk_api2": ("BulkApi2", "run_time job_id operation_type entity_type job_status records_processed "
                      "records_failed request_id"),
    "elf_uri": ("URI", "run_time cpu_time db_blocks request_status request_id"),
    "elf_lightning_page_view": ("LightningPageView", "app_name os_name browser_name browser_version duration "
                                "effective_page_time page_entity_type page_context request_id"),
}
SALESFORCE = ("Salesforce.com IP", "Internal IP")


def id18(text):
    """An id of 15 characters with the three that say which of them are capitals."""
    if text is None or len(text) != 15:
        return text
    ends = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (text[n : n + 5] for n in (0, 5, 10))
    return text + "".join(ends[sum(c.isupper() << at for at, c in enumerate(part))] for part in parts)


def address(text):
    try:
        found = ipaddress.ip_address(text.strip())
    except (ValueError, AttributeError):
        return None
    # The same host, whichever way it is written.
    return getattr(found, "ipv4_mapped", None) or found


def number(ip):
    """Addresses as numbers that compare, version 4 within version 6."""
    return int(ip) + (0xFFFF << 32 if ip.version == 4 else 0)


def quoted(names):
    return ", ".join(f"'{name}'" for name in names)


class Logs:
    def __init__(self, folder, queries):
        self.con = duckdb.connect()
        self.con.execute("SET TimeZone = 'UTC'; SET threads = 2; SET integer_division = true")
        self.unpacked = tempfile.TemporaryDirectory()
        for archive in folder.glob("**/*.zip"):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(self.unpacked.name)
        self.folders = [folder / "eventlogfile", folder / "eventlogfile" / "hourly", Path(self.unpacked.name)]
        for table, (event, columns) in TABLES.items():
            self.event_log(table, event, columns.split())
        self.login_history(folder / "loginhistory")
        self.addresses(queries)

    def read(self, files):
        """A table expression over files whose headings may differ, and the headings of all."""
        by_heading = {}
        for file in files:
            with gzip.open(file, "rt") if file.endswith(".gz") else open(file) as text:
                by_heading.setdefault(tuple(next(csv.reader(text))), []).append(file)
        parts = []
        for headings, same in by_heading.items():
            columns = ", ".join(f"'{name}': 'VARCHAR'" for name in headings)
            parts.append(
                f"SELECT * FROM read_csv([{quoted(same)}], delim = ',', quote = '\"', escape = '\"', header = true, "
                f"columns = {{{columns}}}, auto_detect = false, filename = true, ignore_errors = true)"
            )
        return f"({' UNION ALL BY NAME '.join(parts)})", {name for headings in by_heading for name in headings}

    def event_log(self, table, event, columns):
        files = sorted(
            str(f) for folder in self.folders for f in folder.glob(f"{event}_*.csv*") if re.fullmatch(
                rf"{event}_\d{{4}}-\d\d-\d\d(T\d\d)?(_reissued)?\.csv(\.gz)?", f.name)
        )
        raw, headings = self.read(files)
        sources = [name for name in ("CLIENT_IP", "SOURCE_IP") if name in headings]
        user = "USER_ID_DERIVED" if "USER_ID_DERIVED" in headings else "USER_ID"
        kept = [name.upper() for name in columns]
        wanted = ", ".join(f'nullif("{name}", \'\') AS "{name.lower()}"' for name in kept + sources)
        # A row of several files is one row; rows that are equal within one file are several.
        self.con.execute(
            f"CREATE TABLE raw_{table} AS SELECT * EXCLUDE (n, copies) FROM (SELECT *, unnest(range(n)) AS copies FROM ("
            f"SELECT * EXCLUDE (filename, n), max(n) AS n FROM (SELECT *, count(*) AS n FROM ("
            f"SELECT TIMESTAMP_DERIVED AS moment, nullif({user}, '') AS user_id, filename, {wanted} FROM {raw} "
            # Where quotes are broken DuckDB still reads some rows, with cells in the wrong columns.
            f"WHERE USER_ID NOT NULL AND starts_with(TIMESTAMP_DERIVED, '20')"
            f") GROUP BY ALL) GROUP BY ALL))"
        )
        self.normalise(table, columns, [name.lower() for name in sources], "CAST(moment AS TIMESTAMPTZ)")

    def login_history(self, folder):
        names = ("LoginType", "LoginSubType", "Status", "Application", "Browser", "Platform", "ClientVersion", "ApiType", "ApiVersion", "TlsProtocol", "CipherSuite", "CountryIso")
        setup = ("Login Type", "Login Subtype", "Status", "Application", "Browser", "Platform", "Client Version", "API Type", "API Version", "TLS Protocol", "TLS Cipher Suite")
        exports = sorted(str(f) for f in folder.glob("LoginHistory_2*.csv"))
        wanted = ", ".join(f'nullif("{name}", \'\') AS {name.lower()}' for name in names)
        paged = ", ".join(
            f'nullif("{theirs}", \'\') AS {ours.lower()}' for theirs, ours in zip(setup, names)
        )
        self.con.execute(
            f"CREATE TABLE raw_login_history AS SELECT CAST(LoginTime AS TIMESTAMPTZ) AS moment, nullif(UserId, '') AS user_id, "
            f"NULL::VARCHAR AS username, nullif(SourceIp, '') AS sourceip, {wanted} "
            f"FROM read_csv([{quoted(exports)}], header = true, all_varchar = true) UNION ALL BY NAME "
            f"SELECT strptime(regexp_replace(\"Login Time\", ' P[SD]T$', ''), '%-m/%-d/%Y, %-I:%M:%S %p') "
            f"AT TIME ZONE 'America/Los_Angeles' AS moment, NULL::VARCHAR AS user_id, \"Username\" AS username, "
            f"nullif(\"Source IP\", '') AS sourceip, {paged}, NULL::VARCHAR AS countryiso "
            f"FROM read_csv('{folder / 'LoginHistory_setup_page.csv'}', header = true, all_varchar = true)"
        )
        self.normalise("login_history", ["username"] + [name.lower() for name in names], ["sourceip"], "moment")

    def normalise(self, table, columns, sources, at):
        """The table as the lake has it, made of `raw_TABLE`."""
        ids = self.con.execute(f"SELECT DISTINCT user_id FROM raw_{table} WHERE user_id IS NOT NULL").fetchall()
        self.pairs("user_ids", [(text, id18(text)) for (text,) in ids], "raw VARCHAR, id VARCHAR")
        cells = {None}
        for source in sources:
            cells |= {text for (text,) in self.con.execute(f"SELECT DISTINCT {source} FROM raw_{table}").fetchall()}
        known = [(text, str(address(text))) for text in cells if address(text)]
        self.pairs("known_ips", known, "raw VARCHAR, ip VARCHAR")
        kinds = dict.fromkeys(INTEGERS, "BIGINT") | dict.fromkeys(FLAGS, "BOOLEAN")
        typed = ", ".join(f"CAST({c} AS {kinds.get(c, 'VARCHAR')}) AS {c}" for c in columns)
        ips = [f"(SELECT ip FROM known_ips WHERE raw = {source})" for source in reversed(sources)]
        self.con.execute(
            f"CREATE TABLE {table} AS SELECT {at} AS occurred_at, "
            f"coalesce((SELECT id FROM user_ids WHERE raw = user_id), user_id) AS user_id, "
            f"coalesce({', '.join(ips)}, NULL) AS ip, CAST({at} AS DATE) AS day, {typed} FROM raw_{table}"
        )

    def pairs(self, name, rows, columns):
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
        if rows:
            self.con.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)

    def addresses(self, queries):
        """Our functions of addresses, by Python's own module and not by our code."""
        union = " UNION ".join(f"SELECT ip FROM {table}" for table in [*TABLES, "login_history"])
        ips = [ip for (ip,) in self.con.execute(union).fetchall() if ip]
        literals = {t for query in queries for t in re.findall(r"'([^']*)'", query.sql)}
        ips = sorted({str(a) for a in map(address, [*ips, *literals]) if a})
        self.con.execute("CREATE TABLE ips (known_ip VARCHAR, n UHUGEINT, network VARCHAR)")
        for ip in ips:
            a = ipaddress.ip_address(ip)
            network = ipaddress.ip_network((ip, 24 if a.version == 4 else 48), strict=False)
            self.con.execute("INSERT INTO ips VALUES (?, CAST(? AS UHUGEINT), ?)", [ip, str(number(a)), str(network)])
        self.con.execute("CREATE TABLE networks (cidr VARCHAR, first UHUGEINT, last UHUGEINT)")
        for cidr in sorted(literals):
            if "/" in cidr:
                try:
                    net = ipaddress.ip_network(cidr)
                except ValueError:
                    continue
                ends = [str(number(net[0])), str(number(net[-1]))]
                self.con.execute("INSERT INTO networks VALUES (?, CAST(? AS UHUGEINT), CAST(? AS UHUGEINT))", [cidr, *ends])
        self.con.execute(
            "CREATE MACRO ip_number(x) AS (SELECT n FROM ips WHERE known_ip = x);"
            "CREATE MACRO ip_in(x, c) AS (SELECT first <= ip_number(x) AND ip_number(x) <= last FROM networks WHERE cidr = c);"
            "CREATE MACRO network_of(x) AS (SELECT network FROM ips WHERE known_ip = x);"
            "CREATE MACRO ip_key(x) AS ip_number(x);"
            "CREATE MACRO sf_id18(x) AS x;"
            "CREATE MACRO date_bin(step, moment, origin) AS time_bucket(step, moment, origin)"
        )


class Query:
    """One record of a file: `query TYPES [SORT]`, the SQL, `----`, the answer."""

    def __init__(self, head, sql, answer):
        self.head, self.sql, self.answer = head, sql, answer
        words = head.split()
        self.sort = words[2] if len(words) > 2 else "nosort"


def records(text):
    """Comments and blank lines as they are, queries as `Query`."""
    lines, found = text.splitlines(), []
    at = 0
    while at < len(lines):
        if not lines[at].startswith("query "):
            found.append(lines[at])
            at += 1
            continue
        head, sql, answer = lines[at], [], []
        at += 1
        while lines[at] != "----":
            sql.append(lines[at])
            at += 1
        at += 1
        while at < len(lines) and lines[at]:
            answer.append(lines[at])
            at += 1
        found.append(Query(head, "\n".join(sql), answer))
    return found


def cell(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    return str(value) or "(empty)"


def normal(line):
    return " ".join(line.split())


def answer(con, query):
    types = [kind for (_, kind, *_) in con.execute(f"DESCRIBE {query.sql}").fetchall()]
    # Times as text: Python's form of them needs one more package.
    shown = [
        f"strftime(#{n} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')" if kind == "TIMESTAMP WITH TIME ZONE" else f"#{n}"
        for n, kind in enumerate(types, 1)
    ]
    found = con.execute(f"SELECT {', '.join(shown)} FROM ({query.sql})").fetchall()
    rows = [[cell(value) for value in row] for row in found]
    if query.sort == "rowsort":
        rows.sort()
    return [normal(" ".join(row)) for row in rows]


def main(arguments):
    write = "--write" in arguments
    folder, *files = [Path(a) for a in arguments if a != "--write"]
    read = {file: records(file.read_text()) for file in files}
    queries = [record for found in read.values() for record in found if isinstance(record, Query)]
    logs = Logs(folder, queries)
    counts, differences = {}, []
    for file, found in read.items():
        counts[file.name] = 0
        for query in (record for record in found if isinstance(record, Query)):
            counts[file.name] += 1
            try:
                theirs = answer(logs.con, query)
            except duckdb.Error as error:
                theirs = [f"error: {error}"]
            if theirs != [normal(line) for line in query.answer]:
                differences.append({"file": file.name, "sql": query.sql, "duckdb": theirs[:20], "file_has": query.answer[:20]})
                query.answer = theirs
        if write:
            lines = [r if isinstance(r, str) else "\n".join([r.head, r.sql, "----", *r.answer]) for r in found]
            file.write_text("\n".join(lines) + "\n")
    print(json.dumps({"queries": counts, "differences": differences}))


main(sys.argv[1:])
