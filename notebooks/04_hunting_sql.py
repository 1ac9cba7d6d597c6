# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Hunting with SQL
#
# An alert names an address. Who else came from there, with which token, through which app, and what did they touch?
# Ready questions (*hunts*) answer the first ten minutes; SQL the rest.

# %% tags=["parameters"]
org = "../sample-data"
address = "192.0.2.66"
user = "mkt.cloud@example.com"
since = {"window_start": "2025-12-27", "window_end": "2026-01-31"}

# %%
import altair as alt
import polars as pl

from charts import BLUE, GREY, ORANGE, RED, show
from orgwatch import Desk, agree

desk = Desk(org)
print(desk.run("ingest", "logs"))

# %% [markdown]
# ## Ready questions
#
# `orgwatch sql --hunts` lists them; values are given by `--param`, and bound.

# %%
import json

hunts = pl.DataFrame(json.loads(desk.run("sql", "--hunts", "--format", "json"))).select("name", "asks", "parameters")
hunts

# %%
assert hunts.height >= 15 and hunts["name"].is_unique().all()

# %% [markdown]
# ## Who used this address?

# %%
who = desk.sql("--hunt", "who-used-address", address=address, **since)
who.select("username", "role", "source", "events", "failed", "first_at", "last_at")

# %% [markdown]
# A call is in two logs here, ApiTotalUsage and RestApi. Each alone says 400, and so do DuckDB and Polars.

# %%
lake, duck = desk.in_polars(), desk.in_duckdb()
query = f"""
    SELECT user_name, connected_app_name AS app, count(*) AS calls, min(occurred_at) AS first_at, max(occurred_at) AS last_at
    FROM elf_api_total_usage WHERE ip = '{address}' GROUP BY 1, 2
"""
agree(
    desk.sql(query),
    DuckDB=duck.sql(query),
    Polars=lake["elf_api_total_usage"].filter(pl.col("ip") == address).group_by("user_name", app="connected_app_name")
    .agg(calls=pl.len(), first_at=pl.col("occurred_at").min(), last_at=pl.col("occurred_at").max()).collect(),
)

# %%
assert who.filter(pl.col("source") == "login")["failed"].to_list() == [1]  # a wrong password, on another account
assert who.filter(pl.col("source") == "call")["username"].to_list() == [user]

# %% [markdown]
# ## One token, two places
#
# The caller never logged in: it holds a token that somebody else was given. For four minutes both used the same session.

# %%
shared = desk.sql("--hunt", "token-in-two-networks", **since)
shared.filter(pl.col("username") == user).select("username", "networks", "addresses", "events", "first_at", "last_at")

# %%
calls = desk.sql("""
    SELECT occurred_at, ip, CASE WHEN in_networks(user_key, ip, occurred_at) THEN 'declared' ELSE 'not declared' END AS network
    FROM api_calls
    WHERE event_type = 'ApiTotalUsage' AND username = $who
      AND occurred_at >= '2026-01-23T01:30:00Z' AND occurred_at < '2026-01-23T03:30:00Z'
    ORDER BY occurred_at
""", who=user)
kinds = ["declared", "not declared"]
strip = (
    alt.Chart(calls.with_columns(pl.col("occurred_at").dt.replace_time_zone(None))).mark_tick(thickness=1.4, size=26, opacity=1)
    .encode(
        alt.X("occurred_at:T", title=None, scale=alt.Scale(padding=10), axis=alt.Axis(format="%H:%M", grid=False)),
        alt.Y("ip:N", title=None, axis=alt.Axis(grid=True, ticks=False, domain=False)),
        alt.Color("network:N", scale=alt.Scale(domain=kinds, range=[BLUE, RED])),
    )
)
foreign = calls.filter(pl.col("network") == "not declared")
minutes = (foreign["occurred_at"].max() - foreign["occurred_at"].min()).total_seconds() / 60
show(strip.properties(height=alt.Step(36)),
     f"For {minutes:.0f} minutes, {foreign.height} calls come from where nobody ever logged in",
     "API calls of mkt.cloud in the night of 23 January (UTC), by address")

# %%
assert foreign["ip"].unique().to_list() == [address]
assert desk.sql("SELECT count(*) AS n FROM logins WHERE ip = $address AND outcome = 'success'", address=address)["n"].item() == 0
assert user in shared["username"]

# %% [markdown]
# ## What else came from that neighbourhood?
#
# One address is a symptom; the network around it is a pattern. Logins, calls and pages in one question.

