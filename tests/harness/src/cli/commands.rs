//! What each verb does.

use std::{
    io::{self, Read},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use queued_work_item_ioctl::{Complete, Configure, Enqueue, StatisticsReply, WaitReply};

use super::{
    Arguments, System,
    arguments::{Command, Item},
    bench, judge, loads,
    table::{figures, table},
    watch,
};
use crate::{Client, Error, NtStatus, client::CloseMode, device::Access, scenarios::main_run::Plan};

/// How often `gate` looks whether someone else opened it.
const LOOK: Duration = Duration::from_millis(100);

/// Does what was asked.
pub(super) fn run(arguments: &Arguments, system: &dyn System) -> Result<ExitCode, Error> {
    let mut say = |text: String| {
        if !arguments.quiet {
            anstream::println!("{text}");
        }
    };
    let transport = system.transport(None, arguments.timeout);
    let open = |access| {
        Client::open(&*transport, access, arguments.timeout).map(|client| client.at(arguments.instance))
    };
    match &arguments.command {
        Command::Install(chosen) => {
            system.install(chosen.inf.as_deref(), arguments.timeout, &mut say)?;
            let version = open(Access::Read)?.version()?;
            let (major, minor, patch) = (version.major, version.minor, version.patch);
            say(format!(
                "installed: driver {major}.{minor}.{patch}, contract {}",
                version.contract
            ));
        }
        Command::Uninstall => system.uninstall(arguments.timeout, &mut say)?,
        Command::Status => return status(arguments, system),
        Command::Configure { buffers, size, .. } => {
            let client = open(Access::ReadWrite)?;
            client.configure_as(&configure(&arguments.command, client.instance()))?;
            say(format!("an instance with {buffers} buffers of {size} bytes"));
        }
        Command::Enqueue(item) => {
            let client = open(Access::ReadWrite)?;
            let payload = payload(item)?;
            for tag in tags(item) {
                client.enqueue(&request(&client, item, tag), &payload)?;
            }
            say(format!(
                "enqueued {} of {} bytes",
                items(item.count),
                payload.len()
            ));
        }
        Command::Wait { item, bound } => wait(&open(Access::ReadWrite)?, item, *bound)?,
        Command::Cancel => {
            let dropped = open(Access::ReadWrite)?.cancel()?;
            say(format!("{} dropped", items(dropped)));
        }
        Command::Start | Command::Stop | Command::Complete { .. } => {
            threaded(&open(Access::ReadWrite)?, &arguments.command, &mut say)?;
        }
        Command::Flush => {
            open(Access::ReadWrite)?.flush()?;
            say("everything enqueued before has run".into());
        }
        Command::Close { cancel } => {
            let mode = if *cancel {
                CloseMode::Cancel
            } else {
                CloseMode::Drain
            };
            let dropped = open(Access::ReadWrite)?.close(mode)?.cancelled;
            say(format!("closed; {} dropped", items(dropped)));
        }
        Command::Gate { hold } => gate(&open(Access::ReadWrite)?, *hold, &mut say)?,
        Command::Release => {
            open(Access::ReadWrite)?.release()?;
            say("the gate is open".into());
        }
        Command::Stats { watch, count, json } => {
            watch::statistics(&open(Access::Read)?, *watch, *count, *json)?;
        }
        Command::Log {
            from,
            follow,
            limit,
            json,
        } => watch::log(&open(Access::Read)?, *from, *follow, *limit, *json)?,
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
            return judge::main_scenario(arguments, system, judge::options(arguments, seed), plan);
        }
        Command::Test(test) => return judge::test(arguments, system, test),
        Command::Stress(stress) => return loads::stress(arguments, system, stress),
        Command::Bench { samples, json, html } => {
            return bench::run(arguments, system, *samples, json.as_ref(), html.as_ref());
        }
        Command::Fuzz {
            count,
            duration,
            seed,
        } => return loads::fuzz(arguments, system, *count, *duration, seed),
    }
    Ok(ExitCode::SUCCESS)
}

fn wait(client: &Client, item: &Item, bound: Option<u32>) -> Result<(), Error> {
    let payload = payload(item)?;
    for tag in tags(item) {
        let request = request(client, item, tag);
        let request = bound.map_or(request, |bound| request.with_timeout(bound));
        let reply = client.enqueue_and_wait(&request, &payload)?;
        let outcome = match reply.outcome {
            WaitReply::RAN => "ran",
            WaitReply::TIMED_OUT => "has not run yet",
            _ => "was dropped",
        };
        anstream::println!("item {} {outcome}: {}", reply.tag, NtStatus(reply.status));
    }
    Ok(())
}

/// What `configure` asks for.
fn configure(command: &Command, instance: u32) -> Configure {
    let Command::Configure {
        buffers,
        size,
        max_buffers,
        context,
        reuse_cleanup,
        paged,
        threaded,
        priority,
        wait_for_pended,
    } = command
    else {
        return Configure::new(instance, 1, 0);
    };
    Configure {
        max_buffers: *max_buffers,
        context_size: *context,
        flags: flag(*reuse_cleanup, Configure::REUSE_CLEANUP)
            | flag(*wait_for_pended, Configure::WAIT_FOR_PENDED),
        kind: if *threaded {
            Configure::THREADED
        } else {
            Configure::QUEUED_WORK_ITEM
        },
        priority: priority.unwrap_or(0),
        pool: if *paged {
            Configure::PAGED
        } else {
            Configure::NONPAGED
        },
        ..Configure::new(instance, *buffers, *size)
    }
}

