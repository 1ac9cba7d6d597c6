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
# # Tuning a rule
#
# `rows-volume-anomaly` tells when an account reads far more than it normally does. Its parameters decide how much "far"
# is. Guessing them is how rules get noisy and are then ignored; here they are set by what the logs say.

# %% tags=["parameters"]
org = "../sample-data"
now = "2026-01-31T03:00:00Z"
rule = "rows-volume-anomaly"
first, after_last = "2025-12-27", "2026-01-31"

# %%
import json

import altair as alt
import polars as pl

from charts import BLUE, GREEN, GREY, ORANGE, RED, show
from orgwatch import Desk, agree

desk = Desk(org)
print(desk.run("ingest", "logs"))

# %% [markdown]
# ## What can be tuned
#
# Every parameter of a rule has a meaning and a default, in the rule's own file.

# %%
import re
import tomllib

head = re.search(r"/\*(.*?)\*/", desk.run("rules", "show", rule), re.DOTALL)[1]
params = tomllib.loads(head)["params"]
pl.DataFrame([{"name": name, "default": str(p["default"])[:20], "meaning": p["meaning"]} for name, p in params.items()])

# %%
assert params["min_sensitive_rows"]["default"] == 1000 and params["min_z"]["default"] == 3.0

# %% [markdown]
# ## How many rows are many?
#
# The rule's own query, asked of all five weeks at once, with one threshold after the other. A parameter is bound, never
# written into the SQL.

# %%
planted = pl.read_csv(f"{org}/expected.csv").drop_nulls("day")
incidents = set(planted.select("username", "day").iter_rows())


def alerts(**params) -> pl.DataFrame:
    """What the rule would tell of the five weeks, and whether something was planted there."""
    rows = desk.sql("--rule", rule, window_start=first, window_end=after_last, **params)
    days = rows.select("username", day=pl.col("occurred_at").dt.date().cast(pl.String), rows="rows_read")
    return days.with_columns(planted=pl.Series([pair[:2] in incidents for pair in days.iter_rows()], dtype=pl.Boolean))


thresholds = [250, 500, 1000, 3000, 6000, 10000]
sweep = pl.concat(alerts(min_sensitive_rows=n).with_columns(threshold=pl.lit(n)) for n in thresholds)
names = sweep.sort("rows", descending=True)["username"].unique(maintain_order=True).to_list()
bars = (
    alt.Chart(sweep.with_columns(pl.col("username").str.replace("@example.com", ""))).mark_bar(stroke="white", strokeWidth=2)
    .encode(
        alt.X("threshold:O", title="min_sensitive_rows (default 1000)", scale=alt.Scale(domain=thresholds),
              axis=alt.Axis(labelAngle=0, ticks=False, format=",")),
        alt.Y("count():Q", title="alerts in five weeks", axis=alt.Axis(tickMinStep=1, values=[0, 1, 2, 3, 4])),
        alt.Color("username:N", scale=alt.Scale(domain=[name.replace("@example.com", "") for name in names],
                                                range=[RED, ORANGE, BLUE, GREEN])),
        alt.Order("rows:Q", sort="descending"),
    )
)
show(bars.properties(height=240), "At 500 rows four incidents are told, at the default two; no threshold tells anything else",
     "Alerts of rows-volume-anomaly by threshold; colours are accounts")

# %%
counts = dict(sweep.group_by("threshold").len().iter_rows())
assert [counts.get(n, 0) for n in thresholds] == [4, 4, 2, 2, 1, 0]
assert sweep["planted"].all()

# %% [markdown]
# What these accounts read on those days is no opinion of the rule: DuckDB and Polars add it up from the raw rows.

