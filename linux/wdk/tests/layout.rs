//! Holds the kit's headers to the ABI table: each figure becomes a static assertion, and clang compiles them for Windows.
//!
//! Wrong figures must not pass, so every kind of row is also tried with a wrong one.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use wdk_stand_in::{Abi, Layout};

/// What `wdk-sys` includes for a KMDF driver, and what the entry library adds.
const HEADERS: &str = "#include \"ntifs.h\"\n#include \"ntddk.h\"\n#include \"ntstrsafe.h\"\n#include \"wdf.h\"\n\
                       #include \"wdfldr.h\"\n";

/// Functions that these headers do not declare, by the beginning of their names: of hardware, of buses, of class
/// extensions and miniports, and the three that KMDF keeps private.
const NOT_DECLARED: &[&str] = &[
    "WdfChildList",
    "WdfCmResourceList",
    "WdfCommonBuffer",
    "WdfCx",
    "WdfDeviceGetSelfIoTarget",
    "WdfDeviceInitAllowSelfIoTarget",
    "WdfDeviceMiniportCreate",
    "WdfDmaEnabler",
    "WdfDmaTransaction",
    "WdfDriverMiniportUnload",
    "WdfInterrupt",
    "WdfIoResource",
    "WdfIoTargetSelfAssignDefaultIoQueue",
    "WdfPdo",
    "WdfUsb",
    "WdfWmi",
];

/// The processors that drivers are built for, and the macros by which kernel headers know them.
const PROCESSORS: [(&str, [&str; 2]); 2] = [
    ("x86_64-pc-windows-msvc", ["-D_AMD64_", "-DAMD64"]),
    ("aarch64-pc-windows-msvc", ["-D_ARM64_", "-DARM64"]),
];

#[test]
fn the_headers_hold_to_the_table() {
    let abi = abi();
    let mut source = HEADERS.to_owned();
    for (name, layout) in abi.structs() {
        assert_layout(&mut source, name, layout);
    }
    for (name, &index) in &abi.functions.index {
        assert_index(&mut source, name, index);
    }
    assert_equal(&mut source, "WdfFunctionTableNumEntries", abi.functions.count);
    if let Err(diagnostics) = compile(&source) {
        panic!("the headers and the table disagree:\n{diagnostics}");
    }
}

#[test]
fn a_wrong_size_is_rejected() {
    let mut layout = abi()
        .layout("WDF_DRIVER_CONFIG")
        .expect("it is in the table")
        .clone();
    layout.size += 8;
    assert_rejected(|source| assert_layout(source, "WDF_DRIVER_CONFIG", &layout));
}

#[test]
fn a_wrong_offset_is_rejected() {
    let mut layout = abi()
        .layout("WDF_REQUEST_PARAMETERS")
        .expect("it is in the table")
        .clone();
    *layout
        .at
        .get_mut("Parameters.Create.EaLength")
        .expect("it is in the table") -= 4;
    assert_rejected(|source| assert_layout(source, "WDF_REQUEST_PARAMETERS", &layout));
}

#[test]
fn a_wrong_index_is_rejected() {
    assert_rejected(|source| assert_index(source, "WdfDriverCreate", 117));
}

/// The proc macro of `wdk-sys` pairs a function with its type by name alone, and passes over types that pair with none.
#[test]
fn every_function_of_the_families_has_its_type() {
    let abi = abi();
    let names = abi.function_names();
    let wanted: BTreeSet<String> = names
        .iter()
        .filter(|name| !NOT_DECLARED.iter().any(|prefix| name.starts_with(prefix)))
        .map(|name| name.to_uppercase())
        .collect();
    let declared = declared_functions();
    let missing: Vec<_> = wanted.difference(&declared).collect();
    let unknown: Vec<_> = declared.difference(&wanted).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not declared: {missing:?}; of no function: {unknown:?}"
    );
}

fn abi() -> Abi {
    Abi::kmdf_1_15().expect("the table is well-formed")
}

fn assert_layout(source: &mut String, name: &str, layout: &Layout) {
    assert_equal(source, &format!("sizeof({name})"), layout.size);
    for (member, &offset) in &layout.at {
        assert_equal(source, &format!("__builtin_offsetof({name}, {member})"), offset);
    }
}

fn assert_index(source: &mut String, name: &str, index: u32) {
    assert_equal(source, &format!("{name}TableIndex"), index);
}

