//! The budgets of an enqueue and of the drain, counted: how many instructions they execute, and how many of them lock the
//! bus.
//!
//! A program that enqueues or drains under callgrind tells how often each instruction was executed in one function and in
//! all that it called; the disassembly tells which of them are locked. So whatever is called counts, and what
//! lies on another path (a full queue, a retry) does not. The library's core is the driver's; of the host backend an
//! enqueue executes one look at the simulated IRQL, which the kernel's release build has not, and the drain takes a
//! spin lock by one locked instruction, where the kernel's also gives it back by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{Context, count::Count, paths::create_dir, process::Tool, progress::Step};

/// How much the count of an enqueue's instructions may differ between depths, in percent.
const SPREAD: u64 = 5;

/// What is counted.
struct Probe {
    /// The probe's name for it.
    verb: &'static str,
    /// The function, as callgrind's patterns have it.
    function: &'static str,
    /// Locked instructions of one operation.
    locked_at_most: u64,
    /// How deep the queue is.
    depths: &'static [u32],
}

/// An enqueue whose worker is scheduled already.
const ENQUEUE: Probe = Probe {
    verb: "enqueue",
    function: "probed_enqueue",
    locked_at_most: 3,
    depths: &[1, 1_000, 100_000, 1_000_000],
};

/// An enqueue to a queue whose thread is awake: it costs what the other does.
const THREADED: Probe = Probe {
    verb: "threaded",
    function: "probed_threaded",
    locked_at_most: ENQUEUE.locked_at_most,
    depths: &[1, 1_000],
};

/// The drain of one item, beside its callback: what the drainer's start and end cost is shared by so many items as
/// lie in the queue.
const DRAIN: Probe = Probe {
    verb: "drain",
    function: "*run_share*",
    locked_at_most: 2,
    depths: &[16, 1_000, 100_000],
};

/// What one run of the probe costs, summed over its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    operations: u64,
    instructions: u64,
    locked: u64,
}

/// Fails when an operation exceeds its budget, and when the counter misses a locked instruction that it should see.
pub(crate) fn run(context: &Context) -> Result<Count> {
    let step = context.progress.step("budget");
    let program = build(context, &step)?;
    let mut passed = 0;
    let mut verdicts = Vec::new();
    let mut enqueue = Vec::new();
    for probe in [&ENQUEUE, &THREADED, &DRAIN] {
        let costs = count(context, &step, &program, probe)?;
        // Each depth's locked instructions, and the counter's own test.
        passed += costs.len() as u64 + 1;
        verdicts.push(verdict(probe, &costs));
        if probe.verb == ENQUEUE.verb {
            check_spread(&costs)?;
            passed += 1;
            enqueue = costs;
        } else if probe.verb == THREADED.verb {
            enqueue.extend(costs);
            check_spread(&enqueue).context("an enqueue with a thread against one without")?;
            passed += 1;
        }
    }
    step.done(&verdicts.join("; "));
    Ok(Count {
        passed,
        ..Count::default()
    })
}

/// The costs at every depth.
fn count(context: &Context, step: &Step, program: &Path, probe: &Probe) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for depth in probe.depths {
        step.status(&format!("{} at depth {depth}", probe.verb));
        let cost = measure(context, step, program, probe, &[&depth.to_string()])?;
        check_locked(probe, cost).with_context(|| format!("{} at depth {depth}", probe.verb))?;
        costs.push(cost);
    }
    let heavier = measure(
        context,
        step,
        program,
        probe,
        &[&probe.depths[0].to_string(), "heavier"],
    )?;
    ensure!(
        sees_one_more(costs[0], heavier),
        "the counter is broken: one locked instruction more made {} of {}",
        heavier.locked,
        costs[0].locked
    );
    Ok(costs)
}

/// Whether the second run shows one locked instruction more an operation. The drainer's start and end may differ by some from
/// run to run.
fn sees_one_more(cost: Cost, heavier: Cost) -> bool {
    heavier.operations == cost.operations
        && (heavier.locked.saturating_sub(cost.locked)).abs_diff(cost.operations) * 2 < cost.operations
}

