//! Verdicts for machines: JSON of our own, and `JUnit` XML, which every CI reads.

use queued_work_item_ioctl::CONTRACT_VERSION;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    runner::{Outcome, Report},
};

/// The verdicts of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// The harness's version.
    pub harness: String,
    /// The version of the contract that it speaks.
    pub contract: u32,
    /// What payloads and requests were made from.
    pub seed: u64,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many could not be shown.
    pub skipped: usize,
    /// One by one, in the order in which they ran.
    pub scenarios: Vec<Verdict>,
}

/// One scenario's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its name.
    pub id: String,
    /// What it does and what must come of it.
    pub title: String,
    /// `passed`, `failed` or `skipped`.
    pub outcome: Kind,
    /// What it was doing when it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// What was wrong, or why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// As it should.
    Passed,
    /// Not as it should.
    Failed,
    /// It cannot be shown here.
    Skipped,
}

impl Verdicts {
    /// Sums up.
    #[must_use]
    pub fn new(seed: u64, reports: &[Report]) -> Self {
        let scenarios: Vec<_> = reports.iter().map(Verdict::new).collect();
        let count = |kind| scenarios.iter().filter(|verdict| verdict.outcome == kind).count();
        Self {
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT_VERSION,
            seed,
            passed: count(Kind::Passed),
            failed: count(Kind::Failed),
            skipped: count(Kind::Skipped),
            scenarios,
        }
    }

    /// As `JUnit` XML.
    ///
    /// # Errors
    /// [`Error::Unverified`], should the writer fail.
    pub fn junit(&self) -> Result<String, Error> {
        let mut report = quick_junit::Report::new("qwi-harness");
        let mut suite = TestSuite::new("scenarios");
        suite.add_property(("seed", &*format!("{:#x}", self.seed)));
        suite.add_property(("contract", &*self.contract.to_string()));
        for verdict in &self.scenarios {
            let why = verdict.why.clone().unwrap_or_default();
            let status = match verdict.outcome {
                Kind::Passed => TestCaseStatus::success(),
                Kind::Skipped => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(why);
                    status
                }
                Kind::Failed => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why);
                    status.set_description(format!("at: {}", verdict.step.as_deref().unwrap_or_default()));
                    status
                }
            };
            let mut case = TestCase::new(&*verdict.id, status);
            case.set_classname("scenarios");
            case.set_time(std::time::Duration::from_secs_f64(verdict.seconds));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
        report
            .to_string()
            .map_err(|error| Error::Unverified(format!("the JUnit report cannot be written: {error}")))
    }
}

impl Verdict {
    fn new(report: &Report) -> Self {
        let (outcome, step, why) = match &report.outcome {
            Outcome::Passed => (Kind::Passed, None, None),
            Outcome::Failed { step, why } => (Kind::Failed, Some(step.clone()), Some(why.clone())),
            Outcome::Skipped(why) => (Kind::Skipped, None, Some(why.clone())),
        };
        Self {
            id: report.id.to_owned(),
            title: report.title.to_owned(),
            outcome,
            step,
            why,
            seconds: report.took.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdicts() -> Verdicts {
        let report = |id, outcome| Report {
            id,
            title: "does <this> & \"that\"",
            outcome,
            took: Duration::from_millis(1_500),
        };
        let failed = Outcome::Failed {
            step: "gate <0>".into(),
            why: "got 1 & expected \u{1} 2".into(),
        };
        Verdicts::new(
            7,
            &[
                report("one", Outcome::Passed),
                report("two", failed),
                report("three", Outcome::Skipped("not here".into())),
            ],
        )
    }

    #[test]
    fn json_is_read_back() {
        let verdicts = verdicts();
        let text = serde_json::to_string_pretty(&verdicts).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Verdicts>(&text).expect("the same JSON"),
            verdicts
        );
        assert_eq!((verdicts.passed, verdicts.failed, verdicts.skipped), (1, 1, 1));
    }

    #[test]
    fn junit_is_read_back() {
        let text = verdicts().junit().expect("XML");
        let report = quick_junit::Report::deserialize_from_str(&text).expect("the same XML");
        assert_eq!((report.tests, report.failures), (3, 1));
        let suite = &report.test_suites[0];
        let names: Vec<_> = suite.test_cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "three"]);
        assert!(matches!(
            &suite.test_cases[1].status,
            TestCaseStatus::NonSuccess { message: Some(message), .. } if message.as_str().contains("got 1 & expected")
        ));
    }
}
