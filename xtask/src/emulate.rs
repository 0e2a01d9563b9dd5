//! A second opinion on the driver's entry: speakeasy, an emulator of Windows that is not ours, runs it on its own idea of
//! KMDF.
//!
//! Wine and the runtime in `linux/wdfldr` are one reading of how a client binds to the framework. This is another: the
//! bind information, the places in the function table, and what the entry does when the framework refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Context,
    count::Count,
    inf::Version,
    paths::{create_dir, remove_dir_if_present},
    process::{Tool, require_program},
    stamp::Inputs,
};

/// What is installed, and what it runs.
const REQUIREMENTS: &str = include_str!("emulate/requirements.txt");
const SCRIPT: &str = "xtask/src/emulate/emulate.py";

/// How many cases the script has: fewer are a failure.
const CASES: u64 = 4;

/// Seconds for a run that takes one.
const LIMIT: &str = "120";

/// Whether this machine's Python can make an environment for the emulator.
pub(crate) fn can_install() -> bool {
    Tool::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok()
}

/// Installs the emulator into a folder of its own. Returns its Python.
pub(crate) fn install(context: &Context) -> Result<PathBuf> {
    let dir = context.paths.linux_dir().join("python");
    let python = dir.join("bin/python");
    let system = require_program("python3")?;
    let mut inputs = Inputs::default();
    inputs.text(REQUIREMENTS);
    inputs.text(&Tool::new(&system).arg("--version").output()?);
    let stamp = inputs.stamp(&context.paths, "python");
    if stamp.is_fresh() && python.is_file() {
        return Ok(python);
    }
    let step = context.progress.step("emulator");
    stamp.begin()?;
    remove_dir_if_present(&dir)?;
    Tool::new(&system)
        .args(["-m", "venv"])
        .arg(&dir)
        .log(&context.paths.log("python-venv"))
        .run(&step)?;
    Tool::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(context.paths.root().join("xtask/src/emulate/requirements.txt"))
        .log(&context.paths.log("python-packages"))
        .echo(context.verbose)
        .hint("pip cannot reach its index: see its configuration and the network")
        .run(&step)?;
    stamp.finish()?;
    step.done(&context.paths.shown(&dir));
    Ok(python)
}

/// Runs the built driver in the emulator; the count is of cases. A driver that says that the framework has one function
/// fewer must fail.
pub(crate) fn run(context: &Context) -> Result<Count> {
    let lock = context.paths.lock(context.progress)?;
    let python = install(context)?;
    drop(lock);
    let step = context.progress.step("emulate");
    let driver = context.paths.out().join("queued_work_item_driver.sys");
    let version = Version::read(&context.paths)?;
    let emulate = |driver: &Path, log: &str| {
        Tool::new("timeout")
            .arg(LIMIT)
            .arg(&python)
            .arg(context.paths.root().join(SCRIPT))
            .arg(driver)
            .arg(version.numbers())
            .log(&context.paths.log(log))
            .echo(context.verbose)
            .run(&step)
    };
    let lines = emulate(&driver, "emulate")?;
    let passed = lines.iter().filter(|line| line.starts_with("ok ")).count() as u64;
    ensure!(passed == CASES, "{passed} cases have run, not {CASES}");

    let scratch = context.paths.linux_dir().join("emulate");
    create_dir(&scratch)?;
    let liar = scratch.join("queued_work_item_driver.sys");
    let image = fs::read(&driver).with_context(|| format!("cannot read {}", driver.display()))?;
    fs::write(&liar, with_one_function_fewer(image)?)
        .with_context(|| format!("cannot write {}", liar.display()))?;
    let error = emulate(&liar, "emulate-liar").err();
    let said = error.map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(
        said.contains("its number of functions is 443, not 444"),
        "a driver that says that there are 443 functions passes, or fails for another reason: {said}"
    );
    let count = Count {
        passed: passed + 1,
        ..Count::default()
    };
    step.done(&count.to_string());
    Ok(count)
}

/// Lowers the number of functions in the bind information, which the image has once: major and minor version, a build
/// number, and that.
fn with_one_function_fewer(mut image: Vec<u8>) -> Result<Vec<u8>> {
    const VERSION: [u8; 8] = [1, 0, 0, 0, 15, 0, 0, 0];
    const FUNCTIONS: [u8; 4] = 444_u32.to_le_bytes();
    let places: Vec<usize> = image
        .windows(16)
        .enumerate()
        .filter(|(_, window)| window[..8] == VERSION && window[12..] == FUNCTIONS)
        .map(|(at, _)| at + 12)
        .collect();
    ensure!(
        places.len() == 1,
        "the image has {} bind informations, not one",
        places.len()
    );
    image[places[0]] -= 1;
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_functions_is_found_by_what_is_before_it() {
        let mut image = vec![7; 40];
        image[8..16].copy_from_slice(&[1, 0, 0, 0, 15, 0, 0, 0]);
        image[20..24].copy_from_slice(&444_u32.to_le_bytes());
        let changed = with_one_function_fewer(image.clone()).expect("it is there once");
        assert_eq!(changed[20..24], 443_u32.to_le_bytes());
        image[20] = 0;
        assert!(with_one_function_fewer(image).is_err());
    }

    #[test]
    fn every_requirement_has_an_exact_version() {
        let lines = REQUIREMENTS.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            assert!(line.contains("=="), "{line}");
        }
    }
}
