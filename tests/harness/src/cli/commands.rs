//! What each verb does.

use std::{
    io::{self, Read},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use queued_work_item_harness::{
    Client, DRIVER, Error, NtStatus,
    client::CloseMode,
    device::Access,
    windows::{Installed, devices, elevation, install, interface, service},
};
use queued_work_item_ioctl::{Enqueue, LogEntry, StatisticsReply, WaitReply};

use super::{
    Arguments,
    arguments::{Command, Item},
    judge,
    table::{figures, table},
};

/// How often `gate` looks whether someone else opened it.
const LOOK: Duration = Duration::from_millis(100);

/// Does what was asked.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let say = |text: String| {
        if !arguments.quiet {
            anstream::println!("{text}");
        }
    };
    let open = |access| {
        Client::open(
            &Installed::new(&DRIVER, None, arguments.timeout),
            access,
            arguments.timeout,
        )
    };
    match &arguments.command {
        Command::Install(chosen) => {
            let inf = install::inf(&DRIVER, chosen.inf.as_deref())?;
            install::install(&DRIVER, &inf, arguments.timeout, &mut |text| say(text))?;
            let version = open(Access::Read)?.version()?;
            let (major, minor, patch) = (version.major, version.minor, version.patch);
            say(format!(
                "installed: driver {major}.{minor}.{patch}, contract {}",
                version.contract
            ));
        }
        Command::Uninstall => {
            let removed = install::uninstall(&DRIVER, arguments.timeout)?;
            for node in &removed.nodes {
                say(format!("removed {}", node.instance_id));
            }
            say(match (removed.nodes.is_empty(), removed.service) {
                (true, false) => "nothing was installed".into(),
                (_, true) => format!("removed the service {}", DRIVER.service),
                (false, false) => "there was no service".into(),
            });
        }
        Command::Status => return status(arguments),
        Command::Configure { buffers, size } => {
            open(Access::ReadWrite)?.configure(*buffers, *size)?;
            say(format!("an instance with {buffers} buffers of {size} bytes"));
        }
        Command::Enqueue(item) => {
            let client = open(Access::ReadWrite)?;
            let payload = payload(item)?;
            for tag in tags(item) {
                client.enqueue(&request(item, tag), &payload)?;
            }
            say(format!(
                "enqueued {} of {} bytes",
                items(item.count),
                payload.len()
            ));
        }
        Command::Wait(item) => {
            let client = open(Access::ReadWrite)?;
            let payload = payload(item)?;
            for tag in tags(item) {
                let reply = client.enqueue_and_wait(&request(item, tag), &payload)?;
                let outcome = if reply.outcome == WaitReply::RAN {
                    "ran"
                } else {
                    "was dropped"
                };
                anstream::println!("item {} {outcome}: {}", reply.tag, NtStatus(reply.status));
            }
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
        Command::Gate { hold } => gate(&open(Access::ReadWrite)?, *hold, &say)?,
        Command::Release => {
            open(Access::ReadWrite)?.release()?;
            say("the gate is open".into());
        }
        Command::Stats => anstream::println!("{}", counters(&open(Access::Read)?.statistics()?)),
        Command::Log { from } => log(&open(Access::Read)?, *from)?,
        Command::Run { .. } | Command::Test { .. } => return judge::run(arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds the gate for as long as this handle lives: that is how the driver knows that its holder is gone.
fn gate(client: &Client, hold: Option<Duration>, say: &dyn Fn(String)) -> Result<(), Error> {
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

fn status(arguments: &Arguments) -> Result<ExitCode, Error> {
    let nodes = devices::list(&DRIVER)?;
    let paths = interface::paths(&DRIVER)?;
    let mut rows = vec![
        vec![
            "elevated".into(),
            if elevation::is_elevated() { "yes" } else { "no" }.into(),
        ],
        vec![
            "service".into(),
            format!("{}: {:?}", DRIVER.service, service::state(&DRIVER)?).to_lowercase(),
        ],
    ];
    for node in &nodes {
        rows.push(vec![
            "device".into(),
            match &node.published_inf {
                Some(inf) => format!("{} ({inf})", node.instance_id),
                None => node.instance_id.clone(),
            },
        ]);
    }
    rows.extend(paths.iter().map(|path| vec!["interface".into(), path.clone()]));
    let opened = Client::open(
        &Installed::new(&DRIVER, None, arguments.timeout),
        Access::Read,
        arguments.timeout,
    )
    .and_then(|client| Ok((client.version()?, client.statistics()?)));
    if let Ok((version, statistics)) = &opened {
        rows.push(vec![
            "driver".into(),
            format!(
                "{}.{}.{}, contract {}",
                version.major, version.minor, version.patch, version.contract
            ),
        ]);
        rows.push(vec![
            "instance".into(),
            match statistics.capacity {
                0 => "not configured".into(),
                buffers => format!("{buffers} buffers, {} queued", statistics.queued),
            },
        ]);
    }
    anstream::println!("{}", table(&["what", "value"], rows));
    opened.map(|_| ExitCode::SUCCESS)
}

/// The counters, one a line.
pub(super) fn counters(counters: &StatisticsReply) -> comfy_table::Table {
    let rows = [
        ("accepted", counters.accepted),
        ("executed", counters.executed),
        ("cancelled", counters.cancelled),
        ("refused, full", counters.refused_full),
        ("refused, too long", counters.refused_length),
        ("refused, closing", counters.refused_closing),
        ("overlaps (must be 0)", counters.overlaps),
        ("above PASSIVE_LEVEL (must be 0)", counters.above_passive),
        ("queued", counters.queued.into()),
        ("queued at most", counters.high_water.into()),
        ("buffers", counters.capacity.into()),
        ("gate closed", counters.gated.into()),
    ];
    figures(
        &["counter", "value"],
        rows.map(|(name, value)| vec![name.into(), value.to_string()]),
    )
}

fn log(client: &Client, from: u64) -> Result<(), Error> {
    let log = client.read_whole_log(from)?;
    let row = |entry: &LogEntry| {
        vec![
            entry.sequence.to_string(),
            format!("{:#x}", entry.tag),
            entry.length.to_string(),
            format!("{:016x}", entry.digest),
            NtStatus(entry.status).to_string(),
            format!("{:#x}", entry.thread),
            entry.irql.to_string(),
        ]
    };
    let header = ["run", "tag", "bytes", "digest", "status", "thread", "IRQL"];
    anstream::println!("{}", figures(&header, log.entries.iter().map(row)));
    if log.lost > 0 {
        anstream::println!("{} older runs were overwritten", log.lost);
    }
    Ok(())
}

fn request(item: &Item, tag: u64) -> Enqueue {
    let request = Enqueue {
        spend_us: item.spend,
        ..Enqueue::new(0, tag)
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
