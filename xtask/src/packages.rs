//! What a build makes: one table. A further kernel package (a test driver, an example) is one more line.

use clap::ValueEnum;

/// Something that `cargo xtask build` can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Artefact {
    /// The driver: `queued_work_item_driver.sys`, its `.pdb` and its INF
    Driver,
    /// The KMDF runtime for Wine: `wdfldr.sys`
    Wdfldr,
    /// The harness: `qwi-harness.exe`
    Harness,
    /// The driver that tests the KMDF runtime: `wdfldr_test_driver.sys`, its `.pdb` and its INF
    WdfldrTestDriver,
    /// What runs that driver's tests: `wdfldr-test.exe`
    WdfldrTest,
    /// The guide's driver: `minimal_driver.sys`, its `.pdb` and its INF
    MinimalDriver,
    /// What drives that driver: `minimal-driver-test.exe`
    MinimalDriverTest,
    /// The library for C drivers: `queued_work_item.lib` and its header
    CFace,
    /// The C driver that uses it: `qwi_c_driver.sys`, its `.pdb` and its INF
    CDriver,
    /// What drives that driver: `c-driver-test.exe`
    CDriverTest,
    /// What Wine 8 lacks for a program made with Rust: `bcryptprimitives.dll`
    Shims,
}

/// How an artefact is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recipe {
    /// A driver that binds to KMDF, with its INF if it has one: a path without the extension `.inx`.
    KmdfDriver { inx: Option<&'static str> },
    /// An export driver that is no client of KMDF.
    ExportDriver,
    /// A program: the name of its executable.
    Program { exe: &'static str },
    /// A DLL from C and a module-definition file of the same name.
    CLibrary { source: &'static str },
    /// A static library for drivers in C, by its name without an extension, and the header that declares its functions.
    CFace {
        library: &'static str,
        header: &'static str,
    },
    /// A driver from the C files of a folder, with its INF, which lies there, and the library above.
    CDriver { folder: &'static str },
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    /// Which artefact it is.
    pub(crate) artefact: Artefact,
    /// The cargo package, or the name of the file to make.
    pub(crate) name: &'static str,
    /// How it is made.
    pub(crate) recipe: Recipe,
}

/// Everything that is built, in this order.
pub(crate) const PACKAGES: &[Package] = &[
    Package {
        artefact: Artefact::Driver,
        name: "queued-work-item-driver",
        recipe: Recipe::KmdfDriver {
            inx: Some("inf/queued_work_item_driver"),
        },
    },
    Package {
        artefact: Artefact::Wdfldr,
        name: "wdfldr",
        recipe: Recipe::ExportDriver,
    },
    Package {
        artefact: Artefact::Harness,
        name: "queued-work-item-harness",
        recipe: Recipe::Program { exe: "qwi-harness" },
    },
    Package {
        artefact: Artefact::WdfldrTestDriver,
        name: "wdfldr-test-driver",
        recipe: Recipe::KmdfDriver {
            inx: Some("linux/wdfldr-test/driver/wdfldr_test_driver"),
        },
    },
    Package {
        artefact: Artefact::WdfldrTest,
        name: "wdfldr-test",
        recipe: Recipe::Program { exe: "wdfldr-test" },
    },
    Package {
        artefact: Artefact::MinimalDriver,
        name: "minimal-driver",
        recipe: Recipe::KmdfDriver {
            inx: Some("examples/minimal-driver/minimal_driver"),
        },
    },
    Package {
        artefact: Artefact::MinimalDriverTest,
        name: "minimal-driver-test",
        recipe: Recipe::Program {
            exe: "minimal-driver-test",
        },
    },
    Package {
        artefact: Artefact::CFace,
        name: "queued-work-item-c",
        recipe: Recipe::CFace {
            library: "queued_work_item",
            header: "crates/queued-work-item-c/include/queued_work_item.h",
        },
    },
    Package {
        artefact: Artefact::CDriver,
        name: "qwi_c_driver",
        recipe: Recipe::CDriver {
            folder: "examples/c-driver",
        },
    },
    Package {
        artefact: Artefact::CDriverTest,
        name: "c-driver-test",
        recipe: Recipe::Program { exe: "c-driver-test" },
    },
    Package {
        artefact: Artefact::Shims,
        name: "bcryptprimitives",
        recipe: Recipe::CLibrary {
            source: "linux/bcryptprimitives/bcryptprimitives",
        },
    },
];

impl Package {
    /// The name of what cargo makes of it, without an extension: wdk-build's rule for `.sys` files too.
    pub(crate) fn file_stem(&self) -> String {
        self.name.replace('-', "_")
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask is a folder of the repository")
    }

    /// The names of the workspace's packages.
    fn workspace_packages() -> Vec<String> {
        let read = |dir: &str| -> toml_edit::DocumentMut {
            let manifest = root().join(dir).join("Cargo.toml");
            fs::read_to_string(manifest)
                .expect("a member has a manifest")
                .parse()
                .expect("it is TOML")
        };
        let workspace = read("");
        let members = workspace["workspace"]["members"]
            .as_array()
            .expect("there are members");
        let members = members.iter().map(|member| member.as_str().expect("a path"));
        let name = |dir| {
            read(dir)["package"]["name"]
                .as_str()
                .expect("a package has a name")
                .to_owned()
        };
        members.chain([""]).map(name).collect()
    }

    #[test]
    fn the_table_names_what_exists() {
        let packages = workspace_packages();
        for package in PACKAGES {
            match package.recipe {
                Recipe::CLibrary { source } => {
                    for extension in ["c", "def"] {
                        let file = root().join(source).with_extension(extension);
                        assert!(file.is_file(), "{} is missing", file.display());
                    }
                }
                Recipe::CDriver { folder } => {
                    let inx = root().join(folder).join(package.name).with_extension("inx");
                    assert!(inx.is_file(), "{} is missing", inx.display());
                }
                _ => assert!(
                    packages.iter().any(|name| name == package.name),
                    "no package {}",
                    package.name
                ),
            }
        }
    }

    #[test]
    fn everything_that_can_be_asked_for_is_in_the_table() {
        for artefact in Artefact::value_variants() {
            assert!(
                PACKAGES.iter().any(|package| package.artefact == *artefact),
                "{artefact:?}"
            );
        }
    }

    #[test]
    fn a_package_gives_the_file_that_wdk_build_expects() {
        assert_eq!(PACKAGES[0].file_stem(), "queued_work_item_driver");
    }
}
