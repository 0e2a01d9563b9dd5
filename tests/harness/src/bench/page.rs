//! The page of a benchmark: the comparison and the distribution, in one file that needs nothing else.

use core::fmt::Write;
use std::fmt;

use plotters::prelude::*;

use super::{Results, Series, Subject, What};
use crate::Error;

/// The queue, and what is made by hand.
const QUEUE: RGBColor = RGBColor(0x1F, 0x6F, 0xB4);
const BARE: RGBColor = RGBColor(0xD9, 0x7B, 0x29);
const MACHINE: RGBColor = RGBColor(0x77, 0x77, 0x77);

const WIDTH: u32 = 960;
const COMPARISON_HEIGHT: u32 = 420;
/// Of the distribution: for each series, and around all.
const ROW: u32 = 30;
const FRAME: u32 = 90;

const fn colour(subject: Subject) -> RGBColor {
    match subject {
        Subject::Queue => QUEUE,
        Subject::Bare => BARE,
        Subject::Machine => MACHINE,
    }
}

/// The whole page, as HTML.
///
/// # Errors
/// [`Error::Unverified`], should the drawing fail.
pub fn html(results: &Results) -> Result<String, Error> {
    let comparison = comparison(results)?;
    let distribution = distribution(results)?;
    let mut rows = String::new();
    for series in &results.series {
        row(&mut rows, results, series).map_err(|error| undrawn(&error))?;
    }
    let Results {
        harness,
        payload_bytes,
        buffers,
        samples,
        frequency,
        ..
    } = results;
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>QueuedWorkItem: benchmark</title>\n\
         <style>body{{font:15px/1.5 system-ui,sans-serif;max-width:{WIDTH}px;margin:2em auto;padding:0 1em}}\
         table{{border-collapse:collapse;width:100%}}th,td{{padding:.25em .6em;text-align:right;\
         border-bottom:1px solid #ddd}}th:first-child,td:first-child,th:nth-child(2),td:nth-child(2)\
         {{text-align:left}}svg{{max-width:100%;height:auto}}</style>\n\
         <h1>QueuedWorkItem: benchmark</h1>\n\
         <p>Measured inside the driver with KeQueryPerformanceCounter ({frequency} ticks a second): payloads of \
         {payload_bytes} bytes, {buffers} buffers, {samples} samples of each series. <i>By hand</i> is the same work \
         done by a bare WDFWORKITEM, a list and a spin lock. A <i>pair</i> is the least time in which this machine \
         acquired and released a KSPIN_LOCK. Harness {harness}.</p>\n\
         <h2>Comparison</h2>\n{comparison}\n<h2>Distribution</h2>\n{distribution}\n<h2>Figures</h2>\n\
         <table>\n<tr><th>what</th><th>of</th><th>minimum, ns</th><th>median, ns</th><th>minimum, pairs</th>\
         <th>by hand / queue</th></tr>\n{rows}</table>\n</html>\n"
    ))
}

fn row(rows: &mut String, results: &Results, series: &Series) -> fmt::Result {
    let ratio = results.by_hand(series).map_or_else(String::new, |hand| {
        format!("{:.1}", hand.minimum_ns / series.minimum_ns)
    });
    writeln!(
        rows,
        "<tr><td>{}</td><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{:.2}</td><td>{ratio}</td></tr>",
        series.name(),
        series.subject.name(),
        series.minimum_ns,
        series.median_ns,
        series.minimum_pairs,
    )
}

