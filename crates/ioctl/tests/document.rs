//! `docs/ioctl.md` says what the crate says: whoever changes one is told of the other.

use std::mem::{offset_of, size_of};

use queued_work_item_ioctl::*;

const PAGE: &str = include_str!("../../../docs/ioctl.md");

/// The part of the page under a heading that begins so, to the next heading.
fn section(heading: &str) -> &'static str {
    let start = PAGE
        .find(&format!("\n{heading}"))
        .unwrap_or_else(|| panic!("no heading `{heading}`"));
    let rest = &PAGE[start + 1..];
    let end = rest.find("\n#").unwrap_or(rest.len());
    &rest[..end]
}

/// Does a table row of the section begin with these cells?
fn has_row(section: &str, cells: &[&str]) -> bool {
    let row = format!("| {} |", cells.join(" | "));
    section.lines().any(|line| line.starts_with(&row))
}

#[test]
fn codes() {
    for (code, name) in ALL {
        let section = section(&format!("### `{name}`: {code:#010X}").replace("0X", "0x"));
        let access = match (code >> 14) & 3 {
            1 => "read",
            2 => "write",
            other => panic!("{name} asks for access {other}"),
        };
        assert!(has_row(section, &["access", access]), "{name}");
        for row in ["input", "output", "completes"] {
            assert!(section.contains(&format!("\n| {row} | ")), "{name} has no {row}");
        }
    }
    assert_eq!(
        PAGE.matches("\n| access | ").count(),
        ALL.len(),
        "a code that is none"
    );
    assert!(PAGE.contains(&format!("\nVersion {CONTRACT_VERSION}.")));
    assert!(PAGE.contains(&format!("| `Header::version` is not {CONTRACT_VERSION} |")));
    assert!(PAGE.contains(&format!("to, 0 to {}.", limits::INSTANCES - 1)));
    let Guid {
        data1,
        data2,
        data3,
        data4,
    } = INTERFACE_GUID;
    let [first, second, rest @ ..] = data4;
    // Six bytes, as one number.
    let rest = rest
        .iter()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let guid = format!("{{{data1:08X}-{data2:04X}-{data3:04X}-{first:02X}{second:02X}-{rest:012X}}}");
    assert!(PAGE.contains(&guid), "{guid}");
}

/// One check for each structure, which names all of its fields.
macro_rules! structures {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        #[test]
        fn structures() {
            let mut all = Vec::new();
            $({
                // A field that the list lacks does not compile.
                let _ = |$name { $($field: _),* }: $name| ();
                let section = section(&format!("### `{}` ({} bytes)", stringify!($name), size_of::<$name>()));
                let offsets = [$((offset_of!($name, $field), stringify!($field))),*];
                let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
                assert_eq!(rows.len(), offsets.len(), "{}", stringify!($name));
                for (row, (offset, field)) in rows.into_iter().zip(offsets) {
                    let cells: Vec<_> = row.split(" | ").collect();
                    assert_eq!(cells[0], format!("| {offset}"), "{}", stringify!($name));
                    assert_eq!(cells[2], format!("`{field}`"), "{}", stringify!($name));
                }
                all.push((stringify!($name), size_of::<$name>()));
            })*
            // Wherever a size is told, it is this one.
            for (at, _) in PAGE.match_indices(" bytes)") {
                let before = &PAGE[..at];
                let named = before.rsplit('`').nth(1).expect("a name before its size");
                let size = before.rsplit('(').next().and_then(|size| size.parse().ok());
                let known = all.iter().find(|(name, _)| *name == named).map(|(_, size)| *size);
                assert!(known.is_some() && known == size, "`{named}` ({size:?} bytes)");
            }
        }
    };
}

