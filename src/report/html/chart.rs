//! Charts as SVG text. What a chart says in letters is dates, numbers and nothing else: names are
//! written beside it.
//!
//! Colours are named by the numbers below; the page's style sheet gives them other values in the
//! dark and on paper, by these very numbers.

use std::fmt::Display;

use chrono::Days;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Circle, Color, IntoDrawingArea, IntoFont, LineSeries,
    Polygon, RGBColor, Rectangle, SVGBackend, TriangleMarker,
};

use super::ReportError;
use super::content::Period;
use super::timeline::Band;

/// Units of a chart: twice what it is shown at, so that a year of days fits into whole numbers.
const WIDTH: u32 = 840;
const HEIGHT: u32 = 400;
const TEXT: u32 = 30;

/// The colours of the series in a stack, in their order; the style sheet knows the same.
pub const SERIES: [RGBColor; 6] = [
    RGBColor(0x2F, 0x6D, 0xB5),
    RGBColor(0x1E, 0x8A, 0x7A),
    RGBColor(0x7A, 0x5A, 0xB8),
    RGBColor(0x8A, 0x96, 0xA3),
    RGBColor(0xB4, 0x23, 0x18),
    RGBColor(0xC9, 0x7A, 0x12),
];
const INK: RGBColor = RGBColor(0x47, 0x55, 0x63);
const GRID: RGBColor = RGBColor(0xDD, 0xE3, 0xE8);
const BAND: RGBColor = RGBColor(0xC9, 0xDC, 0xF0);
const MARK: RGBColor = RGBColor(0xB4, 0x23, 0x19);

/// Bars of a stack: for each day of the period how much of each series.
pub struct Stack<'a> {
    pub period: Period,
    /// Places in [`SERIES`], from the bottom up.
    pub slots: &'a [usize],
    /// By day of the period, then by slot.
    pub values: &'a [Vec<u64>],
    /// Days of the period with a finding.
    pub marks: &'a [usize],
}

/// A line against what is expected of it.
pub struct Against<'a> {
    pub period: Period,
    /// By day of the period; none where there is no log.
    pub values: &'a [Option<u64>],
    pub bands: &'a [Option<Band>],
    /// Days beyond what is usual.
    pub unusual: &'a [usize],
    /// Days of the period with a finding.
    pub marks: &'a [usize],
}

type Plane<'c, 's> = ChartContext<'c, SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

pub fn stack(chart: &Stack<'_>) -> Result<String, ReportError> {
    let highest = chart.values.iter().map(|day| day.iter().sum::<u64>()).max();
    draw(chart.period, highest.unwrap_or(0) as f64, |plane, top| {
        for (day, values) in chart.values.iter().enumerate() {
            let mut below = 0_u64;
            for (slot, value) in chart.slots.iter().zip(values) {
                if *value == 0 {
                    continue;
                }
                let (from, to) = (below as f64, (below + value) as f64);
                let x = day as f64;
                let corners = [(x - 0.42, to), (x + 0.42, from)];
                let fill = SERIES[slot % SERIES.len()].filled();
                plane
                    .draw_series([Rectangle::new(corners, fill)])
                    .map_err(fault)?;
                below += value;
            }
        }
        mark(plane, chart.marks, top)
    })
}

pub fn against(chart: &Against<'_>) -> Result<String, ReportError> {
    let seen = chart.values.iter().flatten().map(|n| *n as f64);
    let expected = chart.bands.iter().flatten().map(|band| band.high);
    let seen_most = seen.fold(0.0, f64::max);
    // A band that is very wide must not press the line to the floor.
    let expected_most = expected.fold(0.0, f64::max).min(4.0 * seen_most.max(1.0));
    draw(chart.period, seen_most.max(expected_most), |plane, top| {
        for (from, to) in spans(chart.bands, Option::is_some) {
            let days = || (from..to).filter_map(|day| Some((day, chart.bands[day]?)));
            let edge =
                |day: usize, x: f64| (day as f64 + x).clamp(from as f64 - 0.4, to as f64 - 0.6);
            let mut points: Vec<(f64, f64)> = vec![];
            for (day, band) in days() {
                points.push((edge(day, -0.4), band.high.min(top)));
                points.push((edge(day, 0.4), band.high.min(top)));
            }
            for (day, band) in days().collect::<Vec<_>>().into_iter().rev() {
                points.push((edge(day, 0.4), band.low.min(top)));
                points.push((edge(day, -0.4), band.low.min(top)));
            }
            plane
                .draw_series([Polygon::new(points, BAND.filled())])
                .map_err(fault)?;
        }
        for (from, to) in spans(chart.values, Option::is_some) {
            let points = (from..to).filter_map(|day| Some((day as f64, chart.values[day]? as f64)));
            let points: Vec<(f64, f64)> = points.collect();
            if let [only] = points.as_slice() {
                plane
                    .draw_series([Circle::new(*only, 4, SERIES[0].filled())])
                    .map_err(fault)?;
            }
            plane
                .draw_series(LineSeries::new(points, SERIES[0].stroke_width(4)))
                .map_err(fault)?;
        }
        for day in chart.unusual {
            if let Some(Some(value)) = chart.values.get(*day) {
                let at = (*day as f64, *value as f64);
                plane
                    .draw_series([Circle::new(at, 11, MARK.stroke_width(5))])
                    .map_err(fault)?;
            }
        }
        mark(plane, chart.marks, top)
    })
}

