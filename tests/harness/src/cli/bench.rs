//! `bench`: the driver measures itself.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Arguments, System,
    output::{self, Human},
    table::figures,
};
use crate::{
    Client, Error,
    bench::{Results, page},
    device::Access,
};

/// How often the spinner moves while the driver measures.
const LOOK: Duration = Duration::from_millis(100);

/// `bench`
pub(super) fn run(
    arguments: &Arguments,
    system: &dyn System,
    samples: u32,
    json: Option<&PathBuf>,
    html: Option<&PathBuf>,
) -> Result<ExitCode, Error> {
    let transport = system.transport(None, arguments.timeout);
    let client = Client::open(&*transport, Access::ReadWrite, arguments.timeout)?;
    let spinner = ProgressBar::with_draw_target(
        None,
        if arguments.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        },
    )
    .with_style(ProgressStyle::default_spinner())
    .with_message("the driver measures");
    let began = Instant::now();
    let mut running = client.begin_benchmark(samples)?;
    while running.is_waiting(LOOK)? && began.elapsed() < arguments.timeout {
        spinner.tick();
    }
    let reply = running.wait(arguments.timeout.saturating_sub(began.elapsed()));
    spinner.finish_and_clear();
    let results = Results::new(&reply?)?;
    let (json, html) = (json.cloned(), html.cloned());
    if let Some(path) = &json {
        output::json(path, &results)?;
    }
    if let Some(path) = &html {
        output::write(path, &page::html(&results)?)?;
    }
    let human = Human::beside([&json, &html]);
    let header = [
        "what",
        "of",
        "minimum, ns",
        "median, ns",
        "minimum, pairs",
        "by hand / queue",
    ];
    let rows = results.series.iter().map(|series| {
        vec![
            series.name(),
            series.subject.name().to_owned(),
            format!("{:.1}", series.minimum_ns),
            format!("{:.1}", series.median_ns),
            format!("{:.2}", series.minimum_pairs),
            results.by_hand(series).map_or_else(String::new, |hand| {
                format!("{:.1}", hand.minimum_ns / series.minimum_ns)
            }),
        ]
    });
    human.line(figures(&header, rows));
    if !arguments.quiet {
        human.line(format_args!(
            "{} samples of each, taken in turns; a pair is a KSPIN_LOCK acquired and released",
            results.samples
        ));
    }
    Ok(ExitCode::SUCCESS)
}
