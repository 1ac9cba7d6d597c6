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
# # The first night
#
# Thirty-five days of logs of an org that does not exist, read in one night: what comes in, what is kept, what is
# found, and what is mailed. [Its story](../sample-data/STORY.md) says what was planted, so that every section can end
# with a proof.

# %% tags=["parameters"]
org = "../sample-data"  # a folder with orgwatch.toml, registry.toml and logs
now = "2026-01-31T03:00:00Z"  # the night to be replayed

# %% [markdown]
# ## The run
#
# `orgwatch run` reads every file, asks the rules, keeps the findings and writes the mail. It exits with 1, because there
# is something to look at. (Each night also begins with canaries, which prove that every rule can still see; they take a
# minute and are left out here.)

# %%
import altair as alt
import polars as pl

from charts import BLUE, INK, RED, SEVERITIES, show
from orgwatch import Desk, agree

desk = Desk(org)
summary = desk.run("run", "--no-canaries", "--now", now, code=1)
print(summary.split("\n\nCRITICAL")[0])

# %%
assert "0 rejected" in summary and "0 failed, 0 blind" in summary

# %% [markdown]
# ## Every row is accounted for
#
# A row is kept, or it was there before (hourly and daily files overlap, a file is issued again), or it cannot be read
# and went to quarantine. Nothing gets lost between these three.

# %%
files = desk.sql("""
    SELECT event_type, count(*) AS files, sum(rows_read) AS read, sum(rows_kept) AS kept,
           sum(rows_duplicate) AS duplicate, sum(rows_quarantined) AS quarantined
    FROM files GROUP BY event_type ORDER BY read DESC
""")
files.head(8)

# %%
assert (files["read"] == files["kept"] + files["duplicate"] + files["quarantined"]).all()
assert files["quarantined"].sum() == 8  # planted: a User-Agent that breaks the quoting

# %% [markdown]
# The lake is plain Parquet, and the ledger names the files that are visible. DuckDB and Polars open these, here under
# the names that they have in `orgwatch sql`; so one and the same question goes to three engines.

# %%
lake, duck = desk.in_polars(), desk.in_duckdb()
counts = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in lake)
tables = agree(
    desk.sql(counts),
    DuckDB=duck.sql(counts),
    Polars=pl.concat(f.select(name=pl.lit(table), rows=pl.len()) for table, f in lake.items()).collect(),
)

# %%
assert tables["rows"].sum() == files["kept"].sum() == 47318

# %% [markdown]
# ## What came in, and what did not
#
# Silence is not the same as nothing wrong. A day whose file never came looks quiet to every rule that would have read
# it; so the hole itself is a finding.

# %%
daily = ["Login", "Logout", "ApiTotalUsage", "RestApi", "API", "BulkApi2", "LightningPageView", "URI"]
days = desk.sql("""
    SELECT event_type, day, sum(rows) AS rows FROM parts GROUP BY event_type, day ORDER BY event_type, day
""").filter(pl.col("event_type").is_in(daily))
grid = pl.DataFrame({"event_type": daily}).join(days.select("day").unique(), how="cross")
grid = grid.join(days, on=["event_type", "day"], how="left").sort("event_type", "day")
holes = grid.filter(pl.col("rows").is_null())

x = alt.X("yearmonthdate(day):O", title=None, axis=alt.Axis(format="%-d %b", labelAngle=0, labelOverlap=True, ticks=False))
y = alt.Y("event_type:N", title=None, sort=daily, axis=alt.Axis(ticks=False, domain=False))
cells = alt.Chart(grid.drop_nulls()).mark_rect(stroke="white", strokeWidth=1).encode(
    x, y, alt.Color("rows:Q", scale=alt.Scale(type="log", range=["#D6E6F2", BLUE]), title="rows a day", legend=alt.Legend(title="rows a day", titleOrient="left"))
)
missing = alt.Chart(holes).mark_rect(fill="white", stroke=RED, strokeWidth=2.5).encode(x, y)
show((cells + missing).properties(height=230), "One file never came: ApiTotalUsage of 20 January",
     "Rows kept by day and kind of log; the red box has none")

