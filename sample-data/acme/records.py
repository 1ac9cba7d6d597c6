"""Builds log rows: one method for each thing that happens, each leaving all the rows that it
leaves in a real org (a login: one in Login, one in LoginHistory; a REST call: one in
ApiTotalUsage, one in RestApi)."""

import base64
import hashlib
import random
from dataclasses import dataclass, field

from . import cast, moment


class Raw(str):
    """A cell written as it is, without quoting: the planted broken rows."""


@dataclass(frozen=True)
class Door:
    """How a login path is spelled in Login and in LoginHistory (label and API name)."""

    login_type: str
    sub_type: str
    uri: str
    history_type: str
    history_sub_type: str
    history_sub_label: str


DOORS = {
    "ui_password": Door("A", "uiup", "/index.jsp", "Application",
                        "UsernamePasswordUiLogin", "UI Username-Password"),
    "ui_sso": Door("8", "", "/index.jsp", "SAML Sfdc Initiated SSO", "", ""),
    "oauth_bearer": Door("i", "", "/services/oauth2/token", "Remote Access 2.0", "", ""),
    "oauth_refresh": Door("i", "oauthrefreshtoken", "/services/oauth2/token", "Remote Access 2.0",
                          "OauthRefreshToken", "OAuth Refresh Token"),
    "oauth_client_credentials": Door("i", "oauthclientcredential", "/services/oauth2/token",
                                     "Remote Access 2.0", "OauthClientCredentials",
                                     "OAuth Client Credentials"),
    "oauth_username_password": Door("i", "oauthpassword", "/services/oauth2/token",
                                    "Remote Access 2.0", "OauthUsernamePassword",
                                    "OAuth Username-Password"),
    "oauth_web_server": Door("i", "oauthcode", "/services/oauth2/token", "Remote Access 2.0",
                             "OauthWebServer", "OAuth Web Server"),
    "soap_login": Door("I", "", "Api", "Other Apex API", "", ""),
    "unknown": Door("Q9", "", "/services/session/exchange", "", "", ""),
}
STATUS_TEXT = {
    "LOGIN_NO_ERROR": "Success",
    "LOGIN_ERROR_INVALID_PASSWORD": "Invalid Password",
    "LOGIN_ERROR_USER_API_ONLY": "Failed: API-only user",
    "LOGIN_ERROR_USER_INACTIVE": "User is inactive",
    "LOGIN_OAUTH_INVALID_IP": "Failed: IP Address Not Allowed",
}
CHROME = ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/131.0.0.0 Safari/537.36")
HIDDEN = "Salesforce.com IP"


@dataclass(frozen=True)
class Session:
    """One login and what later rows need of it."""

    user: cast.User
    at: int
    ip: str
    login_key: str
    session_key: str
    path: str


