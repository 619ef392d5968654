//! The page's pictures: bars and lines, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const SIZE: (u32, u32) = (860, 420);
const FONT: &str = "sans-serif";
/// Told apart by people who see colours differently as well.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(120, 120, 120)];

/// A line of points.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// How lines are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// The vertical axis counts in powers of ten.
    pub is_logarithmic: bool,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Horizontal bars from the shortest, each with its value.
pub fn bars(path: &Path, title: &str, unit: &str, bars: &[(String, f64)]) -> Result<()> {
    const LEFT: i32 = 330;
    const ROW: i32 = 52;
    const TOP: i32 = 60;
    let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + ROW * i32::try_from(bars.len())? + 10;
    let area = SVGBackend::new(path, (SIZE.0, u32::try_from(height)?)).into_drawing_area();
    draw(|| {
        area.fill(&WHITE)?;
        area.draw(&Text::new(title, (16, 18), (FONT, 20).into_font().color(&BLACK)))?;
        let right = f64::from(SIZE.0) - f64::from(LEFT) - 120.0;
        for (at, (name, value)) in (0..).zip(bars) {
            let (y, length) = (TOP + at * ROW, (value / longest * right).max(2.0) as i32);
            let colour = if at == 0 { COLOURS[0] } else { COLOURS[3] };
            area.draw(&Rectangle::new([(LEFT, y), (LEFT + length, y + ROW / 2)], colour.filled()))?;
            let beside = Pos::new(HPos::Right, VPos::Center);
            let style = TextStyle::from((FONT, 14).into_font()).color(&BLACK);
            area.draw(&Text::new(name.clone(), (LEFT - 10, y + ROW / 4), style.clone().pos(beside)))?;
            let after = Pos::new(HPos::Left, VPos::Center);
            area.draw(&Text::new(
                format!("{value:.0} {unit}"),
                (LEFT + length + 8, y + ROW / 4),
                style.pos(after),
            ))?;
        }
        area.present()
    })
}

/// Lines over a number, with a legend.
pub fn lines(path: &Path, axes: Axes<'_>, lines: &[Line]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(1.0, f64::max);
    let bottom = points().map(|point| point.1).fold(f64::INFINITY, f64::min).clamp(0.1, top);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    if axes.is_logarithmic {
        plot(&area, axes, right, (bottom / 2.0..top * 6.0).log_scale(), lines)
    } else {
        plot(&area, axes, right, 0.0..top * 1.5, lines)
    }
}

fn plot<Y>(area: &Area<'_>, axes: Axes<'_>, right: f64, y: Y, lines: &[Line]) -> Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    draw(|| {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(axes.title, (FONT, 20))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..right * 1.05, y)?;
        let plain = |value: &f64| if *value < 10.0 { format!("{value}") } else { format!("{value:.0}") };
        chart
            .configure_mesh()
            .x_desc(axes.x)
            .y_desc(axes.y)
            .x_label_formatter(&plain)
            .y_label_formatter(&plain)
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 13))
            .draw()?;
        for (line, colour) in lines.iter().zip(COLOURS) {
            let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(3)).point_size(4);
            let legend = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3));
            chart.draw_series(drawn)?.label(&line.name).legend(legend);
        }
        let mut legend = chart.configure_series_labels();
        legend
            .position(SeriesLabelPosition::UpperLeft)
            .label_font((FONT, 13))
            .background_style(WHITE.mix(0.8));
        legend.draw()?;
        area.present()
    })
}

/// Drawing's errors borrow from the drawing.
fn draw<E: std::error::Error>(draw: impl FnOnce() -> Result<(), E>) -> Result<()> {
    draw().map_err(|error| anyhow!("draw a picture: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_its_names_and_values() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bars.svg");
        bars(&path, "Rivals", "ms", &[("ours".to_owned(), 40.0), ("theirs".to_owned(), 2_100.0)]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.contains("theirs") && svg.contains("2100 ms"), "{svg}");
        let path = directory.path().join("lines.svg");
        let line = Line { name: "with a spare".to_owned(), points: vec![(12.0, 40.0), (5_120.0, 41.0)] };
        for is_logarithmic in [false, true] {
            let axes = Axes { title: "Size", x: "MiB", y: "ms", is_logarithmic };
            lines(&path, axes, std::slice::from_ref(&line)).unwrap();
            assert!(std::fs::read_to_string(&path).unwrap().contains("with a spare"));
        }
    }
}
