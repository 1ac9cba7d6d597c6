//! The comparison itself, for some series and days at once.
//!
//! A *cell* is one covered day before a judged day. From the cells of a pair its reference is
//! chosen, then measured, then the judged day is put through the gates.

use polars::prelude::*;

use super::calendar::{HeldOutDays, Pair, Position};
use super::read::{Covered, Totals};
use super::{
    HIGHEST_DAYS, LAST_DAYS, LOOKBACK_DAYS, MAD_TO_SCALE, MAX_OVER_ONE_MONTH, MAX_OVER_SEASON,
    MAX_SCALE, MIN_ACTIVE_DAYS, MIN_COVERED_DAYS, MIN_OVER_HIGHEST, MIN_RATIO, MIN_SAME_WEEKDAY,
    MIN_SCALE, MIN_SEASON_MONTHS, MIN_Z, REFERENCE_DAYS, REGULAR_SHARE, SLACK, SPARSE_SHARE,
};

/// Which days a reference is made of, as the column `choice` has it.
pub(super) const SAME_WEEKDAY: i32 = 0;
pub(super) const LAST: i32 = 1;
pub(super) const ACTIVE: i32 = 2;

/// Series and days to judge, with all that bears on them.
pub(super) struct Chunk<'a> {
    pub totals: &'a Totals,
    pub covered: &'a Covered,
    pub held_out: &'a HeldOutDays,
    pub positions: &'a [Position],
    pub pairs: &'a [Pair],
}

const PAIR: [&str; 2] = ["series", "judged"];

/// One row per pair, by day and series, with the columns that `write` reads.
pub(super) fn judge(chunk: &Chunk<'_>) -> PolarsResult<DataFrame> {
    let frames = Frames::of(chunk)?;
    let cells = cells(&frames)?;
    let habits = habits(&cells)?;
    let references = references(&cells, &habits)?;
    let judged = gates(&frames, &habits, &references)?;
    seasons(&frames, judged)?
        .with_columns([every([
            col("passes"),
            col("in_season").not(),
            col("covered_days").gt_eq(lit(MIN_COVERED_DAYS)),
            col("active_days").gt_eq(lit(MIN_ACTIVE_DAYS)),
        ])
        .alias("unusual")])
        .sort(["judged", "series"], SortMultipleOptions::default())
        .collect()
}

/// What is known, as frames.
struct Frames {
    /// series, metric, judged
    pairs: LazyFrame,
    /// metric, day
    covered: LazyFrame,
    /// series, day, x, y = ln(1 + x)
    values: LazyFrame,
    /// series, judged, day, held = 1
    held_out: LazyFrame,
    /// series, judged, let_in
    let_in: LazyFrame,
    /// judged, from_end, month, day
    positions: LazyFrame,
}

