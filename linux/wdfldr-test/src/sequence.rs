//! Creations under failing allocations: the driver is loaded again and again, each time with the next allocation
//! failing, until none is left to fail.
//!
//! That nothing leaked is what the runtime says at each unload, in the kernel log.

use std::{env, fs, path::PathBuf};

use wdfldr_test_contract::{IMAGE, SEQUENCE_SERVICE, SEQUENCE_VALUE};

use crate::client::{Verdict, check};
use crate::registry;
use crate::services::Service;

/// The runtime's controls are values of this key.
const CONTROLS: &str = r"\Wdfldr";
const FAIL: &str = "FailAllocation";

/// More allocations than the sequence has, by far: where it does not get further, something is wrong.
const MOST: u32 = 1000;
/// Fewer than it has, by far: with less, nothing was shown.
const LEAST: u32 = 25;

/// Goes through all of them.
pub(crate) fn run() -> Verdict {
    place_image()?;
    let service = Service::create(
        SEQUENCE_SERVICE,
        &format!(r"\SystemRoot\system32\drivers\{IMAGE}"),
    )?;
    registry::set_number(SEQUENCE_SERVICE, "", SEQUENCE_VALUE, 1)?;
    for failing in 1..=MOST {
        registry::set_number(SEQUENCE_SERVICE, CONTROLS, FAIL, failing)?;
        if service.start().is_err() {
            continue;
        }
        service.stop()?;
        check!(
            failing > LEAST,
            "the driver loaded although its allocation {failing} was to fail"
        );
        println!("{} loads failed, one for each allocation", failing - 1);
        return Ok(());
    }
    Err(format!(
        "the driver still does not load with its allocation {MOST} failing"
    ))
}

/// Puts the image where the INF puts it.
fn place_image() -> Verdict {
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(|folder| folder.join(IMAGE)))
        .ok_or("this exe is nowhere")?;
    let root = env::var_os("SystemRoot").ok_or("SystemRoot is not set")?;
    let to = PathBuf::from(root).join(r"system32\drivers").join(IMAGE);
    fs::copy(&beside, &to)
        .map(drop)
        .map_err(|error| format!("cannot copy {} to {}: {error}", beside.display(), to.display()))
}
