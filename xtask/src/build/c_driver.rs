//! The C driver that uses the library for C drivers, made as the WDK's build makes a driver: with clang in the place of
//! Microsoft's compiler, and the linker that the Rust drivers have.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::Builder;
use crate::{
    identity,
    packages::Package,
    paths::{create_dir, write_if_changed},
    pe,
    process::Tool,
    progress::Step,
    stamp::Inputs,
    toolchain::Kit,
};

impl Builder<'_> {
    /// Compiles and links the C driver, as the WDK's build does: the sources of a folder, with the library.
    pub(super) fn c_driver(&self, step: &Step, package: &Package, folder: &str) -> Result<PathBuf> {
        let kit = Kit::require()?;
        let root = self.context.paths.root();
        let name = package.name;
        let folder = root.join(folder);
        let sys = self.out().join(format!("{name}.sys"));
        let sources = sources(&folder)?;
        let library = self.out().join("queued_work_item.lib");

        let mut inputs = Inputs::new()?;
        for entry in files(&folder)? {
            inputs.file(&entry)?;
        }
        inputs.file(&library)?;
        inputs.file(&self.out().join("queued_work_item.h"))?;
        inputs.folder(&self.kits.root().join("Lib"))?;
        inputs.folder(&root.join("linux/wdk/include"))?;
        let stamp = inputs.stamp(&self.context.paths, &format!("{name}-{}", self.arch.name()));
        if stamp.is_fresh() && sys.is_file() {
            return Ok(sys);
        }
        stamp.begin()?;

        let dir = self
            .context
            .paths
            .linux_dir()
            .join("obj")
            .join(name)
            .join(self.arch.name());
        create_dir(&dir)?;
        let mut objects = Vec::new();
        for source in &sources {
            let object = dir
                .join(source.file_stem().unwrap_or_default())
                .with_extension("obj");
            self.compile(step, &kit, source, &[], &object)?;
            objects.push(object);
        }
        // A client in C++ includes the same header: that it can is shown by compiling the driver as C++.
        for source in &sources {
            let object = dir.join("cpp").with_extension("obj");
            self.compile(step, &kit, source, &["/TP", "/std:c++17"], &object)?;
        }
        let linked = dir.join(format!("{name}.sys"));
        self.link(step, &kit, &objects, &library, &linked)?;

        let pdb_file = linked.with_extension("pdb");
        let mut image = fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
        let mut pdb = fs::read(&pdb_file).with_context(|| format!("cannot read {}", pdb_file.display()))?;
        identity::settle(&mut image, Some(&mut pdb)).with_context(|| format!("in {}", linked.display()))?;
        pe::check(&image, pe::Role::KmdfDriver, self.arch)
            .with_context(|| format!("{name}.sys is not a proper kernel module ({})", linked.display()))?;
        write_if_changed(&sys, image)?;
        write_if_changed(&sys.with_extension("pdb"), pdb)?;
        let inx = folder.join(name);
        let inx = inx
            .strip_prefix(root)
            .unwrap_or(&inx)
            .to_string_lossy()
            .into_owned();
        self.stamp_inf(step, &inx, &sys.with_extension("inf"))?;
        stamp.finish()?;
        Ok(sys)
    }

    /// One file by clang, with the options of the WDK's build as far as clang has them, and every warning an error.
    fn compile(&self, step: &Step, kit: &Kit, source: &Path, options: &[&str], object: &Path) -> Result<()> {
        let mut tool = Tool::new(&kit.clang_cl)
            .arg(format!("--target={}", self.arch.kernel_target()))
            .args([
                "/nologo", "/c", "/O2", "/Z7", "/Zl", "/W4", "/WX", "/X", "/kernel", "/Brepro",
            ])
            .arg(format!(
                "/clang:-ffile-prefix-map={}=/src",
                self.context.paths.root().display()
            ))
            // A kernel has no hosted C library, whose headers would come in else.
            .args(["-Wextra", "-Wno-#warnings", "/clang:-ffreestanding"])
            .args(Kit::header_options())
            .args([
                "/D_KERNEL_MODE",
                "/D_WIN64",
                "/DKMDF_VERSION_MAJOR=1",
                "/DKMDF_VERSION_MINOR=15",
            ])
            .args(self.arch.macros().map(|name| format!("/D{name}")))
            .args(options);
        for dir in [
            kit.clang_include.clone(),
            self.kits.include().join("km/crt"),
            self.kits.include().join("km"),
            self.kits.include().join("shared"),
            self.kits.framework_include(),
        ] {
            tool = tool.arg(format!("/imsvc{}", dir.display()));
        }
        tool.arg(format!("/I{}", self.out().display()))
            .arg(format!("/Fo{}", object.display()))
            // Else a path such as /home would be an option.
            .arg("--")
            .arg(source)
            .log(&self.context.paths.log("c-driver-compile"))
            .run(step)?;
        Ok(())
    }

    /// The image, by the linker's options that `wdk-build` has for a KMDF driver.
    fn link(&self, step: &Step, kit: &Kit, objects: &[PathBuf], library: &Path, image: &Path) -> Result<()> {
        let mut tool = Tool::new(&kit.lld_link)
            .args([
                "/nologo",
                "/DRIVER",
                "/NODEFAULTLIB",
                "/SUBSYSTEM:NATIVE",
                "/KERNEL",
            ])
            .args([
                "/ENTRY:FxDriverEntry",
                "/NXCOMPAT",
                "/DYNAMICBASE",
                "/OPT:REF,ICF",
                "/INTEGRITYCHECK",
            ])
            .args([
                "/MANIFEST:NO",
                "/RELEASE",
                "/Brepro",
                "/DEBUG",
                "/PDBALTPATH:%_PDB%",
                "/WX",
            ])
            .arg(format!("/OUT:{}", image.display()))
            .args(objects)
            .arg(library);
        let libraries = [
            self.kits.kernel_lib(self.arch),
            self.kits.framework_lib(self.arch),
        ];
        for dir in libraries {
            tool = tool.arg(format!("/LIBPATH:{}", dir.display()));
        }
        tool.args(["BufferOverflowFastFailK.lib", "ntoskrnl.lib", "hal.lib"])
            .args(["WdfLdr.lib", "WdfDriverEntry.lib"])
            .log(&self.context.paths.log("c-driver-link"))
            .run(step)?;
        Ok(())
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("cannot list {}", folder.display()))?;
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}

/// The C files of a folder, by name.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = files(folder)?;
    sources.retain(|file| file.extension().is_some_and(|extension| extension == "c"));
    ensure!(!sources.is_empty(), "{} has no C files", folder.display());
    Ok(sources)
}