impl Frames {
    fn of(chunk: &Chunk<'_>) -> PolarsResult<Self> {
        let pairs = chunk.pairs;
        let metric_of = |pair: &Pair| chunk.totals.series[pair.series as usize].metric as i32;
        let judged = pairs.iter().map(|pair| pair.judged);
        let first = judged.clone().min().unwrap_or_default() - LOOKBACK_DAYS;
        let end = judged.max().unwrap_or_default() + 1;

        let mut metrics: Vec<_> = pairs
            .iter()
            .map(|pair| chunk.totals.series[pair.series as usize].metric)
            .collect();
        metrics.sort_unstable();
        metrics.dedup();
        let covered: Vec<(i32, i32)> = metrics
            .into_iter()
            .flat_map(|metric| {
                let days = chunk.covered.between(metric, first, end);
                days.map(move |day| (metric as i32, day))
            })
            .collect();

        let mut series: Vec<u32> = pairs.iter().map(|pair| pair.series).collect();
        series.sort_unstable();
        series.dedup();
        let mut values: (Vec<u32>, Vec<i32>, Vec<i64>, Vec<f64>) = Default::default();
        for place in series {
            for value in &chunk.totals.values[place as usize] {
                if (first..end).contains(&value.day) {
                    values.0.push(place);
                    values.1.push(value.day);
                    values.2.push(value.value);
                    values.3.push((value.value as f64).ln_1p());
                }
            }
        }
        let held = &chunk.held_out.days;
        let let_in = &chunk.held_out.let_in;
        let positions = chunk.positions;
        Ok(Self {
            pairs: frame(vec![
                column("series", pairs.iter().map(|pair| pair.series)),
                column("metric", pairs.iter().map(metric_of)),
                column("judged", pairs.iter().map(|pair| pair.judged)),
            ])?,
            covered: frame(vec![
                column("metric", covered.iter().map(|(metric, _)| *metric)),
                column("day", covered.iter().map(|(_, day)| *day)),
            ])?,
            values: frame(vec![
                Column::new("series".into(), values.0),
                Column::new("day".into(), values.1),
                Column::new("x".into(), values.2),
                Column::new("y".into(), values.3),
            ])?,
            held_out: frame(vec![
                column("series", held.iter().map(|(pair, _)| pair.series)),
                column("judged", held.iter().map(|(pair, _)| pair.judged)),
                column("day", held.iter().map(|(_, day)| *day)),
                column("held", held.iter().map(|_| 1_i32)),
            ])?,
            let_in: frame(vec![
                column("series", let_in.iter().map(|(pair, _)| pair.series)),
                column("judged", let_in.iter().map(|(pair, _)| pair.judged)),
                column("let_in", let_in.iter().map(|(_, days)| *days)),
            ])?,
            positions: frame(vec![
                column("judged", positions.iter().map(|p| p.judged)),
                column("from_end", positions.iter().map(|p| p.from_end)),
                column("month", positions.iter().map(|p| p.month)),
                column("day", positions.iter().map(|p| p.day)),
            ])?,
        })
    }
}

/// Each covered day before each judged day, the latest first: what the series was on it.
fn cells(frames: &Frames) -> PolarsResult<LazyFrame> {
    let cells = frames
        .pairs
        .clone()
        .join(
            frames.covered.clone(),
            [col("metric")],
            [col("metric")],
            JoinArgs::new(JoinType::Inner),
        )
        .filter(
            col("day")
                .lt(col("judged"))
                .and(col("day").gt_eq(col("judged") - lit(LOOKBACK_DAYS))),
        );
    let cells = left(cells, frames.values.clone(), &["series", "day"]);
    let cells = left(cells, frames.held_out.clone(), &["series", "judged", "day"]);
    let near = (col("judged") - col("day")).lt_eq(lit(REFERENCE_DAYS));
    let cells = cells
        .select([
            col("series"),
            col("judged"),
            col("day"),
            ((col("judged") - col("day")) % lit(7)).alias("weekday"),
            near.clone().alias("near"),
            col("held").is_null().alias("free"),
            near.and(col("held").is_null()).alias("recent"),
            col("x").is_not_null().alias("active"),
            col("x").fill_null(lit(0_i64)),
            col("y").fill_null(lit(0.0)),
        ])
        .sort(
            ["judged", "series", "day"],
            SortMultipleOptions::default().with_order_descending_multi([false, false, true]),
        );
    // Used twice: held, not computed again.
    Ok(cells.collect()?.lazy())
}

