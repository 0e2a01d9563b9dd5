//! Telling a developer what went wrong inside Wine, from everything that is known of it.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    log::{Finding, Kind},
    prefix::{CRASH_END, Prefix},
};

/// Lines of the kernel log in a report.
pub(crate) const TAIL: usize = 40;

/// Time for the debugger to write its report.
const DEBUGGER: Duration = Duration::from_secs(10);

/// What a report is made of.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) what: &'a str,
    pub(crate) findings: &'a [Finding],
    pub(crate) crash: Option<&'a str>,
    pub(crate) tail: &'a [String],
    pub(crate) log: &'a Path,
}

/// Puts it into words: what failed, why, where, and what the drivers said last.
pub(crate) fn failure(failure: &Failure<'_>) -> anyhow::Error {
    let mut text = failure.what.to_owned();
    for finding in failure.findings {
        text.push('\n');
        text.push_str(finding.kind.title());
        text.push_str(": ");
        text.push_str(&finding.text);
    }
    if let Some(crash) = failure.crash {
        text.push('\n');
        text.push_str(crash);
    }
    if failure.tail.is_empty() {
        text.push_str("\nthe drivers printed nothing meanwhile");
    } else {
        text.push_str("\nthe kernel log's last lines (seconds, thread, text):\n");
        text.push_str(&failure.tail.join("\n"));
    }
    text.push_str("\nthe kernel log: ");
    text.push_str(&failure.log.to_string_lossy());
    anyhow::anyhow!(text)
}

/// The debugger's report, if one of the findings is a crash. The debugger has no way to tell us that it is done but
/// the last line of its file.
pub(crate) fn crash(prefix: &Prefix, findings: &[Finding]) -> Option<String> {
    if !findings
        .iter()
        .any(|finding| matches!(finding.kind, Kind::Crash | Kind::Missing))
    {
        return None;
    }
    let until = Instant::now() + DEBUGGER;
    loop {
        let text = prefix.crashes();
        let whole = text.as_deref().is_some_and(|text| text.contains(CRASH_END));
        if whole || Instant::now() > until {
            return backtrace(&text?);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The first crash of a debugger's report: what, and the stack. Registers, modules and threads stay in its file.
fn backtrace(report: &str) -> Option<String> {
    let mut kept = Vec::new();
    let mut in_stack = false;
    for line in report.lines() {
        if line.starts_with("Unhandled exception") {
            kept.push(line.trim_end());
        } else if line.starts_with("Backtrace:") {
            in_stack = true;
            kept.push(line.trim_end());
        } else if in_stack && !line.starts_with("=>") && !line.starts_with(' ') {
            break;
        } else if in_stack {
            kept.push(line.trim_end());
        }
    }
    (!kept.is_empty()).then(|| kept.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As winedbg of Wine 8.0 printed it, shortened.
    const REPORT: &str = "Unhandled exception: page fault on write access to 0x0000000000000020 in 64-bit code (0x000001d6ad1010).
Register dump:
 rip:00000001d6ad1010 rsp:000000000239fc20 rbp:000000000239fd20 eflags:00010206 (  R- --  I   - -P- )
Stack dump:
0x0000000239fc20:  0000000000000000 0000000000000000
Backtrace:
=>0 0x000001d6ad1010 in async.sys (+0x1010) (0x0000000239fd20)
  1 0x0000031caa0127 run_work_item_worker+0x27(instance=<internal error>, context=00000000014A0370) [ntoskrnl.c:1297] in ntoskrnl (0x0000000239fd20)
0x000001d6ad1010 async.sys+0x1010: movl\t$0x1,0x00000000000020
Modules:
Module\tAddress\t\t\t\t\tDebug info\tName (20 modules)
";

    #[test]
    fn a_crash_is_cut_down_to_its_stack() {
        let text = backtrace(REPORT).expect("there is a stack");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("Unhandled exception: page fault"));
        assert!(lines[2].starts_with("=>0 0x000001d6ad1010 in async.sys"));
        assert!(lines[3].contains("run_work_item_worker"));
        assert_eq!(backtrace("nothing of use\n"), None);
    }

    #[test]
    fn a_report_has_all_that_is_known() {
        let findings = [Finding {
            kind: Kind::Stop,
            text: "wdfldr: STOP 0x02: qwi: WdfX is not here".to_owned(),
        }];
        let tail = ["    0.100 0148 hello".to_owned()];
        let error = failure(&Failure {
            what: "`qwi-harness run` ended with exit code 1",
            findings: &findings,
            crash: Some("Backtrace:"),
            tail: &tail,
            log: Path::new("/logs/kernel.log"),
        });
        let text = error.to_string();
        for part in [
            "exit code 1",
            "STOP 0x02",
            "Backtrace:",
            "0148 hello",
            "/logs/kernel.log",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
