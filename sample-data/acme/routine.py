"""The normal life of the org: schedules of the machines, office days of the people."""

from . import cast, hygiene, lookalikes, moment
from .cast import Integration
from .moment import HOUR, MINUTE, SECOND
from .records import HIDDEN, Logs, Session

PAGES = ["Account", "Opportunity", "Case", "Contact", "Lead", "Campaign"]


def write(logs: Logs) -> None:
    for integration in cast.INTEGRATIONS:
        if integration.kind.startswith("bulk"):
            _nightly_bulk(logs, integration)
        elif integration.kind != "daily":
            _polling(logs, integration)
    for person in cast.HUMANS + cast.ADMINS:
        _office_days(logs, person)
    _mail_sync(logs)
    _platform(logs)


def write_daily(logs: Logs) -> None:
    """Machines that work once a day, up to their last day."""
    for integration in cast.INTEGRATIONS:
        if integration.kind == "daily":
            _daily(logs, integration)


def log_in(logs: Logs, at: int, who: Integration, host: str, serial: int) -> Session:
    """A login of a machine in its normal way, with the day's harmless oddities."""
    # Salesforce often shows its own hop as CLIENT_IP and the real address as SOURCE_IP.
    usual = {"client_ip": HIDDEN} if serial % 5 < 2 else {}
    odd = lookalikes.login_oddity(who.user.username, at)
    ip = odd.pop("ip", host)
    app = who.app.name if who.app else "N/A"
    return logs.login(at, who.user, who.path, ip, **({"app": app, "agent": who.agent} | usual | odd))


def _polling(logs: Logs, who: Integration) -> None:
    rng = logs.stream(who.user.username)
    offset = int(rng.random() * 4 * MINUTE)
    at, next_login, session, calls = moment.START + offset, 0, None, 0
    while at < moment.END:
        every = who.busy_minutes if moment.is_busy(at) else who.idle_minutes
        if every:
            jitter = int(rng.random() * 6 * SECOND)
            if at >= next_login:
                hosts = lookalikes.hosts(who, at)
                host = hosts[int(rng.random() * len(hosts))]
                if session and calls % 3 == 0:
                    logs.logout(at - 20 * SECOND, who.user, "O", session.ip, login_key=session.login_key)
                session = log_in(logs, at, who, host, calls)
                next_login = at + who.login_minutes * MINUTE - MINUTE
            _call(logs, at + 3 * SECOND + jitter, who, session, rng)
            calls += 1
        step = every or 60
        at += step * MINUTE - (at - offset - moment.START) % (step * MINUTE)


def _call(logs: Logs, at: int, who: Integration, session: Session, rng) -> None:
    entity = who.entities[int(rng.random() * len(who.entities))]
    rows = 1 + int(rng.random() ** 3 * 60)
    if who.kind == "soap":
        logs.soap_call(at, session, "query" if rng.random() < 0.6 else "update", entity,
                       "legacy/pricelist", rows)
        return
    verb = ("query", "query", "GET", "PATCH", "POST")[int(rng.random() * 5)]
    app = {"app_id": who.app.id18, "app_name": who.app.name}
    app |= lookalikes.call_oddity(who, at, rng)
    logs.rest_call(at, who.user, session.ip, session.login_key, entity, verb,
                   rows=rows if verb == "query" else 1, **app)


def _nightly_bulk(logs: Logs, who: Integration) -> None:
    rng = logs.stream(who.user.username)
    operation, minute = ("query", 150) if who.kind == "bulk_query" else ("upsert", 330)
    for day in moment.DAYS:
        at = moment.at(day.isoformat()) + minute * MINUTE + int(rng.random() * 50 * SECOND)
        session = log_in(logs, at, who, who.hosts[0], day.day)
        for number, entity in enumerate(who.entities):
            records = 2000 + int(rng.random() * 3000)
            logs.bulk_job(at + (5 + number * 240) * SECOND, session, operation, entity, records, who.app)


