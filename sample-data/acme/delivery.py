"""Packs the rows into files as a downloader would leave them: daily and hourly files, one late
file, one daily file issued twice, archives, and LoginHistory in two spellings."""

import csv
import gzip
import io
import zipfile
from pathlib import Path

from . import headers, incidents, moment, roster
from .moment import HOUR
from .records import Logs, Raw

ZIPPED_MONTH = "2025-12"
GZIPPED_UNTIL = {"RestApi": "2026-01-18", "ApiTotalUsage": "2026-01-08", "LightningPageView": "2026-01-12"}
NEWER_API_TOTAL_USAGE = "2026-01-19"
HOURLY = {("Login", "2026-01-05"), ("ApiTotalUsage", "2026-01-05"), ("Login", "2026-01-27")}
CONCATENATED = ("Login", "2026-01-15")
REISSUED, FIRST_ISSUE_ENDS = ("Login", "2026-01-07"), 21
LATE, LATE_FROM, LATE_ARRIVES = ("Login", "2026-01-13"), 22, ("Login", "2026-01-14")
# LoginHistory: days of each export; the Setup page alone covers 13 to 17 January.
SOQL_EXPORTS = (("2025-12-27", "2026-01-12"), ("2026-01-18", "2026-01-30"))
SETUP_PAGE_DAYS = ("2026-01-09", "2026-01-19")

Rows = list[tuple[int, int, dict]]


def write(logs: Logs, out: Path) -> None:
    elf, archive = out / "logs" / "eventlogfile", {}
    for event_type, rows in sorted(logs.rows.items()):
        days = _by_day(rows)
        for day, issue in _issues(event_type, days):
            name = f"{event_type}_{day}{issue}.csv"
            data = elf_csv(event_type, day, _rows_of(event_type, day, issue, days))
            if day.startswith(ZIPPED_MONTH):
                archive[name] = data
            elif day <= GZIPPED_UNTIL.get(event_type, ""):
                _save(elf / f"{name}.gz", gzipped(data))
            else:
                _save(elf / name, data)
        _hourly(elf, event_type, days)
    _save(elf / f"EventLogFile_{ZIPPED_MONTH}.zip", zipped(archive))
    _login_history(logs, out / "logs" / "loginhistory")
    roster.write(logs, out / "logs" / "roster")


def _by_day(rows: Rows) -> dict[str, Rows]:
    days: dict[str, Rows] = {}
    for row in sorted(rows, key=lambda r: r[:2]):
        days.setdefault(moment.day_of(row[0]), []).append(row)
    return days


def _issues(event_type: str, days: dict[str, Rows]):
    for day in days:
        if (event_type, day) != incidents.MISSING_FILE:
            yield day, ""
        if (event_type, day) == REISSUED:
            yield day, "_reissued"


def _rows_of(event_type: str, day: str, issue: str, days: dict[str, Rows]) -> Rows:
    rows = days[day]
    if (event_type, day) == REISSUED and not issue:
        return [r for r in rows if moment.hour_of(r[0]) < FIRST_ISSUE_ENDS]
    if (event_type, day) == LATE:
        return [r for r in rows if moment.hour_of(r[0]) < LATE_FROM]
    if (event_type, day) == LATE_ARRIVES:
        return [r for r in days[LATE[1]] if moment.hour_of(r[0]) >= LATE_FROM] + rows
    return rows


def _hourly(folder: Path, event_type: str, days: dict[str, Rows]) -> None:
    for day in days:
        hours: dict[int, Rows] = {}
        for row in days[day]:
            hours.setdefault(moment.hour_of(row[0]), []).append(row)
        if (event_type, day) in HOURLY:
            for hour, rows in hours.items():
                _save(folder / "hourly" / f"{event_type}_{day}T{hour:02d}.csv",
                      elf_csv(event_type, day, rows))
        if (event_type, day) == CONCATENATED:
            _save(folder / "hourly" / f"{event_type}_{day}_all_hours.csv",
                  b"".join(elf_csv(event_type, day, rows) for rows in hours.values()))


def elf_csv(event_type: str, day: str, rows: Rows) -> bytes:
    """Every field quoted, LF. A `Raw` cell is written as it is."""
    columns = headers.ELF[event_type]
    if event_type == "ApiTotalUsage" and day >= NEWER_API_TOTAL_USAGE:
        columns = headers.API_TOTAL_USAGE_NEWER
    lines = [",".join(f'"{c}"' for c in columns)]
    lines += [",".join(_quoted(row.get(c, "")) for c in columns) for _, _, row in rows]
    return ("\n".join(lines) + "\n").encode()


def _quoted(cell: str) -> str:
    return str(cell) if isinstance(cell, Raw) else '"' + cell.replace('"', '""') + '"'


def _login_history(logs: Logs, folder: Path) -> None:
    rows = sorted(logs.history, key=lambda r: r[:2])
    for first, last in SOQL_EXPORTS:
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n")
        out.writerow(headers.LOGIN_HISTORY_SOQL)
        for at, _, row in rows:
            if first <= moment.day_of(at) <= last:
                row = row | {"UserId": row["user"].id18, "LoginTime": moment.soql(at)}
                out.writerow([row[c] for c in headers.LOGIN_HISTORY_SOQL])
        _save(folder / f"LoginHistory_{last}.csv", text.getvalue().encode())
    first, last = SETUP_PAGE_DAYS
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    out.writerow(headers.LOGIN_HISTORY_SETUP_PAGE)
    for at, _, row in reversed(rows):
        if first <= moment.day_of(at - 8 * HOUR) <= last:
            out.writerow([
                row["user"].username, moment.setup_page(at), row["SourceIp"], "United States",
                row["LoginType"], row["sub_label"], row["Status"], row["Browser"], row["Platform"],
                row["Application"], row["ClientVersion"], row["ApiType"], row["ApiVersion"],
                row["LoginUrl"], row["TlsProtocol"], row["CipherSuite"], "POST",
            ])
    _save(folder / "LoginHistory_setup_page.csv", text.getvalue().encode())


def gzipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
        file.write(data)
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (2026, 1, 2, 0, 0, 0))
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return out.getvalue()


def unpacked(path: Path) -> bytes:
    """A file's content by which two files are compared: other zlib builds compress otherwise."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return b"".join(n.encode() + b"\0" + archive.read(n) for n in archive.namelist())
    return data


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
