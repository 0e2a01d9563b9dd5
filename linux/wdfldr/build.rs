//! Links `wdfldr.sys` and generates what depends on the function table's numbering.
//!
//! wdk-build's binary configuration is not used: it makes a client with an entry stub, and this *is* `WdfLdr`.
//! Imports need no library: `src/nt/ffi.rs` names its DLLs (raw-dylib). wdk-sys asks for the kits' libraries
//! nevertheless; `cargo xtask build` says in `QWI_KITS_LIB` and `QWI_KITS_WDF_LIB` where they are, and nothing of them is linked.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Where the WDF headers of this repository are, from this package.
const HEADERS: &str = "../wdk";

fn main() {
    for argument in [
        "/DRIVER",
        "/NODEFAULTLIB",
        "/SUBSYSTEM:NATIVE",
        "/ENTRY:DriverEntry",
        "/NXCOMPAT",
        "/DYNAMICBASE",
        "/OPT:REF,ICF",
        "/MANIFEST:NO",
        "/IGNORE:4216",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ["QWI_KITS_LIB", "QWI_KITS_WDF_LIB"] {
        println!("cargo::rerun-if-env-changed={variable}");
        if let Some(folder) = env::var_os(variable) {
            println!("cargo::rustc-link-search=native={}", Path::new(&folder).display());
        }
    }
    println!("cargo::rerun-if-changed={HEADERS}");

    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let names = function_names(&manifest.join(HEADERS));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("functions.rs"), generate(&names)).expect("OUT_DIR can be written");
}

/// The functions in the order of `_WDFFUNCENUM`, by the numbers that the header states.
fn function_names(folder: &Path) -> Vec<String> {
    let mut headers = Vec::new();
    find_headers(folder, &mut headers);
    headers.sort();
    let mut found = Vec::new();
    for header in headers {
        let text = fs::read_to_string(&header).expect("a header can be read");
        if !text.contains("_WDFFUNCENUM") {
            continue;
        }
        let mut next = 0;
        for token in text.split(',').flat_map(|part| part.split(['{', '}', '\n'])) {
            let token = token.split("//").next().unwrap_or_default();
            let (left, right) = token.split_once('=').map_or((token, None), |(l, r)| (l, Some(r)));
            let Some(name) = left.trim().strip_suffix("TableIndex") else {
                continue;
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
                continue;
            }
            if let Some(right) = right {
                next = right.trim().parse().expect("a table index is a decimal number");
            }
            found.push((next, name.to_owned()));
            next += 1;
        }
    }
    found.sort();
    found.dedup();
    assert!(
        !found.is_empty(),
        "no header under {} declares _WDFFUNCENUM",
        folder.display()
    );
    for (expected, (index, name)) in found.iter().enumerate() {
        assert_eq!(expected, *index, "_WDFFUNCENUM has a hole or a double at {name}");
    }
    found.into_iter().map(|(_, name)| name).collect()
}

fn find_headers(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_headers(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "h") {
            out.push(path);
        }
    }
}

/// The names, and one stub for each index: the stub is what stops a driver that calls a function we do not have.
fn generate(names: &[String]) -> String {
    let count = names.len();
    let mut text = format!("pub(super) const NAMES: [&str; {count}] = [\n");
    for name in names {
        writeln!(text, "    \"{name}\",").expect("writing to a String");
    }
    writeln!(text, "];\npub(super) const ABSENT: [Entry; {count}] = [").expect("writing to a String");
    for index in 0..count {
        writeln!(text, "    Entry(absent::<{index}> as *const ()),").expect("writing to a String");
    }
    text.push_str("];\n");
    text
}
