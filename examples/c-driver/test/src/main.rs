//! Tests the C driver that is on this machine, and by it the library for C drivers.
//!
//! Without a verb this is a test program of libtest's kind: what the driver can show of the library in the kernel is asked
//! for test by test, and its own requests are sent from several threads. `install` and `uninstall` handle the driver.

#[cfg(windows)]
mod client;
#[cfg(windows)]
mod requests;

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    match run() {
        Ok(code) => code,
        Err(why) => {
            eprintln!("error: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(windows)]
fn run() -> client::Verdict<std::process::ExitCode> {
    use libtest_mimic::{Arguments, Trial};

    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["install"] => client::install()?,
        ["uninstall"] => client::uninstall()?,
        _ => {
            let mut arguments = Arguments::from_args();
            // One at a time in the driver; those of requests have threads of their own.
            arguments.test_threads = Some(1);
            let inside = client::self_tests()?
                .into_iter()
                .map(|(name, verdict)| Trial::test(name, move || verdict.map_err(Into::into)));
            let outside = requests::TESTS
                .iter()
                .map(|&(name, test)| Trial::test(name, move || test().map_err(Into::into)));
            return Ok(libtest_mimic::run(&arguments, inside.chain(outside).collect()).exit_code());
        }
    }
    Ok(std::process::ExitCode::SUCCESS)
}

#[cfg(not(windows))]
fn main() {
    eprintln!("there is no Windows driver here: `cargo xtask test c-face` runs these tests under Wine");
    std::process::exit(2);
}