/// How regular each pair is, and which reference that calls for.
fn habits(cells: &LazyFrame) -> PolarsResult<LazyFrame> {
    let count = |condition: Expr| condition.cast(DataType::Int64).sum();
    let recent = || col("recent");
    let shows = || col("x").gt(lit(0_i64));
    let mut sums = vec![
        count(col("near")).alias("covered_days"),
        count(col("near").and(col("active"))).alias("active_days"),
        count(col("near").and(col("free").not())).alias("held_out"),
        count(recent()).alias("days"),
        count(recent().and(shows())).alias("shown"),
        count(recent().and(col("weekday").eq(lit(0)))).alias("same"),
        col("x")
            .filter(col("free"))
            .head(Some(HIGHEST_DAYS))
            .max()
            .alias("highest_35"),
        // The first of the last days: the cells go back in time.
        col("day")
            .filter(recent())
            .head(Some(LAST_DAYS))
            .min()
            .alias("since"),
    ];
    // Days that keep to what their weekday mostly does.
    let mut habitual = lit(0_i64);
    for weekday in 0..7 {
        let on = format!("on_{weekday}");
        let off = format!("off_{weekday}");
        let of_weekday = || recent().and(col("weekday").eq(lit(weekday)));
        sums.push(count(of_weekday().and(shows())).alias(on.as_str()));
        sums.push(count(of_weekday().and(shows().not())).alias(off.as_str()));
        let (on, off) = (col(on.as_str()), col(off.as_str()));
        habitual = habitual + when(on.clone().gt(off.clone())).then(on).otherwise(off);
    }
    let share = |part: Expr, of: Expr| part.cast(DataType::Float64) / of.cast(DataType::Float64);
    let is_sparse = every([
        col("shown").gt(lit(0_i64)),
        share(col("shown"), col("days")).lt(lit(SPARSE_SHARE)),
        share(habitual, col("days")).lt(lit(REGULAR_SHARE)),
    ]);
    let choice = when(is_sparse)
        .then(lit(ACTIVE))
        .when(col("same").gt_eq(lit(MIN_SAME_WEEKDAY)))
        .then(lit(SAME_WEEKDAY))
        .otherwise(lit(LAST));
    let habits = cells
        .clone()
        .group_by_stable(PAIR.map(col))
        .agg(sums)
        .with_columns([choice.alias("choice")]);
    Ok(habits.collect()?.lazy())
}

/// Centre, scale and extent of each pair's reference.
fn references(cells: &LazyFrame, habits: &LazyFrame) -> PolarsResult<LazyFrame> {
    let chosen = col("choice")
        .eq(lit(SAME_WEEKDAY))
        .and(col("weekday").eq(lit(0)))
        .or(col("choice")
            .eq(lit(LAST))
            .and(col("day").gt_eq(col("since"))))
        .or(col("choice").eq(lit(ACTIVE)).and(col("x").gt(lit(0_i64))));
    let choice = habits
        .clone()
        .select([col("series"), col("judged"), col("choice"), col("since")]);
    let days = left(cells.clone().filter(col("recent")), choice, &PAIR)
        .filter(chosen)
        .collect()?
        .lazy();
    let centres = days.clone().group_by(PAIR.map(col)).agg([
        col("y").median().alias("centre"),
        col("day")
            .count()
            .cast(DataType::Int64)
            .alias("reference_days"),
        col("day").min().alias("reference_first"),
        col("day").max().alias("reference_last"),
    ]);
    let centres = centres.collect()?.lazy();
    let scale = || col("deviation") * lit(MAD_TO_SCALE);
    let bounded = when(scale().lt(lit(MIN_SCALE)))
        .then(lit(MIN_SCALE))
        .when(scale().gt(lit(MAX_SCALE)))
        .then(lit(MAX_SCALE))
        .otherwise(scale());
    let scales = left(days, centres.clone(), &PAIR)
        .group_by(PAIR.map(col))
        .agg([(col("y") - col("centre")).abs().median().alias("deviation")])
        .select([col("series"), col("judged"), bounded.alias("scale")]);
    Ok(left(centres, scales, &PAIR))
}

/// The judged day against its reference: `passes` where the gates of size all open.
fn gates(frames: &Frames, habits: &LazyFrame, references: &LazyFrame) -> PolarsResult<LazyFrame> {
    let actual = frames.values.clone().select([
        col("series"),
        col("day").alias("judged"),
        col("x").alias("actual"),
        col("y").alias("actual_y"),
    ]);
    let pairs = left(frames.pairs.clone(), actual, &PAIR);
    let pairs = left(pairs, habits.clone(), &PAIR);
    let pairs = left(pairs, references.clone(), &PAIR);
    let pairs = left(pairs, frames.let_in.clone(), &PAIR);
    let x = || col("actual").cast(DataType::Float64);
    let at_least = |value: Expr, bound: Expr| value.gt_eq(bound * lit(1.0 - SLACK));
    let highest = col("highest_35").cast(DataType::Float64);
    let passes = every([
        at_least(col("z"), lit(MIN_Z)),
        at_least(x(), col("expected") * lit(MIN_RATIO)),
        x().gt(highest.fill_null(lit(0.0)) * lit(MIN_OVER_HIGHEST)),
    ]);
    let zero = |name: &str| col(name).fill_null(lit(0_i64));
    let judged = pairs
        .with_columns([
            zero("actual"),
            col("actual_y").fill_null(lit(0.0)),
            zero("covered_days"),
            zero("active_days"),
            zero("held_out"),
            zero("let_in"),
            zero("reference_days"),
            (col("centre").exp() - lit(1.0)).alias("expected"),
        ])
        .with_columns([((col("actual_y") - col("centre")) / col("scale")).alias("z")])
        .with_columns([passes.fill_null(lit(false)).alias("passes")]);
    Ok(judged.collect()?.lazy())
}

