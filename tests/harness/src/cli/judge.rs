//! `run` and `test`: the verdicts.

use std::process::ExitCode;

use queued_work_item_harness::{
    DRIVER, Error, NtStatus,
    runner::{self, Outcome, Report, Watchdog},
    scenarios::{
        Context, Failure, Options,
        main_run::{self, Plan, Summary},
    },
    windows::{Installed, install, interface},
};

use super::{
    Arguments,
    arguments::{Command, Seed},
    commands::counters,
    print::{BAD, GOOD, NOTE},
    table::figures,
};

/// Mismatches that are printed one by one.
const SHOWN: usize = 20;

/// Does what was asked, if that is `run` or `test`.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let options = |seed: &Seed| Options {
        timeout: arguments.timeout,
        seed: seed.seed,
    };
    match &arguments.command {
        Command::Run {
            threads,
            items,
            buffers,
            size,
            seed,
        } => {
            let plan = Plan {
                threads: *threads,
                items: *items,
                buffers: *buffers,
                longest: *size,
            };
            main_scenario(arguments, options(seed), plan)
        }
        Command::Test {
            list: true, filter, ..
        } => {
            list(filter.as_deref());
            Ok(ExitCode::SUCCESS)
        }
        Command::Test {
            filter, inf, seed, ..
        } => {
            if interface::paths(&DRIVER)?.is_empty() {
                return Err(Error::NotInstalled);
            }
            let inf = install::inf(&DRIVER, inf.inf.as_deref()).ok();
            let installed = Installed::new(&DRIVER, inf, arguments.timeout);
            Ok(test(arguments, &installed, options(seed), filter.as_deref()))
        }
        other => Err(Error::NotSupported(format!("{other:?} is no verdict"))),
    }
}

fn main_scenario(arguments: &Arguments, options: Options, plan: Plan) -> Result<ExitCode, Error> {
    let installed = Installed::new(&DRIVER, None, arguments.timeout);
    let context = Context::new(&installed, options);
    if !arguments.quiet {
        anstream::println!(
            "{} threads x {} items, half of them waited for; {} buffers of {} bytes; seed {:#x}",
            plan.threads,
            plan.items,
            plan.buffers,
            plan.longest,
            options.seed,
        );
    }
    let watchdog = Watchdog::start("run", context.said().clone(), options);
    let result = main_run::run(&context, plan);
    drop(watchdog);
    let summary = match result {
        Ok(summary) => summary,
        Err(Failure::Error(error)) => {
            anstream::eprintln!("{BAD}failed{BAD:#} at: {}", context.said().current());
            return Err(error);
        }
        Err(failure) => {
            anstream::eprintln!("{BAD}failed{BAD:#} at: {}: {failure}", context.said().current());
            return Ok(ExitCode::FAILURE);
        }
    };
    show(&summary);
    if !arguments.quiet {
        anstream::println!("{}", counters(&summary.counters));
    }
    for mismatch in summary.mismatches.iter().take(SHOWN) {
        anstream::eprintln!("{BAD}wrong{BAD:#}: {mismatch}");
    }
    if summary.mismatches.len() > SHOWN {
        anstream::eprintln!("{BAD}wrong{BAD:#}: and {} more", summary.mismatches.len() - SHOWN);
    }
    let counted = summary.counters_agree();
    if let Err(failure) = &counted {
        anstream::eprintln!("{BAD}wrong{BAD:#}: {failure}");
    }
    if summary.mismatches.is_empty() && counted.is_ok() {
        anstream::println!(
            "{GOOD}passed{GOOD:#}: {} items, each once, in its thread's order, intact, each waiter its own status",
            summary.items(),
        );
        Ok(ExitCode::SUCCESS)
    } else {
        anstream::println!(
            "{BAD}failed{BAD:#}: {} mismatches",
            summary.mismatches.len().max(1)
        );
        Ok(ExitCode::FAILURE)
    }
}

fn show(summary: &Summary) {
    let header = [
        "thread",
        "items",
        "waited for",
        "errors set",
        "full, tried again",
        "shortest wait",
        "longest wait",
    ];
    let rows = summary.producers.iter().enumerate().map(|(thread, producer)| {
        let errors = producer
            .accepted
            .iter()
            .filter(|item| NtStatus::is_error(item.status))
            .count();
        let wait = |pick: fn(&(std::time::Duration, std::time::Duration)) -> std::time::Duration| {
            producer
                .waits
                .as_ref()
                .map_or("-".into(), |waits| format!("{} us", pick(waits).as_micros()))
        };
        vec![
            thread.to_string(),
            producer.accepted.len().to_string(),
            producer.waited.to_string(),
            errors.to_string(),
            producer.full.to_string(),
            wait(|waits| waits.0),
            wait(|waits| waits.1),
        ]
    });
    anstream::println!("{}", figures(&header, rows));
    let items = u32::try_from(summary.items()).unwrap_or(u32::MAX);
    let seconds = summary.elapsed.as_secs_f64();
    let rate = f64::from(items) / seconds.max(f64::MIN_POSITIVE);
    anstream::println!("{items} items in {seconds:.2} s, {rate:.0} a second");
}

fn list(filter: Option<&str>) {
    let rows = runner::select(filter).map(|scenario| (scenario.id, scenario.title));
    for (id, title) in rows {
        anstream::println!("{GOOD}{id}{GOOD:#}\n    {title}");
    }
}

fn test(arguments: &Arguments, installed: &Installed, options: Options, filter: Option<&str>) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for scenario in runner::select(filter) {
        let report = runner::run(installed, options, scenario);
        match &report.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed { .. } => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
        show_report(&report, arguments.quiet);
    }
    if passed + failed + skipped == 0 {
        anstream::eprintln!(
            "{BAD}error{BAD:#}: no test's name contains {:?}",
            filter.unwrap_or_default()
        );
        return ExitCode::from(2);
    }
    let style = if failed == 0 { GOOD } else { BAD };
    let rest = if skipped == 0 {
        String::new()
    } else {
        format!(", {skipped} skipped")
    };
    anstream::println!(
        "{style}{passed} passed, {failed} failed{rest}{style:#} (seed {:#x})",
        options.seed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn show_report(report: &Report, quiet: bool) {
    let took = format!("{:.2} s", report.took.as_secs_f64());
    match &report.outcome {
        Outcome::Passed if quiet => {}
        Outcome::Passed => anstream::println!("{GOOD}pass{GOOD:#}  {} ({took})", report.id),
        Outcome::Skipped(why) => anstream::println!("{NOTE}skip{NOTE:#}  {}: {why}", report.id),
        Outcome::Failed { step, why } => {
            anstream::println!(
                "{BAD}FAIL{BAD:#}  {} ({took})\n      at: {step}\n      {why}",
                report.id
            );
        }
    }
}