fn verdict(probe: &Probe, costs: &[Cost]) -> String {
    let each = |count: fn(&Cost) -> u64| {
        let tenths = costs
            .iter()
            .map(|cost| (count(cost) * 10).div_ceil(cost.operations.max(1)));
        let (least, most) = (tenths.clone().min().unwrap_or(0), tenths.max().unwrap_or(0));
        let text = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
        if least == most {
            text(least)
        } else {
            format!("{} to {}", text(least), text(most))
        }
    };
    format!(
        "{}: {} instructions, {} of them locked, at depths {:?}",
        probe.verb,
        each(|cost| cost.instructions),
        each(|cost| cost.locked),
        probe.depths
    )
}

fn check_locked(probe: &Probe, cost: Cost) -> Result<()> {
    ensure!(
        cost.locked >= cost.operations,
        "{} without a locked instruction cannot be right: {cost:?}",
        probe.verb
    );
    ensure!(
        cost.locked <= probe.locked_at_most * cost.operations,
        "{} locked instructions in {} operations, more than {} each",
        cost.locked,
        cost.operations,
        probe.locked_at_most
    );
    Ok(())
}

fn check_spread(costs: &[Cost]) -> Result<()> {
    let counts = || costs.iter().map(|cost| cost.instructions);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    ensure!(
        least > 0 && most * 100 <= least * (100 + SPREAD),
        "instructions differ by more than {SPREAD} percent: {costs:?}"
    );
    Ok(())
}

/// Builds the probe and says where it is.
fn build(context: &Context, step: &Step) -> Result<PathBuf> {
    let lines = Tool::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "bench",
            "--locked",
            "--package",
            "queued-work-item-bench",
            "--bench",
            "probe",
        ])
        .args(["--no-run", "--message-format", "short"])
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .current_dir(context.paths.root())
        .log(&context.paths.log("budget-build"))
        .echo(context.verbose)
        .run(step)?;
    let path = executable(&lines).context("cargo did not name the probe that it built")?;
    // Cargo prints a path inside its working folder as relative to it.
    Ok(context.paths.root().join(path))
}

/// The path in cargo's `Executable benches/probe.rs (PATH)`.
fn executable(lines: &[String]) -> Option<PathBuf> {
    let line = lines.iter().find(|line| line.contains("Executable"))?;
    let (_, path) = line.split_once('(')?;
    Some(PathBuf::from(path.trim_end().strip_suffix(')')?))
}