/// Holds the gate for as long as this handle lives: that is how the driver knows that its holder is gone.
fn gate(client: &Client, hold: Option<Duration>, say: &mut dyn FnMut(String)) -> Result<(), Error> {
    client.gate()?;
    let (done, entered) = mpsc::channel();
    if let Some(hold) = hold {
        say(format!("the gate is closed for {} s", hold.as_secs_f32()));
    } else {
        say("the gate is closed; Enter opens it".into());
        thread::spawn(move || {
            // A closed standard input counts as Enter.
            let _ = io::stdin().read(&mut [0]);
            let _ = done.send(());
        });
    }
    let began = Instant::now();
    while client.statistics()?.gated != 0 && hold.is_none_or(|hold| began.elapsed() < hold) {
        let rest = hold.map_or(LOOK, |hold| LOOK.min(hold.saturating_sub(began.elapsed())));
        if hold.is_some() {
            thread::sleep(rest);
        } else if entered.recv_timeout(rest) != Err(mpsc::RecvTimeoutError::Timeout) {
            break;
        }
    }
    client.release()?;
    say("the gate is open".into());
    Ok(())
}

fn status(arguments: &Arguments, system: &dyn System) -> Result<ExitCode, Error> {
    let mut rows: Vec<_> = system
        .facts()?
        .into_iter()
        .map(|(name, value)| vec![name, value])
        .collect();
    let transport = system.transport(None, arguments.timeout);
    let opened = Client::open(&*transport, Access::Read, arguments.timeout)
        .and_then(|client| Ok((client.version()?, client)));
    if let Ok((version, client)) = &opened {
        rows.push(vec![
            "driver".into(),
            format!(
                "{}.{}.{}, contract {}",
                version.major, version.minor, version.patch, version.contract
            ),
        ]);
        for instance in 0..version.instances {
            let statistics = client.at(instance).statistics()?;
            if statistics.capacity != 0 || instance == 0 {
                rows.push(vec![
                    format!("instance {instance}"),
                    match statistics.capacity {
                        0 => "not configured".into(),
                        buffers => format!("{buffers} buffers, {} queued", statistics.queued),
                    },
                ]);
            }
        }
    }
    anstream::println!("{}", table(&["what", "value"], rows));
    opened.map(|_| ExitCode::SUCCESS)
}

/// The counters by name, in the order in which they are shown.
pub(super) fn named(counters: &StatisticsReply) -> [(&'static str, u64); 17] {
    [
        ("accepted", counters.accepted),
        ("executed", counters.executed),
        ("cancelled", counters.cancelled),
        ("refused, full", counters.refused_full),
        ("refused, too long", counters.refused_length),
        ("refused, closing", counters.refused_closing),
        ("overlaps (must be 0)", counters.overlaps),
        ("above PASSIVE_LEVEL (must be 0)", counters.above_passive),
        ("stale contexts (must be 0)", counters.stale_contexts),
        ("contexts cleaned up", counters.cleanups),
        ("queued", counters.queued.into()),
        ("queued at most", counters.high_water.into()),
        ("buffers", counters.capacity.into()),
        ("gate closed", counters.gated.into()),
        ("told at DISPATCH_LEVEL", counters.told_at_dispatch),
        ("pended", counters.pended.into()),
        ("thread started", counters.started.into()),
    ]
}

/// The counters, one a line.
pub(super) fn counters(counters: &StatisticsReply) -> comfy_table::Table {
    figures(
        &["counter", "value"],
        named(counters).map(|(name, value)| vec![name.into(), value.to_string()]),
    )
}

/// What only an instance with a thread of its own answers.
fn threaded(client: &Client, command: &Command, say: &mut dyn FnMut(String)) -> Result<(), Error> {
    match command {
        Command::Start => {
            client.start()?;
            say("the thread is there".into());
        }
        Command::Stop => say(format!("the thread has ended; {} dropped", items(client.stop()?))),
        Command::Complete { tag, status, dpc } => {
            let at = if *dpc { Complete::DPC } else { Complete::PASSIVE };
            client.complete_pended(*tag, NtStatus(*status), at)?;
            say(format!("item {tag:#x} is done"));
        }
        _ => {}
    }
    Ok(())
}

/// The flag, if it is set.
const fn flag(set: bool, flag: u32) -> u32 {
    if set { flag } else { 0 }
}

fn request(client: &Client, item: &Item, tag: u64) -> Enqueue {
    let request = Enqueue {
        spend_us: item.spend,
        again: item.again,
        flags: flag(item.head, Enqueue::AT_HEAD) | flag(item.pend, Enqueue::PEND),
        ..client.item(tag)
    };
    item.status.map_or(request, |status| request.with_status(status))
}

fn tags(item: &Item) -> impl Iterator<Item = u64> {
    (0..item.count).map(|index| item.tag.wrapping_add(index))
}

fn items(count: u64) -> String {
    if count == 1 {
        "1 item".into()
    } else {
        format!("{count} items")
    }
}

fn payload(item: &Item) -> Result<Vec<u8>, Error> {
    let bad = || Error::Usage("the payload is not pairs of hexadecimal digits".into());
    if !item.hex {
        return Ok(item.payload.clone().into_bytes());
    }
    if !item.payload.is_ascii() || !item.payload.len().is_multiple_of(2) {
        return Err(bad());
    }
    (0..item.payload.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&item.payload[at..at + 2], 16).map_err(|_| bad()))
        .collect()
}
