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
# # The baseline of an integration user
#
# `mkt.cloud` syncs campaigns every quarter of an hour, day and night. On 23 January somebody else used its token. What
# did orgwatch think was normal, how did it come to that, and did the theft become part of the normal afterwards?

# %% tags=["parameters"]
org = "../sample-data"
now = "2026-01-31T03:00:00Z"
user = "mkt.cloud@example.com"

# %%
import altair as alt
import polars as pl

from charts import BLUE, GREY, ORANGE, RED, show
from orgwatch import Desk, agree

desk = Desk(org)
print(desk.run("ingest", "logs"))

# %% [markdown]
# ## What it does, hour by hour
#
# `activity_hourly` is one of two small tables that ingest keeps up to date; no question about habits ever reads the
# whole past again.

# %%
hourly = desk.sql(
    "SELECT day, CAST(date_part('hour', hour) AS INT) AS hour, sum(calls) AS calls FROM activity_hourly "
    "WHERE username = $who GROUP BY 1, 2 ORDER BY 1, 2", who=user)
busiest = hourly.sort("calls")[-1]
x = alt.X("yearmonthdate(day):O", title=None, axis=alt.Axis(format="%-d %b", labelAngle=0, labelOverlap=True, ticks=False))
y = alt.Y("hour:O", title="hour of the day (UTC)", axis=alt.Axis(values=[0, 6, 12, 18, 23], ticks=False, domain=False))
blues = alt.Color("calls:Q", scale=alt.Scale(range=["#D6E6F2", BLUE], domain=[0, 10]),
                  legend=alt.Legend(title="calls an hour", titleOrient="left", values=[0, 5, 10]))
usual = alt.Chart(hourly.filter(pl.col("calls").is_between(1, 20))).mark_rect(stroke="white").encode(x, y, blues)
none = alt.Chart(hourly.filter(pl.col("calls") == 0)).mark_rect(fill="white").encode(x, y)
peak = alt.Chart(busiest).mark_rect(fill=RED, stroke="white").encode(x, y)
note = alt.Chart(busiest).mark_text(align="left", dx=14, fontWeight="bold").encode(x, y, text=alt.value("404 calls"))
show((none + usual + peak + note).properties(height=300), f"Four calls every hour, and {busiest['calls'].item()} in one",
     "Calls of mkt.cloud; the empty column is 20 January, whose file never came")

# %%
assert hourly.filter(pl.col("calls") > 20).height == 1 and hourly.filter(pl.col("calls") == 4).height > 800
assert busiest.select(pl.col("day").cast(pl.String), "hour").row(0) == ("2026-01-23", 2)

# %% [markdown]
# The table is a sum over the raw calls, as DuckDB and Polars make it from the Parquet of ApiTotalUsage.

# %%
lake, duck = desk.in_polars(), desk.in_duckdb()
agree(
    hourly.filter(pl.col("calls") > 0),
    DuckDB=duck.sql(f"""
        SELECT day, hour(occurred_at) AS hour, count(*) AS calls FROM elf_api_total_usage WHERE user_name = '{user}' GROUP BY ALL
    """),
    Polars=lake["elf_api_total_usage"].filter(pl.col("user_name") == user)
    .group_by("day", pl.col("occurred_at").dt.hour().alias("hour")).agg(pl.len().alias("calls")).collect(),
).height

# %% [markdown]
# ## What was to be expected
#
# `expected_activity` holds every day against the days before it: the median of the last 28 (or of the same weekday,
# once there are enough), and how far such days usually lie from it. A day is unusual when it is three spreads away,
# three times as much, and above everything of five weeks.

# %%
expected = desk.sql("""
    SELECT e.day, e.actual, e.expected, e.centre, e.scale, e.z, e.reference, e.reference_days, e.held_out, e.unusual
    FROM expected_activity AS e
    WHERE e.metric = 'rows'
      AND e.user_key = (SELECT max(user_key) FROM activity_hourly WHERE username = $who)
    ORDER BY e.day
""", who=user)
expected.filter(pl.col("day").is_between(pl.date(2026, 1, 20), pl.date(2026, 1, 25))).drop("centre", "scale")

# %%
limit = expected.with_columns(limit=pl.col("expected") * 3).drop_nulls("expected")
x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", grid=False, tickCount="week"))
log = alt.Scale(type="log", domain=[300, 12000], nice=False)
y = alt.Y("actual:Q", title="rows read a day", scale=log, axis=alt.Axis(values=[300, 1000, 3000, 10000], format=","))
band = alt.Chart(limit).mark_line(color=ORANGE, strokeDash=[6, 4], strokeWidth=2).encode(x, alt.Y("limit:Q", scale=log))
usual = alt.Chart(limit).mark_line(color=GREY, strokeWidth=2).encode(x, alt.Y("expected:Q", scale=log))
seen = alt.Chart(expected.filter(~pl.col("unusual"))).mark_circle(color=BLUE, size=60, opacity=1).encode(x, y)
odd = alt.Chart(expected.filter("unusual")).mark_circle(color=RED, size=150, opacity=1).encode(x, y)
last = limit[-1]
words = pl.DataFrame({"day": last["day"].to_list() * 2, "at": [last["limit"].item(), last["expected"].item()],
                      "word": ["three times as much", "expected"]})
names = alt.Chart(words).mark_text(align="left", dx=8).encode(x, alt.Y("at:Q", scale=log), text="word:N")
theft = expected.filter("unusual")
note = alt.Chart(theft).mark_text(align="right", dx=-14, fontWeight="bold").encode(
    x, y, text=alt.value(f"23 January: {theft['actual'].item():,} rows"))