structures! {
    Header { version, instance }
    VersionReply { contract, major, minor, patch, reserved, instances, buffer_count, buffer_size, instance_bytes, log_entries, spend_us, total_bytes, context_size, timeout_ms, again, batch_items, stress_producers, stress_items, stress_payload, benchmark_samples, blocking_requests, tasks, task_names, task_delay_ms, task_results, task_log_entries, priority, pended }
    Configure { header, buffer_count, buffer_size, max_buffers, context_size, flags, pool, kind, priority }
    Enqueue { header, tag, status, spend_us, flags, again, timeout_ms, reserved }
    WaitReply { tag, status, outcome }
    Close { header, mode, reserved }
    CloseReply { cancelled }
    CancelReply { cancelled }
    Batch { header, count, reserved }
    BatchItem { length }
    BatchReply { accepted, count }
    StatisticsReply { accepted, executed, cancelled, refused_full, refused_length, refused_closing, overlaps, above_passive, stale_contexts, cleanups, told_at_dispatch, queued, high_water, capacity, gated, pended, started }
    ReadLog { header, from }
    LogReply { next, lost, count, reserved }
    LogEntry { sequence, tag, digest, thread, length, status, instance, irql }
    Stress { header, producers, items, payload, buffer_count, mode, kind }
    StressReply { accepted, executed, completed, cancelled, refused_full, refused_other, order_errors, finish_errors, payload_errors, overlaps, above_passive, elapsed_ns, enqueue_irql, high_water }
    Benchmark { header, samples, reserved }
    BenchmarkReply { frequency, refused, samples, count, series }
    BenchmarkSeries { what, subject, producers, items, minimum_ps, median_ps, samples_ps }
    TaskConfigure { header, when, mode, name, initial_delay_ms, retry_on_success_ms, retry_on_failure_ms, spend_us, inside, result_count, results, reserved }
    TaskExecute { header, how, flags }
    TaskExecuteReply { outcome, reserved }
    TaskEvent { header, event, from }
    TaskDroppedReply { runs, task }
    TaskRestartReply { restarted, reserved }
    TaskSetTimesRun { header, times, reserved }
    TaskStatisticsReply { state, times_run, runs, retries, dropped, store_failures, overlaps, above_passive, causes, gated, reserved }
    TaskReadLog { header, from }
    TaskLogEntry { sequence, began_ns, ended_ns, thread, cause, from, result, irql, inside_status, reserved }
    Complete { header, tag, status, at }
    StopReply { cancelled }
}

macro_rules! values {
    ($test:ident, $heading:literal, $($value:expr => $name:literal,)*) => {
        #[test]
        fn $test() {
            let section = section($heading);
            $(assert!(
                has_row(section, &[concat!("`", $name, "`"), &format!("{}", $value)]),
                "{} is {}", $name, $value
            );)*
            let rows = section.lines().filter(|line| line.starts_with("| `")).count();
            assert_eq!(rows, [$($name),*].len());
        }
    };
}

values! {
    bounds, "## Limits",
    limits::INSTANCES => "INSTANCES",
    limits::BUFFER_COUNT => "BUFFER_COUNT",
    limits::BUFFER_SIZE => "BUFFER_SIZE",
    limits::INSTANCE_BYTES => "INSTANCE_BYTES",
    limits::TOTAL_BYTES => "TOTAL_BYTES",
    limits::CONTEXT_SIZE => "CONTEXT_SIZE",
    limits::SPEND_US => "SPEND_US",
    limits::TIMEOUT_MS => "TIMEOUT_MS",
    limits::AGAIN => "AGAIN",
    limits::BATCH_ITEMS => "BATCH_ITEMS",
    limits::STRESS_PRODUCERS => "STRESS_PRODUCERS",
    limits::STRESS_ITEMS => "STRESS_ITEMS",
    limits::STRESS_PAYLOAD => "STRESS_PAYLOAD",
    limits::LOG_ENTRIES => "LOG_ENTRIES",
    limits::BENCHMARK_SAMPLES => "BENCHMARK_SAMPLES",
    limits::BLOCKING_REQUESTS => "BLOCKING_REQUESTS",
    limits::PRIORITY => "PRIORITY",
    limits::PENDED => "PENDED",
    limits::TASKS => "TASKS",
    limits::TASK_NAMES => "TASK_NAMES",
    limits::TASK_DELAY_MS => "TASK_DELAY_MS",
    limits::TASK_RESULTS => "TASK_RESULTS",
    limits::TASK_LOG_ENTRIES => "TASK_LOG_ENTRIES",
    limits::POWER_STATE => "POWER_STATE",
}

