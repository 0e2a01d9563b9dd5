//! Counting tests: many programs report theirs, and one line sums them up.

use std::{fmt, ops::AddAssign, time::Duration};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Count {
    /// One test, passed.
    pub(crate) const ONE: Self = Self {
        passed: 1,
        failed: 0,
        ignored: 0,
    };

    /// One test, failed.
    pub(crate) const FAILURE: Self = Self {
        passed: 0,
        failed: 1,
        ignored: 0,
    };

    /// Sums up the closing lines of libtest and of what prints like it:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    pub(crate) fn of_libtest(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output.lines() {
            let line = console::strip_ansi_codes(line);
            let Some(result) = line.trim().strip_prefix("test result: ") else {
                continue;
            };
            let figures = result.split_once(". ").map_or(result, |(_, figures)| figures);
            for part in figures.split(';') {
                let mut words = part.split_whitespace();
                let (Some(Ok(number)), Some(kind)) = (words.next().map(str::parse::<u64>), words.next())
                else {
                    continue;
                };
                match kind {
                    "passed" => sum.passed += number,
                    "failed" => sum.failed += number,
                    "ignored" => sum.ignored += number,
                    _ => {}
                }
            }
        }
        sum
    }

    /// The closing line, as libtest's.
    pub(crate) fn closing_line(self, elapsed: Duration) -> String {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {verdict}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
            self.passed,
            self.failed,
            self.ignored,
            elapsed.as_secs_f64()
        )
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        for (number, kind) in [(self.failed, "failed"), (self.ignored, "ignored")] {
            if number > 0 {
                write!(f, ", {number} {kind}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cargo 1.95 and libtest-mimic 0.8 print it.
    const OUTPUT: &str = "
running 2 tests
test a ... ok
test b ... FAILED

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests x
test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; finished in 1.25s
";

    #[test]
    fn closing_lines_are_summed_up() {
        let expected = Count {
            passed: 4,
            failed: 1,
            ignored: 2,
        };
        assert_eq!(Count::of_libtest(OUTPUT), expected);
        assert_eq!(
            Count::of_libtest(&OUTPUT.replace("FAILED.", "\u{1b}[31mFAILED\u{1b}[0m.")),
            expected
        );
        assert_eq!(Count::of_libtest("passed; failed"), Count::default());
    }

    #[test]
    fn our_closing_line_reads_back() {
        let count = Count {
            passed: 12,
            failed: 0,
            ignored: 3,
        };
        let line = count.closing_line(Duration::from_millis(1250));
        assert!(
            line.starts_with("test result: ok. 12 passed; 0 failed; 3 ignored; "),
            "{line}"
        );
        assert_eq!(Count::of_libtest(&line), count);
        assert!(
            Count::FAILURE
                .closing_line(Duration::ZERO)
                .starts_with("test result: FAILED. 0 passed; 1 failed")
        );
    }
}
