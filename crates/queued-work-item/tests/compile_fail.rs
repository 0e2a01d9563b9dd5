//! Misuse that must not compile does not, and the compiler says why.
//!
//! What it says is compared letter by letter with the `.stderr` beside each case, on the compiler that those were written
//! with. Compilers reword their messages, and quote the standard library where its source is installed, so that
//! elsewhere the codes of the errors are compared. After a change on purpose: `TRYBUILD=overwrite cargo test -p queued-work-item --test compile_fail`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trybuild::TestCases;

/// The compiler that the `.stderr` files were written with.
const WRITTEN_WITH: &str = "rustc 1.95.";

const CASES: &str = "tests/compile-fail";

#[test]
fn misuse_does_not_compile() {
    if std::env::var_os("TRYBUILD").is_some() || is_the_compiler() {
        TestCases::new().compile_fail(format!("{CASES}/*.rs"));
    } else {
        compare_codes();
    }
}

fn rustc(arguments: &[&str]) -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(arguments).output().expect("rustc");
    String::from_utf8(output.stdout).expect("text")
}

fn is_the_compiler() -> bool {
    let library = Path::new(rustc(&["--print", "sysroot"]).trim()).join("lib/rustlib/src/rust/library");
    rustc(&["--version"]).starts_with(WRITTEN_WITH) && !library.exists()
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(CASES)
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    cases
}

/// The codes of the errors in a compiler's message, in order.
fn codes(message: &Path) -> Vec<String> {
    let message = fs::read_to_string(message).expect("a message");
    message
        .lines()
        .filter_map(|line| line.strip_prefix("error["))
        .filter_map(|line| line.split_once(']'))
        .map(|(code, _)| code.to_owned())
        .collect()
}

/// Lets each case, in a folder of its own without the expected message, be compiled by this compiler, which has to fail,
/// and compares the codes of its errors.
fn compare_codes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile-fail");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    // SAFETY: the only test of this program, before it starts anything.
    unsafe { std::env::set_var("TRYBUILD", "overwrite") };
    let runs = TestCases::new();
    for case in cases() {
        let copy = folder.join(case.file_name().expect("a file"));
        fs::copy(&case, &copy).expect("a copy");
        runs.compile_fail(copy);
    }
    // It runs the cases when it is dropped, and panics for one that compiles.
    drop(runs);
    for case in cases() {
        let copy = folder.join(case.file_name().expect("a file"));
        let (expected, said) = (
            codes(&case.with_extension("stderr")),
            codes(&copy.with_extension("stderr")),
        );
        assert!(
            !expected.is_empty() && expected == said,
            "{}: {said:?}, not {expected:?}",
            case.display()
        );
    }
}
