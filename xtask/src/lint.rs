//! Clippy over what only Windows targets compile: the driver, the KMDF runtime, the library's kernel backend, and the
//! harness's Windows side.

use anyhow::Result;

use crate::{
    Context, build,
    packages::{PACKAGES, Recipe},
    toolchain::{KERNEL_TARGET, PROGRAM_TARGET},
};

/// Fails on any lint in a package of the table, or in a package of the workspace that one of them depends on.
pub(crate) fn run(context: &Context) -> Result<()> {
    let _lock = context.paths.lock(context.progress)?;
    let (rust, _) = build::prepare(context, true)?;
    let kernel = [
        "-Zbuild-std=core,alloc",
        "-Zbuild-std-features=compiler-builtins-mem",
    ];
    let program = ["-Zbuild-std=std,panic_abort"];
    for package in PACKAGES {
        let (triple, std) = match package.recipe {
            Recipe::KmdfDriver { .. } | Recipe::ExportDriver | Recipe::CFace { .. } => {
                (KERNEL_TARGET, kernel.as_slice())
            }
            Recipe::Program { .. } => (PROGRAM_TARGET, program.as_slice()),
            Recipe::CLibrary { .. } | Recipe::CDriver { .. } => continue,
        };
        let step = context.progress.step(&format!("lints {}", package.name));
        rust.clippy()
            .args(["--package", package.name, "--release", "--target", triple])
            .args(if rust.builds_std() { std } else { &[] })
            .args(["--", "--deny", "warnings"])
            .current_dir(&context.paths.shadow())
            .log(&context.paths.log(&format!("clippy-{}", package.name)))
            .echo(context.verbose)
            .run_with(&step, build::diagnostics)?;
        step.done("ok");
    }
    Ok(())
}
