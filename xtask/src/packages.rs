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