# %%
seen = desk.sql("""
    SELECT ip, replace(username, '@example.com', '') AS who, source, count(*) AS events
    FROM (
        SELECT ip, username, CASE WHEN outcome = 'success' THEN 'login' ELSE 'failed login' END AS source FROM logins
        UNION ALL
        SELECT ip, username, 'API call' FROM api_calls WHERE event_type = 'ApiTotalUsage'
        UNION ALL
        SELECT ip, username, 'page' FROM ui_activity
    )
    WHERE ip_in(ip, '192.0.2.0/24') AND username IS NOT NULL
    GROUP BY ip, username, source ORDER BY ip, who, source
""")
sources = ["API call", "login", "failed login", "page"]
accounts = seen["who"].unique().sort().to_list()
marks = (
    alt.Chart(seen).mark_point(filled=True, opacity=0.9, stroke="white", strokeWidth=1)
    .encode(
        alt.X("ip:N", title=None, axis=alt.Axis(labelAngle=-40, grid=True, ticks=False)),
        alt.Y("who:N", title=None, axis=alt.Axis(grid=True, ticks=False, domain=False)),
        alt.Size("events:Q", scale=alt.Scale(type="sqrt", range=[70, 900]), legend=None),
        alt.Color("source:N", scale=alt.Scale(domain=sources, range=[RED, BLUE, ORANGE, GREY])),
        alt.Shape("source:N", scale=alt.Scale(domain=sources, range=["circle", "square", "triangle-up", "diamond"])),
        alt.XOffset("source:N", sort=sources),
    )
)
show(marks.properties(height=alt.Step(30), width=640),
     f"{len(accounts)} accounts were tried or used from one /24; one address knew two of them",
     "Events from 192.0.2.0/24 by address and account; the larger, the more")

# %%
by_address = seen.group_by("ip").agg(pl.col("who").n_unique()).filter(pl.col("who") > 1)
assert by_address["ip"].to_list() == [address]
assert len(accounts) == 9

# %% [markdown]
# ## Which doors did the machines come through?
#
# Salesforce writes a login's type and sub-type as codes; the view `logins` says what they mean. The codes as they are,
# counted by three engines, and the hunt that knows which of them a machine should not use.

# %%
query = """
    SELECT login_type, login_sub_type, login_status = 'LOGIN_NO_ERROR' AS ok, count(*) AS logins,
           count(DISTINCT user_id) AS users
    FROM elf_login GROUP BY 1, 2, 3
"""
codes = agree(
    desk.sql(query),
    DuckDB=duck.sql(query),
    Polars=lake["elf_login"].group_by("login_type", "login_sub_type", ok=pl.col("login_status") == "LOGIN_NO_ERROR")
    .agg(logins=pl.len(), users=pl.col("user_id").drop_nulls().n_unique()).collect(),
)
off_path = desk.sql("--hunt", "integrations-off-the-path", **since)
off_path.select("username", "login_path", "outcome", "ip", "logins", "first_at").head(12)

# %%
assert codes["logins"].sum() == lake["elf_login"].select(pl.len()).collect().item()
ui_success = off_path.filter((pl.col("login_path") == "ui_password") & (pl.col("outcome") == "success"))
assert set(ui_success["username"].str.replace("@example.com", "")) == {"erp.sync", "docs.archive", "tickets.sync"}

# %% [markdown]
# ## A hunt of your own
#
# A file with a head and one SELECT. In a folder of its own it stands beside the ready ones.

# %%
own = desk.path / "hunts"
own.mkdir()
(own / "quiet-hours.sql").write_text("""/*
id = "quiet-hours"
title = "Accounts of people that work between two hours of the night (UTC)"
days = 30

[params.until]
type = "int"
default = 4
meaning = "hour at which the night ends"
*/
SELECT username, count(*) AS logins, min(occurred_at) AS first_at
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND role LIKE 'human%' AND outcome = 'success' AND date_part('hour', occurred_at) < $until
GROUP BY username
ORDER BY logins DESC, username
""")
night = desk.sql("--hunts-dir", "hunts", "--hunt", "quiet-hours", until=3, **since)
night.head(5)

# %%
assert night.height > 0 and "quiet-hours" in desk.run("sql", "--hunts-dir", "hunts", "--hunts")

# %% [markdown]
# ## What cannot be asked
#
# Nothing can be changed by a query, no file is read or written, and what records hold was never kept: of a SOQL query
# there is its object, not its text.

# %%
for query in ["DROP TABLE logins", "COPY logins TO 'copy.csv'", "SELECT query FROM elf_api", "SELECT * FROM 'copy.csv'"]:
    refused = desk.run("sql", query, code=2)
    print(f"{query:26} → {refused.splitlines()[0].split(';')[0]}")

# %%
assert not list(desk.path.glob("**/copy.csv"))
