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
# # Performance
#
# What a night costs, and what a question costs, on the machine that this was last executed on. Numbers of one small
# machine are no benchmark (see [`benches`](../benches/README.md) for those); what is asserted here is that the answers
# are right and that nothing got lost, not how fast that was.

# %% tags=["parameters"]
days = 14
seed = 7

# %%
import os
import platform
import time

import altair as alt
import polars as pl

from charts import BLUE, GREEN, GREY, INK, ORANGE, show
from orgwatch import Desk, agree, binary

desk = Desk.simulated("--seed", seed, "--size", "small", "--days", days)

# %% tags=["volatile"]
build = binary().resolve().parent.name
print(f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, load {os.getloadavg()[0]:.1f}; build: {build}")

# %% [markdown]
# ## Fourteen nights
#
# A synthetic org (40 integrations, 300 people) writes some ten thousand rows a day. Its logs come in night by night, each
# in a run of its own, into a lake that grows.

# %%
nights = sorted(path.name for path in (desk.path / "logs").iterdir())
measured = []
for night in nights:
    _, seconds, memory = desk.measure("ingest", "--quiet", f"logs/{night}")
    measured.append({"night": night, "seconds": seconds, "MiB": memory})
rows = desk.sql("""
    SELECT r.run_id, count(*) AS files, sum(f.rows_read) AS read, sum(f.rows_kept) AS kept,
           sum(f.rows_duplicate) AS duplicate, sum(f.rows_quarantined) AS quarantined
    FROM files AS f JOIN runs AS r ON r.run_id = f.run_id GROUP BY r.run_id ORDER BY r.run_id
""")
print(f"{rows['read'].sum():,} rows in {rows['files'].sum()} files of {len(nights)} nights")

# %%
assert rows.height == len(nights) and rows["read"].sum() > 100_000
assert (rows["read"] == rows["kept"] + rows["duplicate"] + rows["quarantined"]).all()

# %% tags=["volatile"]
cost = pl.DataFrame(measured).with_columns(rows["read"], night=pl.col("night").str.to_date())
rate = cost["read"].sum() / cost["seconds"].sum()


def panel(column: str, title: str, colour: str, last: bool = False) -> alt.LayerChart:
    x = alt.X("night:T", title=None, axis=alt.Axis(format="%-d %b", grid=False, tickCount=7, labels=last))
    y = alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4, format=",.3~f"))
    base = alt.Chart(cost).encode(x, y)
    return (base.mark_line(color=colour, strokeWidth=2) + base.mark_circle(color=colour, size=60, opacity=1)).properties(height=110)


show(
    alt.vconcat(panel("read", "rows", GREY), panel("seconds", "seconds", BLUE), panel("MiB", "peak MiB", ORANGE, True), spacing=14),
    f"{rate:,.0f} rows a second, night by night, in at most {cost['MiB'].max():,.0f} MiB",
    "Each night in a process of its own: rows read, seconds from start to end, peak memory",
)

# %% [markdown]
# The same files once more are known by their content, and nothing is read.

# %%
again, seconds, memory = desk.measure("ingest", "logs")
known = desk.sql("SELECT sum(rows_kept) AS kept FROM files")["kept"].item()
print(again)

# %%
assert "0 read" in again
assert known == rows["kept"].sum(), (known, rows["kept"].sum())

# %% [markdown]
# ## Questions
#
# Four questions, to three engines, over the same Parquet files: the fastest of three times. The time of `orgwatch sql` is
# that of a whole process, which starts, opens the lake and plans; DuckDB and Polars are at work already.

# %%
lake, duck = desk.in_polars(), desk.in_duckdb()
calls = lake["elf_api_total_usage"]
questions = {
    "calls by user": (
        "SELECT user_id, count(*) AS calls FROM elf_api_total_usage GROUP BY user_id",
        calls.group_by("user_id").agg(calls=pl.len()),
    ),
    "calls by hour of day": (
        "SELECT CAST(date_part('hour', occurred_at) AS INT) AS hour, count(*) AS calls FROM elf_api_total_usage GROUP BY 1",
        calls.group_by(hour=pl.col("occurred_at").dt.hour()).agg(calls=pl.len()),
    ),
    "objects by app": (
        "SELECT connected_app_name AS app, entity_name AS object, count(*) AS calls, count(DISTINCT ip) AS addresses "
        "FROM elf_api_total_usage GROUP BY 1, 2",
        calls.group_by(app="connected_app_name", object="entity_name")
        .agg(calls=pl.len(), addresses=pl.col("ip").drop_nulls().n_unique()),
    ),
    "calls after a login from elsewhere": (
        "SELECT c.user_id, count(*) AS calls FROM elf_api_total_usage AS c "
        "WHERE NOT EXISTS (SELECT 1 FROM elf_login AS l WHERE l.user_id = c.user_id AND l.ip = c.ip) GROUP BY c.user_id",
        calls.join(lake["elf_login"], on=["user_id", "ip"], how="anti").group_by("user_id").agg(calls=pl.len()),
    ),
}


def fastest(ask) -> float:
    def once() -> float:
        begun = time.perf_counter()
        ask()
        return time.perf_counter() - begun

    return min(once() for _ in range(3))


timed = []
for name, (query, frame) in questions.items():
    agree(desk.sql(query), DuckDB=duck.sql(query), Polars=frame.collect())
    for engine, ask in {
        "orgwatch sql": lambda: desk.sql(query),
        "DuckDB": lambda: duck.sql(query).fetchall(),
        "Polars": lambda: frame.collect(),
    }.items():
        timed.append({"question": name, "engine": engine, "milliseconds": fastest(ask) * 1000})

# %%
assert len(timed) == 12 and all(t["milliseconds"] > 0 for t in timed)

# %% tags=["volatile"]
engines = ["orgwatch sql", "DuckDB", "Polars"]
bars = alt.Chart(pl.DataFrame(timed)).encode(
    alt.Y("question:N", title=None, sort=list(questions), axis=alt.Axis(ticks=False, domain=False)),
    alt.YOffset("engine:N", sort=engines),
    alt.X("milliseconds:Q", title="milliseconds, fastest of three", axis=alt.Axis(tickCount=5, format=",.0f")),
    alt.Color("engine:N", scale=alt.Scale(domain=engines, range=[BLUE, ORANGE, GREEN])),
)
names = bars.mark_text(align="left", dx=5).encode(text=alt.Text("milliseconds:Q", format=",.0f"), color=alt.value(INK))
slowest = max(t["milliseconds"] for t in timed if t["engine"] == "orgwatch sql")
show((bars.mark_bar() + names).properties(height=alt.Step(20)),
     f"A question in the shell takes {slowest:,.0f} ms at most, starting the program included",
     f"{calls.select(pl.len()).collect().item():,} API calls of {days} days; orgwatch starts anew for each question")

# %% [markdown]
# ## The lake
#
# Logs take a fraction of their size, and every file is as the ledger says.

# %% tags=["volatile"]
csv = sum(path.stat().st_size for path in (desk.path / "logs").rglob("*") if path.is_file())
parquet = desk.sql("SELECT sum(bytes) AS bytes FROM parts WHERE event_type NOT LIKE 'rollup_%'")["bytes"].item()
print(f"{csv / 2**20:.0f} MiB of CSV, {parquet / 2**20:.0f} MiB of Parquet")

# %%
verified = desk.run("lake", "verify")
assert parquet < csv
