//! Tests the KMDF runtime that is on this machine, through a KMDF driver made for it.
//!
//! Without a verb this is a test program of libtest's kind: what can be shown inside the driver is asked for case by
//! case, what only requests, handles and device nodes can show is driven from here. `install` and `uninstall` handle the
//! driver; the other verbs end in the driver's death, in a leak or in many loads, and the kernel log has the verdict, so
//! they are for whoever reads it.

#[cfg(windows)]
mod client;
#[cfg(windows)]
mod files;
#[cfg(windows)]
mod inside;
#[cfg(windows)]
mod pnp;
#[cfg(windows)]
mod queues;
#[cfg(windows)]
mod registry;
#[cfg(windows)]
mod requests;
#[cfg(windows)]
mod sequence;
#[cfg(windows)]
mod services;
#[cfg(windows)]
mod verbs;

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    use libtest_mimic::{Arguments, Trial};

    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(outcome) = verbs::run(&words) {
        return match outcome {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("error: {why}");
                std::process::ExitCode::FAILURE
            }
        };
    }
    let mut arguments = Arguments::from_args();
    // There is one driver, with one instance.
    arguments.test_threads = Some(1);
    let inside = inside::names().map(|name| {
        let test = move || inside::run(name).map_err(Into::into);
        Trial::test(name, test)
    });
    let outside = [requests::TESTS, queues::TESTS, files::TESTS, pnp::TESTS].concat();
    let outside = outside
        .into_iter()
        .map(|(name, test)| Trial::test(name, move || test().map_err(Into::into)));
    libtest_mimic::run(&arguments, inside.chain(outside).collect()).exit_code()
}

#[cfg(not(windows))]
fn main() {
    eprintln!("there is no Windows driver here: `cargo xtask test wdfldr` runs these tests under Wine");
    std::process::exit(2);
}