/// Adds what the same place of earlier months has seen.
fn seasons(frames: &Frames, judged: LazyFrame) -> PolarsResult<LazyFrame> {
    let spots = frames
        .pairs
        .clone()
        .join(
            frames.positions.clone(),
            [col("judged")],
            [col("judged")],
            JoinArgs::new(JoinType::Inner),
        )
        .join(
            frames.covered.clone(),
            ["metric", "day"].map(col),
            ["metric", "day"].map(col),
            JoinArgs::new(JoinType::Inner),
        );
    let place = ["series", "judged", "from_end"];
    let months = left(spots, frames.values.clone(), &["series", "day"])
        .group_by(["series", "judged", "from_end", "month"].map(col))
        .agg([col("x").fill_null(lit(0_i64)).max().alias("x")])
        .group_by(place.map(col))
        .agg([
            col("x").count().cast(DataType::Int64).alias("months"),
            col("x").min().alias("low"),
            col("x").max().alias("high"),
        ]);
    let of_pair =
        judged
            .clone()
            .select([col("series"), col("judged"), col("actual"), col("expected")]);
    let low = || col("low").cast(DataType::Float64);
    let actual = col("actual").cast(DataType::Float64);
    let is_enough = || col("months").gt_eq(lit(MIN_SEASON_MONTHS));
    let most_over = when(is_enough())
        .then(lit(MAX_OVER_SEASON))
        .otherwise(lit(MAX_OVER_ONE_MONTH));
    let is_alike = every([
        col("low").gt(lit(0_i64)),
        low().gt_eq(col("expected") * lit(MIN_RATIO * (1.0 - SLACK))),
        actual.lt_eq(col("high").cast(DataType::Float64) * most_over),
    ]);
    let alike_in = |enough: Expr| enough.and(col("is_alike")).any(true);
    let seasons = left(months, of_pair, &PAIR)
        .with_columns([is_alike.fill_null(lit(false)).alias("is_alike")])
        .group_by(PAIR.map(col))
        .agg([
            alike_in(is_enough()).alias("in_season"),
            alike_in(is_enough().not()).alias("maybe_season"),
            col("high").max().alias("season_highest"),
        ]);
    Ok(left(judged, seasons, &PAIR)
        .with_columns([
            col("in_season").fill_null(lit(false)),
            col("maybe_season").fill_null(lit(false)),
        ])
        .with_columns([col("maybe_season").and(col("in_season").not())]))
}

fn every<const N: usize>(conditions: [Expr; N]) -> Expr {
    conditions
        .into_iter()
        .reduce(Expr::and)
        .unwrap_or_else(|| lit(true))
}

fn left(frame: LazyFrame, other: LazyFrame, on: &[&str]) -> LazyFrame {
    let on: Vec<Expr> = on.iter().map(|name| col(*name)).collect();
    frame.join(other, &on, &on, JoinArgs::new(JoinType::Left))
}

fn frame(columns: Vec<Column>) -> PolarsResult<LazyFrame> {
    Ok(DataFrame::new_infer_height(columns)?.lazy())
}

fn column<T>(name: &str, values: impl Iterator<Item = T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    let values: Vec<T> = values.collect();
    Column::from(Series::new(name.into(), values))
}