show((band + usual + seen + odd + names + note).properties(height=280),
     f"One day in five weeks is unusual: {theft['actual'].item() / theft['expected'].item():.0f} times as much as expected",
     "Rows that mkt.cloud read, day by day (logarithmic)")

# %%
assert theft["day"].cast(pl.String).to_list() == ["2026-01-23"]
assert (expected["reference"].drop_nulls() == "last 28 days").all()

# %% [markdown]
# ## The same by hand
#
# No magic: `ln(1 + rows)`, the median of the 28 days before, 1.4826 times the median deviation (kept between 0.20 and
# 0.50), and how many of these lie between. Three engines come to the same figures, from the raw rows of RestApi.

# %%
ours = expected.drop_nulls("expected").select("day", "centre", "scale", "z")
by_duckdb = duck.sql(f"""
    WITH daily AS (
        SELECT day, sum(rows_processed) FILTER (WHERE method = 'GET') AS rows
        FROM elf_rest_api
        WHERE user_id IN (SELECT user_id FROM elf_api_total_usage WHERE user_name = '{user}')
        GROUP BY day
    ), usual AS (
        SELECT d.day, ln(1 + d.rows) AS seen, median(ln(1 + h.rows)) AS centre,
               greatest(0.20, least(0.50, 1.4826 * mad(ln(1 + h.rows)))) AS scale
        FROM daily AS d JOIN daily AS h ON h.day >= d.day - INTERVAL 28 DAY AND h.day < d.day
        GROUP BY d.day, d.rows
    )
    SELECT day, centre, scale, (seen - centre) / scale AS z FROM usual
""")
ids = lake["elf_api_total_usage"].filter(pl.col("user_name") == user).select("user_id").unique()
daily = (
    lake["elf_rest_api"].filter(pl.col("method") == "GET").join(ids, on="user_id", how="semi")
    .group_by("day").agg(seen=pl.col("rows_processed").sum().log1p())
)
before = daily.join(daily.select(earlier="day", was="seen"), how="cross").filter(
    pl.col("earlier").is_between(pl.col("day") - pl.duration(days=28), pl.col("day"), closed="left")
)
off = (pl.col("was") - pl.col("was").median()).abs().median()
by_polars = (
    before.group_by("day", "seen")
    .agg(centre=pl.col("was").median(), scale=(1.4826 * off).clip(0.20, 0.50))
    .select("day", "centre", "scale", z=(pl.col("seen") - pl.col("centre")) / pl.col("scale"))
    .collect()
)
agree(ours, DuckDB=by_duckdb, Polars=by_polars).filter(pl.col("z") > 3)

# %%
assert ours.height == 34 and ours["z"].arg_max() == ours["day"].to_list().index(theft["day"].item())

# %% [markdown]
# ## All machines, all days
#
# The same for every integration user: how many spreads above the usual each day was.

# %%
machines = desk.sql("""
    SELECT DISTINCT e.day, replace(a.username, '@example.com', '') AS who, e.z, e.unusual
    FROM expected_activity AS e
    JOIN (SELECT DISTINCT user_key, username FROM activity_hourly WHERE role = 'integration') AS a ON a.user_key = e.user_key
    WHERE e.metric = 'rows' AND e.z IS NOT NULL AND e.history = 'enough' AND a.username IS NOT NULL
    ORDER BY who, e.day
""")
unusual = machines.filter("unusual").sort("day")
y = alt.Y("who:N", title=None, axis=alt.Axis(grid=True, ticks=False, domain=False))
zx = alt.X("z:Q", title="spreads above the usual day", axis=alt.Axis(grid=False))
near = pl.col("z") >= -6
plain = alt.Chart(machines.filter(~pl.col("unusual") & near)).mark_tick(color=BLUE, thickness=1.5, size=13, opacity=0.6).encode(zx, y)
odd = alt.Chart(unusual).mark_circle(color=RED, size=130, opacity=1).encode(zx, y)
label = alt.Chart(unusual.with_columns(on=pl.col("day").dt.strftime("%-d Jan"))).mark_text(align="left", dx=10).encode(zx, y, text="on:N")
show((plain + odd + label).properties(height=alt.Step(24)),
     f"{unusual.height} days of {machines.height} are unusual, and each belongs to an incident",
     ["Rows read by integration users: a stroke for each day, a dot where it is unusual",
      f"({machines.filter(~near).height} silent days of log.reader, far to the left, are not shown)"])

# %%
planted = pl.read_csv(f"{org}/expected.csv").with_columns(who=pl.col("username").str.replace("@example.com", ""))
incidents = set(planted.drop_nulls("day").select("who", "day").iter_rows())
assert unusual.height == 4
assert all((who, str(day)) in incidents for who, day in unusual.select("who", "day").iter_rows())
assert machines.filter(~near)["who"].unique().to_list() == ["log.reader"]

# %% [markdown]
# ## A theft does not become normal
#
# Once a rule has found the day, it is held out of the baselines that follow; else a slow thief could teach his habits
# to the system.

# %%
desk.run("detect", "--rule", "rows-volume-anomaly", "--now", now, "--lookback-days", "40", code=1)
after = desk.sql("""
    SELECT e.day, e.expected, e.held_out FROM expected_activity AS e
    WHERE e.metric = 'rows' AND e.user_key = (SELECT max(user_key) FROM activity_hourly WHERE username = $who)
    ORDER BY e.day
""", who=user)
both = expected.select("day", "expected").join(after, on="day", suffix="_once_found").filter(pl.col("day") > theft["day"].item())
both

# %%
assert (both["held_out"] == 1).all() and (both["expected_once_found"] <= both["expected"]).all()