def _daily(logs: Logs, who: Integration) -> None:
    """Once in the morning, a few reads of one object."""
    rng = logs.stream(who.user.username)
    for day in moment.DAYS:
        if day.isoformat() > hygiene.LAST_DAY_OF_LOG_READER:
            break
        at = moment.at(day.isoformat()) + 200 * MINUTE + int(rng.random() * 50 * SECOND)
        session = log_in(logs, at, who, who.hosts[0], day.day)
        for number in range(2):
            logs.rest_call(at + (4 + number) * SECOND, who.user, session.ip, session.login_key,
                           who.entities[0], "query", rows=20, app_id=who.app.id18, app_name=who.app.name)


def _office_days(logs: Logs, person: cast.User) -> None:
    """Los Angeles office hours: 16:00 to 01:00 UTC. At weekends a few people are on call."""
    rng = logs.stream(person.username)
    on_call = int(rng.random() * 9)
    by_sso = rng.random() < 0.7
    for number, day in enumerate(moment.DAYS):
        start = moment.at(day.isoformat()) + 16 * HOUR
        if moment.is_quiet(start):
            if number % 9 != on_call:
                continue
        elif rng.random() < 0.1 and person != cast.SYNC_HUMAN:
            continue
        at = start + int(rng.random() * 90 * MINUTE)
        remote = moment.is_quiet(at) or rng.random() < 0.35
        office = cast.OFFICE_ADDRESSES[int(rng.random() * len(cast.OFFICE_ADDRESSES))]
        ip = cast.home_address(person) if remote else office
        path = "ui_sso" if by_sso else "ui_password"
        if not by_sso and rng.random() < 0.08:
            logs.login(at - 40 * SECOND, person, path, ip, status="LOGIN_ERROR_INVALID_PASSWORD")
        session = logs.login(at, person, path, ip)
        end = at + 7 * HOUR
        for view in range(1, 3 + int(rng.random() * 3)):
            when = at + 2 * MINUTE + int(rng.random() * (end - at - 5 * MINUTE))
            page = PAGES[int(rng.random() * len(PAGES))]
            agent = lookalikes.page_agent(person, when)
            logs.page_view(when, session, number * 10 + view, page, **agent)
        logs.uri(at + 15 * SECOND, person, ip, session.login_key, "/lightning/page/home")
        if rng.random() < 0.6:
            # The identity provider asks for the second factor of a single sign-on.
            level = "1" if by_sso else "10"
            logs.logout(end, person, "U", ip, login_key=session.login_key, by_user=True, level=level)
        if person == cast.SYNC_HUMAN or rng.random() < 0.2:
            logs.login(at + 4 * HOUR + int(rng.random() * HOUR), person, path, ip)


def _mail_sync(logs: Logs) -> None:
    """A person whose mail client syncs day and night, and who also works in the UI."""
    who, app = cast.SYNC_HUMAN, cast.MAIL_SYNC
    for at in range(moment.START + 11 * MINUTE, moment.END, 4 * HOUR):
        session = logs.login(at, who, "oauth_refresh", cast.home_address(who), app=app.name,
                             agent="MailSync/16.2")
        logs.rest_call(at + 2 * SECOND, who, session.ip, session.login_key, "Contact", "query",
                       app_id=app.id18, app_name=app.name, rows=12)


def _platform(logs: Logs) -> None:
    """What the platform does by itself: ends of batch sessions, dashboards that run as a user."""
    for at in range(moment.START + 37 * MINUTE, moment.END, 8 * HOUR):
        logs.logout(at, cast.AUTOPROC, "A", "", user_type="A")
    dwh = cast.BY_NAME["dwh.export"].user
    for day in moment.DAYS:
        if day.weekday() != 0:
            continue
        at = moment.at(day.isoformat()) + 13 * HOUR
        for number, (who, ip) in enumerate([(dwh, ""), (dwh, ""), (cast.CASE_OWNER, HIDDEN)]):
            logs.event("Report", at + number * 3 * SECOND, who, {
                "URI": "/analytics/dashboards", "REQUEST_STATUS": "S", "DISPLAY_TYPE": "D",
                "REPORT_ID": "00O5e0000012ab0", "REPORT_ID_DERIVED": "00O5e0000012ab0EAA",
                "ROW_COUNT": "120", "NUMBER_COLUMNS": "9", "CLIENT_IP": ip,
                "ORIGIN": "DashboardComponentUpdated",
            })