values! {
    constants, "## Constants",
    Configure::REUSE_CLEANUP => "Configure::REUSE_CLEANUP",
    Configure::NONPAGED => "Configure::NONPAGED",
    Configure::PAGED => "Configure::PAGED",
    Configure::QUEUED_WORK_ITEM => "Configure::QUEUED_WORK_ITEM",
    Configure::THREADED => "Configure::THREADED",
    Configure::WAIT_FOR_PENDED => "Configure::WAIT_FOR_PENDED",
    Enqueue::SET_STATUS => "Enqueue::SET_STATUS",
    Enqueue::TIMEOUT => "Enqueue::TIMEOUT",
    Enqueue::AT_HEAD => "Enqueue::AT_HEAD",
    Enqueue::PEND => "Enqueue::PEND",
    WaitReply::RAN => "WaitReply::RAN",
    WaitReply::CANCELLED => "WaitReply::CANCELLED",
    WaitReply::TIMED_OUT => "WaitReply::TIMED_OUT",
    Close::DRAIN => "Close::DRAIN",
    Close::CANCEL => "Close::CANCEL",
    Stress::PASSIVE => "Stress::PASSIVE",
    Stress::SPIN_LOCK => "Stress::SPIN_LOCK",
    Stress::DPC => "Stress::DPC",
    BenchmarkSeries::ENQUEUE => "BenchmarkSeries::ENQUEUE",
    BenchmarkSeries::ITEM => "BenchmarkSeries::ITEM",
    BenchmarkSeries::WAIT => "BenchmarkSeries::WAIT",
    BenchmarkSeries::SPIN_LOCK => "BenchmarkSeries::SPIN_LOCK",
    BenchmarkSeries::EXCHANGE => "BenchmarkSeries::EXCHANGE",
    BenchmarkSeries::QUEUE => "BenchmarkSeries::QUEUE",
    BenchmarkSeries::BARE => "BenchmarkSeries::BARE",
    TaskConfigure::ON_DEMAND => "TaskConfigure::ON_DEMAND",
    TaskConfigure::PREPARE_HARDWARE => "TaskConfigure::PREPARE_HARDWARE",
    TaskConfigure::D0_ENTRY => "TaskConfigure::D0_ENTRY",
    TaskConfigure::IMMEDIATE => "TaskConfigure::IMMEDIATE",
    TaskConfigure::DEFERRED => "TaskConfigure::DEFERRED",
    TaskConfigure::SUCCESS => "TaskConfigure::SUCCESS",
    TaskConfigure::SUCCESS_BUT_TRY_AGAIN => "TaskConfigure::SUCCESS_BUT_TRY_AGAIN",
    TaskConfigure::FAIL => "TaskConfigure::FAIL",
    TaskConfigure::FAIL_BUT_TRY_AGAIN => "TaskConfigure::FAIL_BUT_TRY_AGAIN",
    TaskConfigure::NOTHING => "TaskConfigure::NOTHING",
    TaskConfigure::CANCEL => "TaskConfigure::CANCEL",
    TaskConfigure::CLOSE => "TaskConfigure::CLOSE",
    TaskConfigure::EXECUTE_NOW => "TaskConfigure::EXECUTE_NOW",
    TaskConfigure::EXECUTE_NOW_DEFERRED_EX => "TaskConfigure::EXECUTE_NOW_DEFERRED_EX",
    TaskExecute::NOW => "TaskExecute::NOW",
    TaskExecute::DEFERRED => "TaskExecute::DEFERRED",
    TaskExecute::DEFERRED_EX => "TaskExecute::DEFERRED_EX",
    TaskExecute::AT_DISPATCH => "TaskExecute::AT_DISPATCH",
    TaskExecuteReply::NEW => "TaskExecuteReply::NEW",
    TaskExecuteReply::BROUGHT_FORWARD => "TaskExecuteReply::BROUGHT_FORWARD",
    TaskExecuteReply::JOINED => "TaskExecuteReply::JOINED",
    TaskEvent::PREPARE_HARDWARE => "TaskEvent::PREPARE_HARDWARE",
    TaskEvent::RELEASE_HARDWARE => "TaskEvent::RELEASE_HARDWARE",
    TaskEvent::D0_ENTRY => "TaskEvent::D0_ENTRY",
    TaskEvent::D0_EXIT => "TaskEvent::D0_EXIT",
    TaskStatisticsReply::NOT_CONFIGURED => "TaskStatisticsReply::NOT_CONFIGURED",
    TaskStatisticsReply::IDLE => "TaskStatisticsReply::IDLE",
    TaskStatisticsReply::WAITING => "TaskStatisticsReply::WAITING",
    TaskStatisticsReply::DUE => "TaskStatisticsReply::DUE",
    TaskStatisticsReply::RUNNING => "TaskStatisticsReply::RUNNING",
    TaskStatisticsReply::DONE => "TaskStatisticsReply::DONE",
    TaskStatisticsReply::CANCELLED => "TaskStatisticsReply::CANCELLED",
    TaskStatisticsReply::CLOSED => "TaskStatisticsReply::CLOSED",
    TaskLogEntry::NOW => "TaskLogEntry::NOW",
    TaskLogEntry::NOW_DEFERRED => "TaskLogEntry::NOW_DEFERRED",
    TaskLogEntry::PREPARE_HARDWARE => "TaskLogEntry::PREPARE_HARDWARE",
    TaskLogEntry::D0_ENTRY => "TaskLogEntry::D0_ENTRY",
    TaskLogEntry::RETRY => "TaskLogEntry::RETRY",
    Complete::PASSIVE => "Complete::PASSIVE",
    Complete::SPIN_LOCK => "Complete::SPIN_LOCK",
    Complete::DPC => "Complete::DPC",
}

#[test]
fn statuses() {
    let table = section("## Statuses");
    for (value, name) in STATUSES {
        let value = format!("0x{value:08X}");
        assert!(
            has_row(table, &[&format!("`{name}`"), &value]),
            "{name} is {value}"
        );
        // Told somewhere else what it means.
        assert!(PAGE.matches(&format!("`{name}`")).count() > 1, "{name}");
    }
    for name in PAGE.split('`').filter(|word| word.starts_with("STATUS_")) {
        let of_others = name == "STATUS_ACCESS_DENIED";
        assert!(
            of_others || STATUSES.iter().any(|(_, known)| *known == name),
            "{name}"
        );
    }
}
