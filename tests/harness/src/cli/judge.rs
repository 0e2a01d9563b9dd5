//! `run` and `test`: the verdicts.

use std::process::ExitCode;

use super::{
    Arguments, System,
    arguments::{Seed, Test},
    commands::counters,
    output::{self, Human},
    print::{BAD, GOOD, NOTE},
    table::figures,
};
use crate::{
    Client, Error, NtStatus,
    device::Access,
    report::Verdicts,
    runner::{self, Outcome, Report, Selection, Watchdog},
    scenarios::{
        Context, Failure, Options,
        main_run::{self, Plan, Summary},
    },
};

/// Mismatches that are printed one by one.
const SHOWN: usize = 20;

/// What scenarios are told.
pub(super) fn options(arguments: &Arguments, seed: &Seed) -> Options {
    Options {
        timeout: arguments.timeout,
        seed: seed.seed,
    }
}

/// `run`
pub(super) fn main_scenario(
    arguments: &Arguments,
    system: &dyn System,
    options: Options,
    plan: Plan,
) -> Result<ExitCode, Error> {
    let transport = system.transport(None, arguments.timeout);
    let context = Context::new(&*transport, options);
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

fn list(selection: Selection<'_>) {
    for scenario in runner::select(selection) {
        anstream::println!("{GOOD}{}{GOOD:#}\n    {}", scenario.id, scenario.title);
    }
}

/// `test`
pub(super) fn test(arguments: &Arguments, system: &dyn System, test: &Test) -> Result<ExitCode, Error> {
    let filter = test.filter.as_deref();
    let selection = Selection {
        filter,
        exact: test.exact,
        // A list leaves nothing out.
        long: test.long || test.list,
    };
    if runner::select(selection).next().is_none() {
        return Err(Error::Usage(format!(
            "no test's name {} {:?}: `test --list` lists them",
            if test.exact { "is" } else { "contains" },
            filter.unwrap_or_default()
        )));
    }
    if test.list {
        list(selection);
        return Ok(ExitCode::SUCCESS);
    }
    let options = options(arguments, &test.seed);
    let transport = system.transport(test.inf.inf.as_deref(), arguments.timeout);
    // A driver that is not there, or not ours, is one error, and not one of every test.
    drop(Client::open(&*transport, Access::Read, arguments.timeout)?);
    let human = Human::beside([&test.json, &test.junit]);
    let mut reports = Vec::new();
    for scenario in runner::select(selection) {
        let report = runner::run(&*transport, options, scenario);
        show_report(&report, arguments, human);
        reports.push(report);
    }
    let verdicts = Verdicts::new(options.seed, &reports);
    if let Some(path) = &test.json {
        output::json(path, &verdicts)?;
    }
    if let Some(path) = &test.junit {
        output::write(path, &verdicts.junit()?)?;
    }
    let style = if verdicts.failed == 0 { GOOD } else { BAD };
    let rest = if verdicts.skipped == 0 {
        String::new()
    } else {
        format!(", {} skipped", verdicts.skipped)
    };
    human.line(format_args!(
        "{style}{} passed, {} failed{rest}{style:#} (seed {:#x})",
        verdicts.passed, verdicts.failed, options.seed
    ));
    Ok(if verdicts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show_report(report: &Report, arguments: &Arguments, human: Human) {
    let took = format!("{:.2} s", report.took.as_secs_f64());
    match &report.outcome {
        Outcome::Passed if arguments.quiet => {}
        Outcome::Passed if arguments.verbose => {
            human.line(format_args!(
                "{GOOD}pass{GOOD:#}  {} ({took})\n      {}",
                report.id, report.title
            ));
        }
        Outcome::Passed => human.line(format_args!("{GOOD}pass{GOOD:#}  {} ({took})", report.id)),
        Outcome::Skipped(why) => human.line(format_args!("{NOTE}skip{NOTE:#}  {}: {why}", report.id)),
        Outcome::Failed { step, why } => {
            human.line(format_args!(
                "{BAD}FAIL{BAD:#}  {} ({took})\n      {}\n      at: {step}\n      {why}\n      again: qwi-harness                  test --exact {}",
                report.id,
                report.title,
                report.id
            ));
        }
    }
}