/// Runs the probe under callgrind, and looks its instructions up in the disassembly.
fn measure(context: &Context, step: &Step, program: &Path, probe: &Probe, args: &[&str]) -> Result<Cost> {
    let name = format!("budget-{}-{}", probe.verb, args.join("-"));
    create_dir(&context.paths.logs())?;
    let profile = context.paths.logs().join(format!("{name}.callgrind"));
    let lines = Tool::new("valgrind")
        .args(["--tool=callgrind", "--dump-instr=yes"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--toggle-collect={}", probe.function))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .arg(probe.verb)
        .args(args)
        .log(&context.paths.log(&name))
        .echo(context.verbose)
        .hint("without valgrind: cargo xtask setup")
        .run(step)?;
    // The probe prints how many operations there were.
    let operations = lines
        .iter()
        .find_map(|line| line.trim().parse().ok())
        .context("the probe did not print its count")?;
    let text = fs::read_to_string(&profile).with_context(|| format!("cannot read {}", profile.display()))?;
    let mut cost = Cost {
        operations,
        instructions: 0,
        locked: 0,
    };
    for (object, executed) in executions(&text) {
        cost.instructions += executed.values().sum::<u64>();
        let (Some(first), Some(last)) = (executed.keys().next(), executed.keys().last()) else {
            continue;
        };
        let listing = Tool::new("objdump")
            .args(["--disassemble", "--no-show-raw-insn"])
            .arg(format!("--start-address={first:#x}"))
            // The last instruction is not longer than 15 bytes.
            .arg(format!("--stop-address={:#x}", last + 16))
            .arg(&object)
            .output()?;
        let locked = locked_instructions(&listing);
        cost.locked += executed
            .iter()
            .filter(|(address, _)| locked.contains(address))
            .map(|(_, times)| times)
            .sum::<u64>();
    }
    ensure!(
        cost.instructions >= operations,
        "callgrind saw nothing of {}: see {}",
        probe.function,
        profile.display()
    );
    Ok(cost)
}

/// How often each instruction of each object file was executed, from a profile of callgrind's with full names and
/// positions: `ob=FILE`, then `ADDRESS LINE TIMES`; the line after `calls=` is about the callee, which has its own.
fn executions(profile: &str) -> BTreeMap<String, BTreeMap<u64, u64>> {
    let mut objects: BTreeMap<String, BTreeMap<u64, u64>> = BTreeMap::new();
    let mut object = String::new();
    let mut is_of_callee = false;
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("ob=") {
            name.clone_into(&mut object);
        } else if line.starts_with("calls=") {
            is_of_callee = true;
        } else if let Some(rest) = line.strip_prefix("0x") {
            let mut words = rest.split_whitespace();
            let address = words.next().and_then(|word| u64::from_str_radix(word, 16).ok());
            let times = words.nth(1).and_then(|word| word.parse::<u64>().ok());
            if let (Some(address), Some(times), false) = (address, times, is_of_callee) {
                *objects
                    .entry(object.clone())
                    .or_default()
                    .entry(address)
                    .or_default() += times;
            }
            is_of_callee = false;
        }
    }
    objects
}

/// The addresses of the locked instructions in a listing of objdump's: those with the prefix, and exchanges with memory,
/// which lock without it.
fn locked_instructions(listing: &str) -> BTreeSet<u64> {
    listing
        .lines()
        .filter_map(|line| {
            let (address, instruction) = line.split_once(":\t")?;
            let address = u64::from_str_radix(address.trim(), 16).ok()?;
            let mut words = instruction.split_whitespace();
            let mnemonic = words.next()?;
            let is_locked = mnemonic == "lock" || mnemonic.starts_with("xchg") && instruction.contains('(');
            is_locked.then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "positions: instr line\nevents: Ir\nsummary: 9\n\n\
        ob=/a\nfl=x.rs\nfn=probed_enqueue\n0x10 26 1000\n0x14 26 1000\n\
        cfi=y.rs\ncfn=callee\ncalls=1000 0x40 30\n0x18 30 131000\n0x1d 31 1000\n\
        ob=/b\nfn=callee\n0x40 1 2000\n0x40 2 3\n";

    #[test]
    fn a_callee_is_counted_once_and_by_its_own_file() {
        let objects = executions(PROFILE);
        assert_eq!(
            objects["/a"],
            BTreeMap::from([(0x10, 1000), (0x14, 1000), (0x1d, 1000)])
        );
        assert_eq!(objects["/b"], BTreeMap::from([(0x40, 2003)]));
    }

    #[test]
    fn locked_instructions_are_those_with_a_prefix_and_exchanges_with_memory() {
        let listing = "\n0000000000016c90 <probed_enqueue>:\n   16c90:\tpush   %rbx\n   16c94:\tlock cmpxchg %rcx,(%rdi)\n   \
                       16c9b:\txchg   %al,(%rdi)\n   16c9d:\txchg   %ax,%ax\n   16c9f:\tlock incq 0x3b0e9(%rip)\n   \
                       16ca9:\tcmpxchg %rcx,(%rdi)\n";
        assert_eq!(
            locked_instructions(listing),
            BTreeSet::from([0x16c94, 0x16c9b, 0x16c9f])
        );
    }

    #[test]
    fn the_budget_can_be_exceeded() {
        let cost = |instructions, locked| Cost {
            operations: 1_000,
            instructions,
            locked,
        };
        assert!(check_locked(&ENQUEUE, cost(143_000, 3_000)).is_ok());
        assert!(check_locked(&ENQUEUE, cost(143_000, 3_001)).is_err());
        assert!(check_locked(&ENQUEUE, cost(143_000, 0)).is_err());
        assert!(check_locked(&DRAIN, cost(143_000, 2_000)).is_ok());
        assert!(check_locked(&DRAIN, cost(143_000, 2_001)).is_err());
        assert!(sees_one_more(cost(0, 1_100), cost(0, 2_103)));
        assert!(!sees_one_more(cost(0, 1_100), cost(0, 1_100)));
        assert!(check_spread(&[cost(100_000, 0), cost(105_000, 0)]).is_ok());
        assert!(check_spread(&[cost(105_001, 0), cost(100_000, 0)]).is_err());
        assert!(check_spread(&[]).is_err());
    }

    #[test]
    fn the_probe_is_where_cargo_says() {
        let lines = ["  Executable benches/probe.rs (target/release/deps/probe-28)".to_owned()];
        assert_eq!(
            executable(&lines),
            Some(PathBuf::from("target/release/deps/probe-28"))
        );
        assert_eq!(executable(&[]), None);
    }
}