/// Minima of the queue beside those by hand, as SVG.
///
/// # Errors
/// [`Error::Unverified`], should the drawing fail.
pub fn comparison(results: &Results) -> Result<String, Error> {
    let pairs: Vec<_> = results
        .series
        .iter()
        .filter(|series| series.what != What::Wait)
        .filter_map(|series| Some((series, results.by_hand(series)?)))
        .collect();
    let most = pairs
        .iter()
        .flat_map(|(queue, hand)| [queue.median_ns, hand.median_ns])
        .fold(1.0, f64::max);
    let mut svg = String::new();
    let draw = |svg: &mut String| -> Result<(), Box<dyn core::error::Error>> {
        let root = SVGBackend::with_string(svg, (WIDTH, COMPARISON_HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let count = i32::try_from(pairs.len())?;
        let mut chart = ChartBuilder::on(&root)
            .caption(
                "nanoseconds: bar the minimum, mark the median",
                ("sans-serif", 16),
            )
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((0..count).into_segmented(), 0.0..most * 1.1)?;
        let names: Vec<String> = pairs.iter().map(|(queue, _)| queue.name()).collect();
        chart
            .configure_mesh()
            .disable_x_mesh()
            .y_desc("ns")
            .x_label_formatter(&|value| match value {
                SegmentValue::CenterOf(at) => usize::try_from(*at)
                    .ok()
                    .and_then(|at| names.get(at))
                    .cloned()
                    .unwrap_or_default(),
                _ => String::new(),
            })
            .draw()?;
        for (subject, margins) in [(Subject::Queue, (18, 75)), (Subject::Bare, (75, 18))] {
            let of = |pair: &(&Series, &Series)| {
                let (minimum, median) = if subject == Subject::Queue {
                    (pair.0.minimum_ns, pair.0.median_ns)
                } else {
                    (pair.1.minimum_ns, pair.1.median_ns)
                };
                (minimum, median)
            };
            let bars = pairs.iter().zip(0..).map(|(pair, at)| {
                let (minimum, _) = of(pair);
                let mut bar = Rectangle::new(
                    [
                        (SegmentValue::Exact(at), 0.0),
                        (SegmentValue::Exact(at + 1), minimum),
                    ],
                    colour(subject).filled(),
                );
                bar.set_margin(0, 0, margins.0, margins.1);
                bar
            });
            chart
                .draw_series(bars)?
                .label(subject.name())
                .legend(move |(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour(subject).filled())
                });
            let marks = pairs.iter().zip(0..).map(|(pair, at)| {
                let (_, median) = of(pair);
                let mut mark = Rectangle::new(
                    [
                        (SegmentValue::Exact(at), median * 0.998),
                        (SegmentValue::Exact(at + 1), median * 1.002),
                    ],
                    BLACK.filled(),
                );
                mark.set_margin(0, 0, margins.0, margins.1);
                mark
            });
            chart.draw_series(marks)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        root.present()?;
        Ok(())
    };
    draw(&mut svg).map_err(|error| undrawn(&error))?;
    Ok(svg)
}

/// Every sample of every series, as SVG.
///
/// # Errors
/// [`Error::Unverified`], should the drawing fail.
pub fn distribution(results: &Results) -> Result<String, Error> {
    let rows = u32::try_from(results.series.len()).unwrap_or(0);
    let samples = || {
        results
            .series
            .iter()
            .flat_map(|series| series.samples_ns.iter().copied())
            .filter(|sample| *sample > 0.0)
    };
    let least = samples().fold(f64::MAX, f64::min).min(1e9);
    let most = samples().fold(least * 2.0, f64::max);
    let mut svg = String::new();
    let draw = |svg: &mut String| -> Result<(), Box<dyn core::error::Error>> {
        let root = SVGBackend::with_string(svg, (WIDTH, FRAME + ROW * rows)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("every sample, in nanoseconds; bar the median", ("sans-serif", 16))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(300)
            .build_cartesian_2d((least * 0.8..most * 1.2).log_scale(), f64::from(rows)..0.0)?;
        let label = |series: &Series| format!("{} ({})", series.name(), series.subject.name());
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_desc("ns, logarithmic")
            .draw()?;
        for (series, row) in results.series.iter().zip(0_u32..) {
            let middle = f64::from(row) + 0.5;
            let style = colour(series.subject);
            chart.draw_series(
                series
                    .samples_ns
                    .iter()
                    .filter(|sample| **sample > 0.0)
                    .map(|sample| Circle::new((*sample, middle), 3, style.mix(0.5).filled())),
            )?;
            let median = series.median_ns.max(least);
            chart.draw_series([PathElement::new(
                [(median, middle - 0.35), (median, middle + 0.35)],
                BLACK.stroke_width(2),
            )])?;
            let y = chart.backend_coord(&(least, middle)).1;
            root.draw(&Text::new(
                label(series),
                (16, y - 6),
                ("sans-serif", 13).into_font().color(&BLACK),
            ))?;
        }
        root.present()?;
        Ok(())
    };
    draw(&mut svg).map_err(|error| undrawn(&error))?;
    Ok(svg)
}

fn undrawn(error: &dyn fmt::Display) -> Error {
    Error::Unverified(format!("the page cannot be drawn: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_every_series_and_needs_no_other_file() {
        let results = Results::new(&super::super::tests::reply()).expect("a good reply");
        let page = html(&results).expect("a page");
        for series in &results.series {
            assert!(page.contains(&series.name()), "{}", series.name());
        }
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("</svg>").count(), 2);
        assert_eq!(page.matches("<tr>").count(), 1 + results.series.len());
        // Samples are marked one by one.
        assert!(page.matches("<circle").count() >= 3 * results.series.len());
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !["http:", "https:", "src=", "href=", "@import"]
                .iter()
                .any(|link| outside.contains(link)),
            "a link to something outside"
        );
    }
}