/// Runs of neighbours that have what is asked for: `[from, to)`.
fn spans<T>(all: &[T], has: impl Fn(&T) -> bool) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = vec![];
    for (n, one) in all.iter().enumerate() {
        match (has(one), found.last_mut()) {
            (true, Some((_, to))) if *to == n => *to = n + 1,
            (true, _) => found.push((n, n + 1)),
            (false, _) => {}
        }
    }
    found
}

/// A triangle at the upper edge of each day with a finding.
fn mark(plane: &mut Plane<'_, '_>, days: &[usize], top: f64) -> Result<(), ReportError> {
    let marks = days
        .iter()
        .map(|day| TriangleMarker::new((*day as f64, 0.95 * top), 11, MARK.filled()));
    plane.draw_series(marks).map_err(fault)?;
    Ok(())
}

fn draw(
    period: Period,
    highest: f64,
    content: impl FnOnce(&mut Plane<'_, '_>, f64) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let days = period.days().count();
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        // Room for the marks above the highest bar.
        let top = (highest * 1.14).max(1.0);
        let mut plane = ChartBuilder::on(&canvas)
            .margin_top(6)
            .margin_right(12)
            .x_label_area_size(46)
            .y_label_area_size(84)
            .build_cartesian_2d(-0.5..days as f64 - 0.5, 0.0..top)
            .map_err(fault)?;
        let letters = ("sans-serif", TEXT).into_font().color(&INK);
        plane
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(GRID.mix(0.0))
            .axis_style(INK.stroke_width(2))
            .x_labels(6)
            .y_labels(4)
            .x_label_formatter(&|x| label_of(period, *x))
            .y_label_formatter(&|y| short(*y))
            .label_style(letters)
            .draw()
            .map_err(fault)?;
        content(&mut plane, top)?;
        drop(plane);
        canvas.present().map_err(fault)?;
    }
    // A page needs no name space, and this one names no address.
    Ok(svg.replacen(r#" xmlns="http://www.w3.org/2000/svg""#, "", 1))
}

/// `5 Jan` at whole days.
fn label_of(period: Period, x: f64) -> String {
    if x < 0.0 || x.fract() != 0.0 {
        return String::new();
    }
    // Whole, and within a period of at most some years.
    let day = period.first.checked_add_days(Days::new(x as u64));
    day.map(|day| day.format("%-d %b").to_string())
        .unwrap_or_default()
}

/// `1.5k`, `20M`; nothing between two small whole numbers.
fn short(y: f64) -> String {
    for (unit, letter) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if y >= unit {
            let number = format!("{:.1}", y / unit);
            return number.trim_end_matches(".0").to_owned() + letter;
        }
    }
    match y.fract() == 0.0 {
        true => format!("{y:.0}"),
        false => String::new(),
    }
}

fn fault(error: impl Display) -> ReportError {
    ReportError::Chart(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(days: u64) -> Period {
        let first = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        Period {
            first,
            last: first.checked_add_days(Days::new(days - 1)).unwrap(),
            told_until: first,
        }
    }

    #[test]
    fn every_day_of_a_year_has_its_bar() {
        let values = vec![vec![5, 1]; 366];
        let svg = stack(&Stack {
            period: period(366),
            slots: &[0, 4],
            values: &values,
            marks: &[365],
        })
        .unwrap();
        for colour in ["#2F6DB5", "#B42318"] {
            let of = |line: &&str| line.starts_with("<rect") && line.contains(colour);
            let bars: Vec<&str> = svg.lines().filter(of).collect();
            assert_eq!(bars.len(), 366, "{colour}");
            assert!(
                !bars.iter().any(|bar| bar.contains("width=\"0\"")),
                "{colour}"
            );
        }
        assert_eq!(svg.matches("<polygon").count(), 1);
    }

    #[test]
    fn a_chart_names_no_address_and_is_the_same_each_time() {
        let draw = || {
            against(&Against {
                period: period(5),
                values: &[Some(3), None, Some(80), Some(4), Some(0)],
                bands: &[
                    None,
                    None,
                    Some(Band {
                        low: 1.0,
                        middle: 4.0,
                        high: 9.0,
                    }),
                    None,
                    None,
                ],
                unusual: &[2],
                marks: &[],
            })
            .unwrap()
        };
        let svg = draw();
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        assert!(!svg.contains("http") && svg.contains("viewBox"), "{svg}");
        assert_eq!(svg, draw());
        assert!(svg.contains(">\n1 Jan\n<"), "{svg}");
    }

    #[test]
    fn nothing_at_all_is_an_empty_chart() {
        let empty = Stack {
            period: period(1),
            slots: &[],
            values: &[vec![]],
            marks: &[],
        };
        assert!(stack(&empty).unwrap().contains("<svg"));
    }

    #[test]
    fn numbers_beside_the_axis_are_short() {
        let shown = [0.0, 2.0, 2.5, 1500.0, 20_000_000.0].map(short);
        assert_eq!(shown, ["0", "2", "", "1.5k", "20M"]);
    }
}