# %%
lake, duck = desk.in_polars(), desk.in_duckdb()
told = sweep.filter(pl.col("threshold") == 500).select("username", "day", "rows")
wanted = ", ".join(f"('{username}', DATE '{day}')" for username, day, _ in told.iter_rows())
users = lake["roster_user"].select("user_id", "username").unique()
agree(
    told,
    DuckDB=duck.sql(f"""
        SELECT username, CAST(day AS VARCHAR) AS day, sum(rows_processed) AS rows
        FROM (SELECT * FROM elf_rest_api WHERE method = 'GET')
        JOIN (SELECT DISTINCT user_id, username FROM roster_user) USING (user_id)
        WHERE (username, day) IN ({wanted}) GROUP BY ALL
    """),
    Polars=lake["elf_rest_api"]
    .filter(pl.col("method") == "GET")
    .join(users, on="user_id")
    .group_by("username", pl.col("day").cast(pl.String)).agg(rows=pl.col("rows_processed").sum())
    .join(told.lazy().select("username", "day"), on=["username", "day"], how="semi").collect(),
)

# %%
assert told["rows"].min() < 1000 < told["rows"].max()

# %% [markdown]
# ## How unusual is unusual?
#
# The other knob is `min_z`: how many spreads a day must lie above the usual. With the other thresholds opened wide, this
# alone separates incidents from busy days.

# %%
spreads = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0]
wide = pl.concat(
    alerts(min_sensitive_rows=100, times=1.2, over_highest=1.0, min_z=z).with_columns(min_z=pl.lit(z)) for z in spreads
)
kinds = ["planted incident", "a busy day"]
told_by_z = wide.with_columns(what=pl.when("planted").then(pl.lit(kinds[0])).otherwise(pl.lit(kinds[1])))
bars = (
    alt.Chart(told_by_z).mark_bar(stroke="white", strokeWidth=2)
    .encode(
        alt.X("min_z:O", title="min_z (default 3)", scale=alt.Scale(domain=spreads), axis=alt.Axis(labelAngle=0, ticks=False)),
        alt.Y("count():Q", title="alerts in five weeks", axis=alt.Axis(tickMinStep=1)),
        alt.Color("what:N", scale=alt.Scale(domain=kinds, range=[RED, GREY])),
        alt.Order("planted:N", sort="descending"),
    )
)
show(bars.properties(height=240), "From three spreads on, every alert is an incident",
     "Alerts by min_z, with the thresholds for rows and multiples opened wide")

# %%
share = {z: wide.filter(pl.col("min_z") == z)["planted"] for z in spreads}
assert all(share[z].all() for z in spreads if z >= 3) and not share[1.0].all()
assert share[3.0].len() == 4

# %% [markdown]
# ## What the nights would have said
#
# `rules backtest` replays each night as it would have been, with what was known then, and judges the rule twice: as it is
# set, and with the other value. Nothing is written.

# %%
backtest = json.loads(
    desk.run("rules", "backtest", rule, "--since", "2026-01-15", "--until", "2026-01-27",
             "--param", f"{rule}.min_sensitive_rows=500", "--threads", "1", "--format", "json")
)
changes = pl.DataFrame(backtest["changes"]).select("change", "severity", "who", pl.col("first_seen").str.head(10).alias("day"), "observed")
changes

# %%
assert sum(r["before"] for r in backtest["compared"]) == counts[1000] == 2
assert sum(r["after"] for r in backtest["compared"]) == counts[500] == 4
assert all((who, day) in incidents for who, day in changes.select("who", "day").iter_rows())

# %% [markdown]
# ## In the configuration
#
# Two more incidents, and no noise: worth having. The rule's file stays as it is; the setting stands in `orgwatch.toml`.

# %%
setting = f"""
[rules."{rule}"]
params = {{ min_sensitive_rows = 500 }}
"""
with open(desk.path / "orgwatch.toml", "a") as config:
    config.write(setting)
desk.run("detect", "--rule", rule, "--now", now, "--lookback-days", "40", code=1)
findings = desk.sql("SELECT severity, username, CAST(first_seen AS DATE) AS day, observed FROM findings ORDER BY first_seen")
findings

# %%
assert findings.height == 4
