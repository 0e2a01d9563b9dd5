//! `stress` and `fuzz`: much of it, with a bar for whoever looks.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use queued_work_item_ioctl::{Configure, Stress, StressReply, limits};
use serde::Serialize;

use super::{
    Arguments, System,
    arguments::{self, Mode, Seed},
    judge,
    output::{self, Human},
    print::{BAD, GOOD},
    table::figures,
    watch::rate,
};
use crate::{
    Client, Error, NtStatus,
    device::Access,
    scenarios::{
        Context, Failure,
        fuzz::{self, Plan},
        stress::went_well,
    },
    stress::{self, Summary},
};

/// Items of each producer, where neither items nor time is named.
const ITEMS: u32 = 10_000;

/// How often a load inside the driver is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A bar on standard error, for so many or for so long; nothing where nobody looks.
fn bar(arguments: &Arguments, total: u64) -> ProgressBar {
    let target = if arguments.quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

/// How far something is that ends by its number or by its time, whichever comes first.
fn far(done: u64, total: u64, passed: Duration, limit: Option<Duration>) -> u64 {
    let by_time = limit.map_or(0.0, |limit| passed.as_secs_f64() / limit.as_secs_f64());
    let by_number = rate(done, Duration::from_secs(1)) / rate(total.max(1), Duration::from_secs(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to a thousand"
    )]
    {
        (by_time.max(by_number).clamp(0.0, 1.0) * 1_000.0) as u64
    }
}

/// What came of a load, for machines.
#[derive(Serialize)]
struct Account {
    mode: String,
    threads: u32,
    payload_bytes: u32,
    buffers: u32,
    seed: Option<u64>,
    accepted: u64,
    executed: u64,
    refused_full: u64,
    seconds: f64,
    items_a_second: f64,
    passed: bool,
    wrong: Vec<String>,
}

/// `stress`
pub(super) fn stress(
    arguments: &Arguments,
    system: &dyn System,
    plan: &arguments::Stress,
) -> Result<ExitCode, Error> {
    let transport = system.transport(None, arguments.timeout);
    let context = Context::new(&*transport, judge::options(arguments, &plan.seed));
    let items = plan.items.unwrap_or(if plan.duration.is_some() {
        limits::STRESS_ITEMS
    } else {
        ITEMS
    });
    let (account, error) = match plan.mode {
        Mode::Enqueue | Mode::Wait | Mode::Batch if plan.threaded => {
            return Err(Error::NotSupported(
                "--threaded is for a load inside the driver: --mode passive, dispatch or dpc".into(),
            ));
        }
        Mode::Enqueue | Mode::Wait | Mode::Batch => here(arguments, &context, plan, items),
        Mode::Passive | Mode::Dispatch | Mode::Dpc => (inside(arguments, &context, plan, items)?, None),
    };
    let human = Human::beside([&plan.json]);
    if let Some(path) = &plan.json {
        output::json(path, &account)?;
    }
    for wrong in &account.wrong {
        anstream::eprintln!("{BAD}wrong{BAD:#}: {wrong}");
    }
    if let Some(error) = error {
        anstream::eprintln!("{BAD}failed{BAD:#} at: {}", context.said().current());
        return Err(error);
    }
    human.line(format_args!(
        "{} items accepted and {} executed in {:.2} s, {:.0} a second; {} refusals of a full queue",
        account.accepted, account.executed, account.seconds, account.items_a_second, account.refused_full
    ));
    if account.passed {
        human.line(format_args!(
            "{GOOD}passed{GOOD:#}: each item once, in its producer's order, intact"
        ));
        Ok(ExitCode::SUCCESS)
    } else {
        human.line(format_args!("{BAD}failed{BAD:#}"));
        Ok(ExitCode::FAILURE)
    }
}

/// What is wrong, in words; the error, if it is one of the way to the driver.
fn told(failure: Failure, wrong: &mut Vec<String>) -> Option<Error> {
    match failure {
        Failure::Error(error) => Some(error),
        failure => {
            wrong.push(failure.to_string());
            None
        }
    }
}

fn here(
    arguments: &Arguments,
    context: &Context<'_>,
    plan: &arguments::Stress,
    items: u32,
) -> (Account, Option<Error>) {
    let load = stress::Plan {
        threads: plan.threads,
        items,
        duration: plan.duration,
        payload: plan.payload,
        buffers: plan.buffers,
        mode: match plan.mode {
            Mode::Wait => stress::Mode::Wait,
            Mode::Batch => stress::Mode::Batch,
            _ => stress::Mode::Enqueue,
        },
    };
    let total = u64::from(items) * u64::from(plan.threads);
    let bar = bar(arguments, 1_000);
    let mut last = Summary::default();
    let ran = stress::run(context, load, &mut |summary| {
        bar.set_position(far(summary.judged, total, summary.elapsed, plan.duration));
        bar.set_message(format!(
            "{} judged, {:.0} a second",
            summary.judged,
            rate(summary.judged, summary.elapsed)
        ));
        last.clone_from(summary);
    });
    bar.finish_and_clear();
    let mut wrong = Vec::new();
    let (summary, error) = match ran {
        Ok(summary) => (summary, None),
        Err(failure) => (last, told(failure, &mut wrong)),
    };
    wrong.extend(summary.mismatches.iter().map(ToString::to_string));
    let account = Account {
        mode: format!("{:?}", plan.mode).to_lowercase(),
        threads: plan.threads,
        payload_bytes: plan.payload,
        buffers: plan.buffers,
        seed: Some(plan.seed.seed),
        accepted: summary.accepted,
        executed: summary.judged,
        refused_full: summary.full,
        seconds: summary.elapsed.as_secs_f64(),
        items_a_second: rate(summary.judged, summary.elapsed),
        passed: wrong.is_empty() && error.is_none(),
        wrong,
    };
    (account, error)
}

/// Load that the driver makes. One with a time is cancelled when it is up, and judged by its progress.
fn inside(
    arguments: &Arguments,
    context: &Context<'_>,
    plan: &arguments::Stress,
    items: u32,
) -> Result<Account, Error> {
    let client = Client::open(context.transport(), Access::ReadWrite, arguments.timeout)?;
    let (mode, irql) = match plan.mode {
        Mode::Dispatch => (Stress::SPIN_LOCK, 2),
        Mode::Dpc => (Stress::DPC, 2),
        _ => (Stress::PASSIVE, 0),
    };
    let load = Stress {
        header: client.header(),
        producers: plan.threads,
        items,
        payload: plan.payload,
        buffer_count: plan.buffers,
        mode,
        kind: if plan.threaded {
            Configure::THREADED
        } else {
            Configure::QUEUED_WORK_ITEM
        },
    };
    let total = u64::from(items) * u64::from(plan.threads);
    let bar = bar(arguments, 1_000);
    context.step("a load inside the driver");
    let began = Instant::now();
    let mut running = client.begin_stress(&load)?;
    while running.is_waiting(LOOK)? && plan.duration.is_none_or(|limit| began.elapsed() < limit) {
        let seen = client.stress_progress()?;
        let passed = Duration::from_nanos(seen.elapsed_ns);
        bar.set_position(far(seen.executed, total, began.elapsed(), plan.duration));
        bar.set_message(format!(
            "{} executed, {:.0} a second",
            seen.executed,
            rate(seen.executed, passed)
        ));
    }
    let mut wrong = Vec::new();
    let reply = if running.is_waiting(Duration::ZERO)? {
        context.step("cancel the load, whose time is up");
        running.cancel()?;
        match running.wait(arguments.timeout) {
            Err(Error::Refused {
                status: NtStatus::CANCELLED,
                ..
            }) => ended(&client, context)?,
            // It was quicker.
            other => other?,
        }
    } else {
        let reply = running.wait(arguments.timeout)?;
        if let Err(failure) = went_well(&load, irql, &reply) {
            wrong.push(failure.to_string());
        }
        reply
    };
    bar.finish_and_clear();
    let errors = [
        (
            "refused for another reason than a full queue",
            reply.refused_other,
        ),
        ("out of order", reply.order_errors),
        ("finished out of order", reply.finish_errors),
        ("with other bytes", reply.payload_errors),
        ("beside another callback", reply.overlaps),
        ("above PASSIVE_LEVEL", reply.above_passive),
        ("lost", reply.accepted.abs_diff(reply.executed + reply.cancelled)),
    ];
    wrong.extend(
        errors
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} items {what}")),
    );
    let passed = Duration::from_nanos(reply.elapsed_ns);
    Ok(Account {
        mode: format!("{:?}", plan.mode).to_lowercase(),
        threads: plan.threads,
        payload_bytes: plan.payload,
        buffers: plan.buffers,
        seed: None,
        accepted: reply.accepted,
        executed: reply.executed,
        refused_full: reply.refused_full,
        seconds: passed.as_secs_f64(),
        items_a_second: rate(reply.executed, passed),
        passed: wrong.is_empty(),
        wrong,
    })
}