@dataclass
class Logs:
    """All rows of all files, before they are sorted and packed."""

    seed: int
    rows: dict[str, list[tuple[int, int, dict]]] = field(default_factory=dict)
    history: list[tuple[int, int, dict]] = field(default_factory=list)
    audit: list[tuple[int, cast.User, str, str, str]] = field(default_factory=list)
    sessions: dict[str, list[Session]] = field(default_factory=dict)
    serial: int = 0

    def stream(self, name: str) -> random.Random:
        """Random numbers of their own for each part, so that a change in one leaves the rest."""
        return random.Random(f"{self.seed}/{name}")

    def token(self, kind: str, length: int) -> str:
        """Looks like the 16- and 22-character hashes of Salesforce; may hold `+` and `/`."""
        self.serial += 1
        digest = hashlib.sha256(f"{self.seed}/{kind}/{self.serial}".encode()).digest()
        text = base64.b64encode(digest).decode()
        return text[:length] if kind != "request" else "4" + text.replace("+", "-")[: length - 1]

    def event(self, event_type: str, at: int, user: cast.User, cells: dict) -> None:
        """Adds one EventLogFile row; events outside the 35 days are not in the export."""
        if not moment.START <= at < moment.END:
            return
        self.serial += 1
        common = {
            "EVENT_TYPE": event_type,
            "TIMESTAMP": moment.compact(at),
            "TIMESTAMP_DERIVED": moment.derived(at),
            "REQUEST_ID": cells.get("REQUEST_ID") or self.token("request", 22),
            "ORGANIZATION_ID": cast.ORG_ID,
            "USER_ID": user.id15,
            "USER_ID_DERIVED": user.id18,
        }
        timing = {"RUN_TIME": str(20 + self.serial * 7 % 180), "CPU_TIME": str(5 + self.serial % 40)}
        self.rows.setdefault(event_type, []).append((at, self.serial, timing | cells | common))

    def login(self, at: int, user: cast.User, path: str, ip: str, *, app: str = "Browser",
              agent: str = CHROME, status: str = "LOGIN_NO_ERROR", source_ip: str | None = None,
              client_ip: str | None = None, forwarded: str = "", elf: bool = True,
              history: bool = True, tls: str = "", cipher: str = "") -> Session:
        """One attempt to log in. `source_ip` and `client_ip` default to `ip`; `tls` is a version
        like `1.1`, for the path's usual one."""
        door = DOORS[path]
        source_ip = ip if source_ip is None else source_ip
        session = Session(user, at, ip, self.token("login", 16), self.token("session", 16), path)
        if status == "LOGIN_NO_ERROR":
            self.sessions.setdefault(user.username, []).append(session)
        soap, sso = path == "soap_login", path == "ui_sso"
        tls = tls or ("1.2" if soap else "1.3")
        cipher = cipher or ("ECDHE-RSA-AES256-GCM-SHA384" if soap else "TLS_AES_256_GCM_SHA384")
        if soap:
            self.api_total(at, user, ip, family="SOAP", resource="login", method="POST")
        if elf:
            self.event("Login", at, user, {
                "URI": door.uri,
                "SESSION_KEY": session.session_key if soap else "",
                "LOGIN_KEY": session.login_key,
                "USER_TYPE": "Standard",
                "REQUEST_STATUS": "S" if path.startswith("ui_") else "",
                "DB_TOTAL_TIME": "21034211",
                "LOGIN_TYPE": door.login_type,
                "BROWSER_TYPE": agent,
                "API_TYPE": "P" if soap else "",
                "API_VERSION": "58.0" if soap else "9998.0",
                "USER_NAME": user.username,
                "TLS_PROTOCOL": f"TLSv{tls}",
                "CIPHER_SUITE": cipher,
                "USE_API_TOKEN": "T" if soap else "",
                "HTTP_REFERER": "https-//idp-example-com/" if sso else "",
                "LOGIN_URL": cast.LOGIN_HOST,
                "COUNTRY_CODE": "US",
                "AUTHENTICATION_METHOD_REFERENCE": "mfa" if sso else "",
                "LOGIN_SUB_TYPE": door.sub_type,
                "AUTHENTICATION_SERVICE_ID": cast.SSO_SERVICE_ID if sso else "",
                "CLIENT_IP": source_ip if client_ip is None else client_ip,
                "LOGIN_STATUS": status,
                "SOURCE_IP": source_ip,
                "FORWARDED_FOR_IP": forwarded,
            })
        if history:
            self._history(at, user, door, source_ip, app, agent, status, forwarded, soap, sso, tls, cipher)
        return session

    def _history(self, at, user, door, source_ip, app, agent, status, forwarded, soap, sso, tls, cipher):
        """LoginHistory writes whole seconds, up to two seconds later."""
        second = (at // 1000 + 1 + self.serial % 2) * 1000
        if not moment.START <= second < moment.END:
            return
        self.serial += 1
        in_browser = agent.startswith("Mozilla")
        self.history.append((second, self.serial, {
            "Id": cast.sf_id18(cast.sf_id15("0Ya", f"{self.seed}/{self.serial}")[:7]
                               + f"{self.serial:08d}"),
            "user": user,
            "LoginType": door.history_type,
            "LoginSubType": door.history_sub_type,
            "sub_label": door.history_sub_label,
            "SourceIp": source_ip,
            "LoginUrl": cast.LOGIN_HOST,
            "AuthenticationServiceId": cast.sf_id18(cast.SSO_SERVICE_ID) if sso else "",
            "TlsProtocol": f"TLS {tls}",
            "CipherSuite": cipher,
            "Browser": "Chrome 131" if in_browser
                       else "Java (Salesforce.com)" if agent.startswith(("Java", "JAX")) else "Unknown",
            "Platform": "Windows 10" if in_browser else "Unknown",
            "Status": STATUS_TEXT[status],
            "Application": "N/A" if soap else app,
            "ClientVersion": "N/A",
            "ApiType": "SOAP Partner" if soap else "N/A",
            "ApiVersion": "58.0" if soap else "N/A",
            "CountryIso": "US",
            "ForwardedForIp": forwarded,
        }))

    def set_up(self, at: int, admin: cast.User, action: str, section: str, display: str) -> None:
        """One entry of the Setup Audit Trail."""
        self.audit.append((at, admin, action, section, display))

    def api_total(self, at: int, user: cast.User, ip: str, *, family: str, resource: str,
                  method: str, entity: str = "", app_id: str = "", app_name: str = "",
                  client: str = "", category: str = "EXTERNAL_APPLICATION",
                  request_id: str = "") -> None:
        self.event("ApiTotalUsage", at, user, {
            "REQUEST_ID": request_id,
            "API_FAMILY": family,
            "API_VERSION": "62.0",
            "API_RESOURCE": resource,
            "CLIENT_NAME": client,
            "HTTP_METHOD": method,
            "CLIENT_IP": ip,
            "COUNTS_AGAINST_API_LIMIT": "1",
            "CONNECTED_APP_ID": app_id,
            "ENTITY_NAME": entity,
            "STATUS_CODE": "200",
            "CONNECTED_APP_NAME": app_name,
            "USER_NAME": user.username,
            "API_CLIENT_CATEGORY": category,
        })

    def rest_call(self, at: int, user: cast.User, ip: str, login_key: str, entity: str, verb: str,
                  *, app_id: str = "", app_name: str = "", rows: int = 1,
                  rest_ip: str | None = None, category: str = "EXTERNAL_APPLICATION",
                  client: str = "") -> None:
        """`query` is a GET of many rows, any other verb works on one record."""
        query = verb == "query"
        request_id = self.token("request", 22)
        tail = "query" if query else f"sobjects/{entity}"
        record = "" if query or verb == "POST" else f"/0015e{self.serial:010d}AAA"
        method = "GET" if query else verb
        self.api_total(at, user, ip, family="REST", resource=f"/v62.0/{tail}{record}",
                       method=method, entity=entity, app_id=app_id, app_name=app_name,
                       category=category, request_id=request_id, client=client)
        self.event("RestApi", at, user, {
            "REQUEST_ID": request_id,
            "URI": f"/services/data/v62.0/{tail}{record}",
            "LOGIN_KEY": login_key,
            "REQUEST_STATUS": "S",
            "DB_TOTAL_TIME": "9120331",
            "METHOD": method,
            "MEDIA_TYPE": "application/json",
            "STATUS_CODE": "200",
            "USER_AGENT": "9999",
            "ROWS_PROCESSED": str(rows),
            "REQUEST_SIZE": "-1",
            "RESPONSE_SIZE": str(180 + rows * 240),
            "ENTITY_NAME": entity,
            "CLIENT_IP": ip if rest_ip is None else rest_ip,
        })

    def soap_call(self, at: int, session: Session, method: str, entity: str, client: str,
                  rows: int) -> None:
        request_id = self.token("request", 22)
        self.api_total(at, session.user, session.ip, family="SOAP", resource=method, method="POST",
                       entity=entity, client=client, request_id=request_id)
        self.event("API", at, session.user, {
            "REQUEST_ID": request_id,
            "URI": "Api",
            "SESSION_KEY": session.session_key,
            "LOGIN_KEY": session.login_key,
            "REQUEST_STATUS": "S",
            "API_TYPE": "P",
            "API_VERSION": "58.0",
            "CLIENT_NAME": client,
            "METHOD_NAME": method,
            "ENTITY_NAME": entity,
            "ROWS_PROCESSED": str(rows),
            "REQUEST_SIZE": "840",
            "RESPONSE_SIZE": str(400 + rows * 310),
            "CLIENT_IP": session.ip,
        })

    def bulk_job(self, at: int, session: Session, operation: str, entity: str, records: int,
                 app: cast.App) -> None:
        """Three states of one Bulk API 2.0 job and the calls that drive it."""
        job = cast.sf_id15("750", self.token("job", 16))
        states = [(0, "UploadComplete", 0), (40, "InProgress", records), (170, "JobComplete", records)]
        for seconds, state, done in states:
            moment_ms = at + seconds * moment.SECOND
            request_id = self.token("request", 22)
            verb = "query" if operation == "query" else "ingest"
            self.api_total(moment_ms, session.user, session.ip, family="Bulk",
                           resource=f"/v62.0/jobs/{verb}", method="POST" if not seconds else "GET",
                           entity=entity, app_id=app.id18, app_name=app.name, request_id=request_id)
            self.event("BulkApi2", moment_ms, session.user, {
                "REQUEST_ID": request_id,
                "URI": f"/services/data/v62.0/jobs/{verb}/{job}",
                "LOGIN_KEY": session.login_key,
                "JOB_ID": job,
                "OPERATION_TYPE": operation,
                "ENTITY_TYPE": entity,
                "JOB_STATUS": state,
                "RECORDS_PROCESSED": str(done),
                "RECORDS_FAILED": "0",
                "CLIENT_IP": session.ip,
            })

    def uri(self, at: int, user: cast.User, ip: str, login_key: str, path: str) -> None:
        self.event("URI", at, user, {
            "URI": path,
            "SESSION_KEY": self.token("session", 16),
            "LOGIN_KEY": login_key,
            "REQUEST_STATUS": "S",
            "DB_TOTAL_TIME": "5110220",
            "DB_BLOCKS": "210",
            "DB_CPU_TIME": "10",
            "CLIENT_IP": ip,
        })

    def page_view(self, at: int, session: Session, number: int, page: str,
                  ip: str | None = None, agent: str = CHROME) -> None:
        """USER_AGENT is the real string inside one more pair of quotes, as Salesforce writes it."""
        record = f"0015e{number:010d}AAA"
        self.event("LightningPageView", at, session.user, {
            "SESSION_KEY": session.session_key,
            "LOGIN_KEY": session.login_key,
            "USER_TYPE": "S",
            "APP_NAME": "one:one",
            "DEVICE_PLATFORM": "SFX:BROWSER:DESKTOP",
            "OS_NAME": "WINDOWS",
            "OS_VERSION": "10",
            "USER_AGENT": f'"{agent}"',
            "BROWSER_NAME": "CHROME",
            "BROWSER_VERSION": "131",
            "UI_EVENT_ID": "ltng:pageView",
            "UI_EVENT_TIMESTAMP": str(at),
            "PAGE_START_TIME": str(at - 900),
            "DURATION": str(400 + number * 13 % 900),
            "EFFECTIVE_PAGE_TIME": str(300 + number * 11 % 700),
            "UI_EVENT_SEQUENCE_NUM": str(number),
            "PAGE_ENTITY_ID": record,
            "PAGE_ENTITY_TYPE": page,
            "PAGE_CONTEXT": "one:recordHome",
            "PAGE_URL": f"/lightning/r/{page}/{record}/view",
            "CLIENT_IP": session.ip if ip is None else ip,
        })

    def logout(self, at: int, user: cast.User, session_type: str, ip: str, *, login_key: str = "",
               user_type: str = "S", by_user: bool = False, level: str = "1") -> None:
        """`level`: 10 where a second factor was asked for, 1 where none was."""
        self.event("Logout", at, user, {
            "USER_TYPE": user_type,
            "SESSION_TYPE": session_type,
            "SESSION_LEVEL": level,
            "PLATFORM_TYPE": "1015" if by_user else "",
            "RESOLUTION_TYPE": "9999" if by_user else "",
            "APP_TYPE": "1000" if session_type == "U" else "2514",
            "CLIENT_VERSION": "9998",
            "API_VERSION": "9998.0",
            "USER_INITIATED_LOGOUT": "1" if by_user else "0",
            "LOGIN_KEY": login_key,
            "CLIENT_IP": ip,
        })
