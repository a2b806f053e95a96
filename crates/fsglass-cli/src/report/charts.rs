//! Pictures, as SVG.

use super::{Summary, Totals};
use crate::quantity;
use plotters::prelude::*;
use std::collections::BTreeMap;

/// Of bars: dark enough on white.
const BAR: RGBColor = RGBColor(0x2B, 0x6C, 0xB0);
/// Of lines in the background.
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
const TEXT: RGBColor = RGBColor(0x33, 0x33, 0x33);

/// What a chart is drawn with.
type Drawing<T> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

/// Draws into a picture of that size.
fn picture(
    width: u32,
    height: u32,
    draw: impl FnOnce(DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawing<()>,
) -> Drawing<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
    draw(area)?;
    Ok(svg)
}

/// How many requests there were of each operation.
pub fn mix(summary: &Summary) -> Drawing<String> {
    let mix = summary.mix();
    let greatest = mix.first().map_or(1, |(_, totals)| totals.requests);
    let height = 60 + 22 * mix.len() as u32;
    picture(960, height, |area| {
        // The end of the range is a row as well.
        let last = mix.len() as i32 - 1;
        let rows = (0..last.max(0)).into_segmented();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .margin_right(40)
            .x_label_area_size(40)
            .y_label_area_size(240)
            .build_cartesian_2d(0.0..greatest as f64 * 1.05, rows)?;
        let row_of = |value: &SegmentValue<i32>| match value {
            SegmentValue::CenterOf(row) => *row,
            _ => -1,
        };
        // The first is at the top.
        let name = |row: i32| {
            let place = mix.len() as i32 - 1 - row;
            let found = usize::try_from(place).ok().and_then(|place| mix.get(place));
            found.map_or(String::new(), |(operation, _)| operation.name().to_owned())
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(font(14))
            .y_labels(mix.len())
            .y_label_formatter(&|value| name(row_of(value)))
            .x_label_formatter(&|value| quantity::count(*value))
            .x_desc("requests")
            .draw()?;
        let bars = mix.iter().rev().zip(0..).map(|((_, totals), row)| {
            let from = SegmentValue::Exact(row);
            let to = match row == last {
                true => SegmentValue::Last,
                false => SegmentValue::Exact(row + 1),
            };
            let corners = [(0.0, from), (totals.requests as f64, to)];
            let mut bar = Rectangle::new(corners, BAR.filled());
            bar.set_margin(3, 3, 0, 0);
            bar
        });
        chart.draw_series(bars)?;
        area.present()
    })
}

/// How many were passed on per second, over time.
pub fn rates(summary: &Summary) -> Drawing<String> {
    let rates = summary.rates(240);
    let step = match rates.get(..2) {
        Some([first, second]) => second.0 - first.0,
        _ => 0.01,
    };
    let end = rates.last().map_or(step, |(last, _)| last + step);
    let greatest = rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    picture(960, 220, |area| {
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..end, 0.0..greatest * 1.05)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(font(14))
            .y_labels(5)
            .y_label_formatter(&|value| quantity::count(*value))
            .x_desc("seconds")
            .draw()?;
        chart.draw_series(rates.iter().map(|(from, rate)| {
            let corners = [(*from, 0.0), (from + step, *rate)];
            Rectangle::new(corners, BAR.filled())
        }))?;
        area.present()
    })
}

/// When the slowest were below, from the first to the last request of the trace: a line for each, the slowest at the top.
pub fn slowest(summary: &Summary) -> Drawing<String> {
    let (first, last) = summary.span.unwrap_or_default();
    let seconds = |time: u64| time.saturating_sub(first) as f64 / 1e7;
    let end = seconds(last).max(1e-7);
    let rows = summary.slowest.len() as i32;
    // One that is shorter than a dot is a dot.
    let least = end / 400.0;
    picture(960, 60 + 12 * rows.max(1) as u32, |area| {
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .margin_right(40)
            .x_label_area_size(40)
            .build_cartesian_2d(0.0..end, 0..rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(font(14))
            .x_desc("seconds")
            .draw()?;
        chart.draw_series(summary.slowest.iter().zip(1..).map(|(event, place)| {
            let from = seconds(event.time);
            let to = from + (event.nanoseconds as f64 / 1e9).max(least);
            let mut bar = Rectangle::new(
                [(from, rows - place), (to.min(end), rows - place + 1)],
                BAR.filled(),
            );
            bar.set_margin(2, 2, 0, 0);
            bar
        }))?;
        area.present()
    })
}

/// How long requests took: bars over durations that double. `longest` and `shortest`, in nanoseconds, are
/// the ends of the axis, the same for all operations of a page.
pub fn durations(totals: &Totals, (shortest, longest): (u64, u64)) -> Drawing<String> {
    let place = |nanoseconds: u64| (nanoseconds.max(1) as f64).log2();
    let mut bars: BTreeMap<i64, u64> = BTreeMap::new();
    for (least, _, count) in totals.durations.iter() {
        *bars.entry(place(least).floor() as i64).or_default() += count;
    }
    let greatest = bars.values().max().copied().unwrap_or(1);
    let (from, to) = (place(shortest).floor(), place(longest).floor() + 1.0);
    picture(460, 190, |area| {
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(28)
            .y_label_area_size(52)
            .build_cartesian_2d(from..to, 0.0..greatest as f64 * 1.05)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .label_style(font(12))
            .x_labels(5)
            .y_labels(4)
            .x_label_formatter(&|at| quantity::microseconds(at.exp2() / 1000.0))
            .y_label_formatter(&|value| quantity::count(*value))
            .draw()?;
        chart.draw_series(bars.iter().map(|(at, count)| {
            let corners = [(*at as f64, 0.0), (*at as f64 + 1.0, *count as f64)];
            let mut bar = Rectangle::new(corners, BAR.filled());
            bar.set_margin(0, 0, 1, 0);
            bar
        }))?;
        area.present()
    })
}
