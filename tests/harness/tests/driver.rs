//! Every scenario against the driver that is installed on this machine, one test each.
//!
//! `cargo test --test driver` on Windows, or under Wine through cargo's runner. A driver that is not installed fails
//! every test: nothing was shown. Elsewhere the list is empty, and says so; `--test host` runs the scenarios there.
//!
//! `QWI_INF` names the driver's INF, with which devices are added and come back after a surprise removal; without it those
//! scenarios are ignored. `QWI_LONG` asks for those that take minutes. `QWI_TIMEOUT` bounds each wait, in seconds. `QWI_SEED` chooses what is
//! random, and a failure tells it.

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    use std::{env, sync::Arc, time::Duration};

    use libtest_mimic::{Arguments, Trial};
    use queued_work_item_harness::{
        DRIVER,
        client::DEFAULT_TIMEOUT,
        runner::{self, Outcome},
        scenarios::{ALL, Need, Options},
        windows::{Installed, process},
    };

    if let Some(code) = process::role() {
        return code;
    }

    let mut arguments = Arguments::from_args();
    // There is one driver, with one instance.
    arguments.test_threads = Some(1);
    let timeout = env::var("QWI_TIMEOUT")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
    let seed = match Options::seed_from_environment() {
        Ok(seed) => seed,
        Err(error) => {
            eprintln!("{error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let options = Options { timeout, seed };
    let inf = env::var_os("QWI_INF");
    let removable = inf.is_some();
    let long = env::var_os("QWI_LONG").is_some();
    let installed = Arc::new(Installed::new(&DRIVER, inf.map(Into::into), timeout));
    let trials = ALL
        .iter()
        .map(|scenario| {
            let installed = Arc::clone(&installed);
            let ignored = scenario.needs(Need::Inf) && !removable || scenario.needs(Need::Time) && !long;
            Trial::test(scenario.id, move || {
                match runner::run(&*installed, options, scenario).outcome {
                    Outcome::Passed => Ok(()),
                    Outcome::Skipped(why) => Err(format!("not shown here: {why}").into()),
                    Outcome::Failed { step, why } => {
                        Err(format!("QWI_SEED={seed:#x}, at: {step}\n{why}").into())
                    }
                }
            })
            .with_ignored_flag(ignored)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[cfg(not(windows))]
fn main() {
    use libtest_mimic::{Arguments, run};

    let arguments = Arguments::from_args();
    eprintln!("there is no Windows driver here: no test is listed; `cargo xtask test` runs these under Wine");
    run(&arguments, Vec::new()).exit();
}
