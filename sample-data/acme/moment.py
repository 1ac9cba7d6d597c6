"""Times as whole milliseconds since 1970, UTC, and the spellings in which logs write them."""

from datetime import date, datetime, timedelta, timezone

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

FIRST_DAY = date(2025, 12, 27)
LAST_DAY = date(2026, 1, 30)
DAYS = [FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]


def at(text: str) -> int:
    """`2026-01-05T13:00:00` or `2026-01-05` as UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * SECOND


START = at(FIRST_DAY.isoformat())
END = at(LAST_DAY.isoformat()) + DAY


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, timezone.utc)


def day_of(ms: int) -> str:
    return _utc(ms).date().isoformat()


def hour_of(ms: int) -> int:
    return _utc(ms).hour


def compact(ms: int) -> str:
    """TIMESTAMP: 20260105130000.123"""
    return f"{_utc(ms):%Y%m%d%H%M%S}.{ms % 1000:03d}"


def derived(ms: int) -> str:
    """TIMESTAMP_DERIVED: 2026-01-05T13:00:00.123Z"""
    return f"{_utc(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def soql(ms: int) -> str:
    return f"{_utc(ms):%Y-%m-%dT%H:%M:%S}.000+0000"


def setup_page(ms: int) -> str:
    """Los Angeles wall time as the Setup page writes it; the whole period is winter (PST)."""
    t = _utc(ms) - timedelta(hours=8)
    clock = t.hour % 12 or 12
    half = "AM" if t.hour < 12 else "PM"
    return f"{t.month}/{t.day}/{t.year}, {clock}:{t.minute:02d}:{t.second:02d} {half} PST"


def is_weekend(ms: int) -> bool:
    return _utc(ms).weekday() >= 5


def is_quiet(ms: int) -> bool:
    """Weekend or New Year's Day."""
    return is_weekend(ms) or day_of(ms) == "2026-01-01"


def is_busy(ms: int) -> bool:
    """Los Angeles office hours on a working day."""
    hour = hour_of(ms)
    return not is_quiet(ms) and 14 <= hour <= 23