fn assert_equal(source: &mut String, expression: &str, value: u32) {
    writeln!(
        source,
        "_Static_assert({expression} == {value}, \"{expression}\");"
    )
    .expect("a string takes any text");
}

/// The compiler refuses one wrong assertion, and for no other reason than that.
fn assert_rejected(write: impl FnOnce(&mut String)) {
    let mut source = HEADERS.to_owned();
    write(&mut source);
    let diagnostics = compile(&source).expect_err("a wrong figure must not compile");
    let errors: Vec<&str> = diagnostics
        .lines()
        .filter(|line| line.contains(" error: "))
        .collect();
    assert!(
        matches!(errors.as_slice(), [only] if only.contains("static assertion failed")),
        "one failed assertion was expected:\n{diagnostics}"
    );
}

/// Compiles C for Windows on each processor, as `wdk-sys` reads the headers; the diagnostics, if one refuses.
fn compile(source: &str) -> Result<(), String> {
    PROCESSORS
        .iter()
        .try_for_each(|(target, macros)| compile_for(target, macros, source))
}

fn compile_for(target: &str, macros: &[&str], source: &str) -> Result<(), String> {
    let clang = clang();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mingw =
        env::var_os("QWI_MINGW_INCLUDE").map_or_else(|| "/usr/share/mingw-w64/include".into(), PathBuf::from);
    assert!(
        mingw.join("ddk/wdm.h").is_file(),
        "no mingw-w64 headers with a ddk folder in {}: run `cargo xtask setup`, or name their folder in \
         QWI_MINGW_INCLUDE",
        mingw.display()
    );
    let mut compiler = Command::new(&clang)
        .arg(format!("--target={target}"))
        .args(["-fsyntax-only", "-w", "-x", "c", "-"])
        .args([
            "-fms-compatibility",
            "-fms-extensions",
            "-fno-builtin",
            "-nostdinc",
            "-ferror-limit=0",
        ])
        .args(["-fgnuc-version=4.2.1", "-D__MINGW64__", "-D__MINGW32__"])
        .args([
            "-D__AMXINTRIN_H",
            "-D__AMX_COMPLEXINTRIN_H",
            "-D__AMX_FP16INTRIN_H",
        ])
        .args(["-D_WIN64", "-D_KERNEL_MODE"])
        .args(macros)
        .args(["-DKMDF_VERSION_MAJOR=1", "-DKMDF_VERSION_MINOR=15"])
        .arg("-I")
        .arg(here.join("include/km"))
        .arg("-I")
        .arg(here.join("include/wdf/kmdf/1.15"))
        .arg("-I")
        .arg(here.join("src"))
        // Before clang's own headers: its intrin.h contradicts mingw-w64's setjmp.h.
        .arg("-isystem")
        .arg(mingw.join("ddk"))
        .arg("-isystem")
        .arg(&mingw)
        .arg("-isystem")
        .arg(resource_dir(&clang).join("include"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("clang answered before");
    let mut input = compiler.stdin.take().expect("it was asked for");
    input.write_all(source.as_bytes()).expect("clang reads its input");
    drop(input);
    let output = compiler.wait_with_output().expect("clang ends");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The versioned compiler that the Linux build uses, or the system's.
fn clang() -> PathBuf {
    let found = ["clang-19", "clang"].into_iter().find(|name| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|end| end.success())
    });
    found
        .expect("clang-19, or a clang, is needed: run `cargo xtask setup`")
        .into()
}

/// Where clang keeps its own headers.
fn resource_dir(clang: &Path) -> PathBuf {
    let output = Command::new(clang)
        .arg("-print-resource-dir")
        .output()
        .expect("clang answered before");
    String::from_utf8(output.stdout)
        .expect("the path is of text")
        .trim_end()
        .into()
}

/// The names that the headers give to `WDF_FUNCTION` and its relative, as they stand.
fn declared_functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/wdf/kmdf/1.15");
    for entry in fs::read_dir(&headers).expect("the headers are there") {
        let text =
            fs::read_to_string(entry.expect("the folder can be listed").path()).expect("headers are text");
        for declaration in ["\nWDF_FUNCTION(", "\nWDF_FUNCTION_NO_ARGUMENTS("] {
            for rest in text.split(declaration).skip(1) {
                let name = rest
                    .split([',', ')'])
                    .nth(1)
                    .expect("the return type comes first")
                    .trim();
                assert!(names.insert(name.to_owned()), "{name} is declared twice");
            }
        }
    }
    names
}