# %%
assert holes.select("event_type", pl.col("day").cast(pl.String)).rows() == [("ApiTotalUsage", "2026-01-20")]
missing_file = desk.sql("SELECT observed FROM findings WHERE rule_id = 'missing-log-file' AND severity = 'high'")
assert missing_file.height == 1

# %% [markdown]
# ## What was found
#
# A ring for each planted incident at high or above (`expected.csv`), a dot for each finding. Every ring has its dot, and
# no dot of these severities is without its ring.

# %%
found = desk.sql("""
    SELECT rule_id, coalesce(username, '(nobody)') AS who, severity, CAST(first_seen AS DATE) AS day, status
    FROM findings ORDER BY first_seen, rule_id
""")
planted = pl.read_csv(f"{org}/expected.csv").with_columns(pl.col("username").fill_null("(nobody)"))
standing = planted.filter(pl.col("day").is_null())["rule_id"]
grave = found.filter(pl.col("severity").is_in(["high", "critical"])).with_columns(
    # A standing condition has no day of its own.
    day_or_none=pl.when(pl.col("rule_id").is_in(standing.implode())).then(None).otherwise(pl.col("day").cast(pl.String))
)
pairs = grave.join(planted, left_on=["rule_id", "who", "day_or_none", "severity"],
                   right_on=["rule_id", "username", "day", "severity"], how="inner", nulls_equal=True)

# One mark for each account and day, of the gravest that was found there.
severities = ["critical", "high", "medium", "low", "info"]
gravest = pl.col("severity").cast(pl.Enum(severities)).min().cast(pl.String)
dots = found.group_by("who", "day").agg(gravest, pl.len().alias("findings")).sort("who", "day")
rings = pairs.select("who", "day").unique().sort("who", "day")
short = pl.col("who").str.replace("@example.com", "")
dots, rings = dots.with_columns(short), rings.with_columns(short)
order = dots.group_by("who").agg(pl.col("day").min()).sort("day", "who")["who"].to_list()

x = alt.X("day:T", title=None, scale=alt.Scale(padding=14), axis=alt.Axis(format="%-d %b", grid=False, tickCount="week"))
y = alt.Y("who:N", title=None, sort=order, axis=alt.Axis(grid=True, ticks=False, domain=False))
colour = alt.Color("severity:N", scale=alt.Scale(domain=severities, range=[SEVERITIES[s] for s in severities]))
filled = alt.Chart(dots).mark_circle(size=110, opacity=1).encode(x, y, colour)
ringed = alt.Chart(rings).mark_point(size=330, stroke=INK, strokeWidth=1.6, filled=False, opacity=1).encode(x, y)
show((ringed + filled).properties(height=alt.Step(24)),
     f"All {planted.height} planted incidents were found, and nothing else at high or above",
     f"{found.height} findings by account and day, coloured by the gravest; rings: something was planted there",
     file="findings.svg")

# %%
assert grave.height == planted.height == pairs.height == 53

# %% [markdown]
# ## The mail
#
# Findings reach people as mail: what is critical in one of its own, the rest in a digest. Plain text and HTML say the
# same. Here they are files in the outbox; `transport = "smtp"` sends them.

# %%
import email
import email.policy

outbox = sorted(desk.path.glob("**/outbox/*.eml"))
mails = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in outbox]
critical = min(mails, key=lambda mail: "CRITICAL" not in mail["Subject"])
print("Subject:", critical["Subject"])
print("To:", critical["To"], "\n")
print("\n".join(critical.get_body(("plain",)).get_content().splitlines()[:18]))

# %%
assert {mail["To"] for mail in mails} == {"security@example.com"}
assert all(mail["Auto-Submitted"] == "auto-generated" for mail in mails)
assert all(mail.get_body(("plain",)) and mail.get_body(("html",)) for mail in mails)
told = "\n".join(mail.get_body(("plain",)).get_content() for mail in mails)
assert all(finding in told for finding in desk.sql("SELECT finding_id FROM findings WHERE severity = 'critical'")["finding_id"])

# %% [markdown]
# Nothing is told twice: asked again, there is nothing to send.

# %%
preview = desk.run("alert", "preview")
print(preview)

# %%
assert not any(rule in preview for rule in planted["rule_id"])
