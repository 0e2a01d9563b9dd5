//! Links the `.sys` as wdk-build does for any KMDF driver, with a version resource.

use std::{env, error::Error, fs, path::PathBuf};

#[path = "build/resource.rs"]
mod resource;

fn main() -> Result<(), Box<dyn Error>> {
    add_version()?;
    wdk_build::configure_wdk_binary_build()?;
    Ok(())
}

/// Makes the resource of what cargo says of this package, and has it linked.
fn add_version() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| env::var(format!("CARGO_PKG_{name}"));
    let number = |name: &str| -> Result<u16, Box<dyn Error>> { Ok(variable(name)?.parse()?) };
    let file = format!("{}.sys", variable("NAME")?.replace('-', "_"));
    let version = resource::Version {
        numbers: [
            number("VERSION_MAJOR")?,
            number("VERSION_MINOR")?,
            number("VERSION_PATCH")?,
            0,
        ],
        text: &variable("VERSION")?,
        description: &variable("DESCRIPTION")?,
        file: &file,
        licence: &variable("LICENSE")?,
    };
    let res = PathBuf::from(env::var("OUT_DIR")?).join("version.res");
    fs::write(&res, version.res())?;
    println!("cargo::rustc-link-arg-cdylib={}", res.display());
    println!("cargo::rerun-if-changed=build/resource.rs");
    Ok(())
}
