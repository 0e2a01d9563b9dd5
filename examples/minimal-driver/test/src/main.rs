//! Tests the guide's driver on this machine: each of its answers is the number of the callback's run, so that the answers
//! tell how often it ran, and in which order.
//!
//! Without a verb this is a test program of libtest's kind; `install` and `uninstall` handle the driver.

#[cfg(windows)]
mod client;

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    let verb = std::env::args().nth(1);
    let done = match verb.as_deref() {
        Some("install") => client::install(),
        Some("uninstall") => client::uninstall(),
        _ => return client::tests(),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(windows))]
fn main() {
    eprintln!("there is no Windows driver here: `cargo xtask test example` runs these tests under Wine");
    std::process::exit(2);
}
