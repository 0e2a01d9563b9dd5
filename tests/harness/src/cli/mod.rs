//! The command line: what can be asked, and what is said.

mod arguments;
#[cfg(windows)]
mod commands;
#[cfg(windows)]
mod judge;
pub(crate) mod print;
#[cfg(windows)]
mod table;

pub(crate) use arguments::Arguments;
#[cfg(windows)]
pub(crate) use commands::run;

/// There is no Windows driver here to talk to.
#[cfg(not(windows))]
pub(crate) fn run(_: &Arguments) -> Result<std::process::ExitCode, queued_work_item_harness::Error> {
    let name = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    Err(queued_work_item_harness::Error::NotSupported(format!(
        "this build of the harness has no Windows driver to talk to: `cargo xtask harness {name}` runs the Windows one"
    )))
}