/// How a cancelled load ended: its request is answered at once, its threads end a little later.
fn ended(client: &Client, context: &Context<'_>) -> Result<StressReply, Error> {
    context.step("wait until the cancelled load has ended");
    let began = Instant::now();
    let mut last = client.stress_progress()?;
    loop {
        thread::sleep(LOOK);
        let now = client.stress_progress()?;
        let at_rest = now.accepted == now.executed + now.cancelled && now.elapsed_ns == last.elapsed_ns;
        if at_rest {
            return Ok(now);
        }
        if began.elapsed() > client.timeout() {
            return Err(Error::TimedOut {
                verb: "STRESS",
                after: client.timeout(),
            });
        }
        last = now;
    }
}

/// `fuzz`
pub(super) fn fuzz(
    arguments: &Arguments,
    system: &dyn System,
    count: u64,
    duration: Option<Duration>,
    seed: &Seed,
) -> Result<ExitCode, Error> {
    let transport = system.transport(None, arguments.timeout);
    let context = Context::new(&*transport, judge::options(arguments, seed));
    if !arguments.quiet {
        anstream::println!("seed {:#x}", seed.seed);
    }
    let plan = Plan {
        requests: count,
        duration,
    };
    let bar = bar(arguments, 1_000);
    let began = Instant::now();
    let ran = fuzz::run(&context, plan, &mut |summary| {
        bar.set_position(far(summary.sent, count, began.elapsed(), duration));
        bar.set_message(format!(
            "{} requests, {:.0} a second",
            summary.sent,
            rate(summary.sent, began.elapsed())
        ));
    });
    bar.finish_and_clear();
    let summary = match ran {
        Ok(summary) => summary,
        Err(failure) => {
            anstream::eprintln!(
                "{BAD}failed{BAD:#} at: {}\n again: qwi-harness fuzz --seed {:#x} --count {count}",
                context.said().current(),
                seed.seed
            );
            return match failure {
                Failure::Error(error) => Err(error),
                failure => {
                    anstream::eprintln!("{BAD}wrong{BAD:#}: {failure}");
                    Ok(ExitCode::FAILURE)
                }
            };
        }
    };
    if arguments.verbose {
        let rows = summary
            .statuses
            .iter()
            .map(|(status, count)| vec![status.to_string(), count.to_string()]);
        anstream::println!("{}", figures(&["status", "answers"], rows));
    }
    anstream::println!(
        "{GOOD}passed{GOOD:#}: {} requests in {:.1} s, {} handles closed under some, {} had to be cancelled; the driver \
         is usable and lacks nothing",
        summary.sent,
        began.elapsed().as_secs_f64(),
        summary.handles,
        summary.cancelled
    );
    Ok(ExitCode::SUCCESS)
}
