//! What a kernel module must be, read from the linked image: what only Windows would refuse, this build refuses.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use object::{
    LittleEndian as LE, pe,
    read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, Import, PeFile64, ResourceDirectoryEntryData},
};

use crate::toolchain::Arch;

/// What an image is for, which decides what it may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A client of the framework: kernel, HAL and the framework's loader.
    KmdfDriver,
    /// The framework's stand-in for Wine, which drivers import.
    ExportDriver,
}

impl Role {
    fn allowed_dlls(self) -> &'static [&'static str] {
        match self {
            // Exactly these names: the kernel's loader compares them without case, a reviewer does not.
            Self::KmdfDriver => &["ntoskrnl.exe", "HAL.dll", "WDFLDR.SYS"],
            // It runs on Wine only, whose kernel is a process: it may use what a process has.
            Self::ExportDriver => &["ntoskrnl.exe", "HAL.dll", "ntdll.dll", "kernel32.dll"],
        }
    }
}

/// What is told of an image that passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    size: usize,
    imports: BTreeMap<String, Vec<String>>,
}

impl Report {
    /// The names of all imports.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.values().flatten().map(String::as_str)
    }

    /// One line for the size and one for each DLL.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} bytes", self.size)];
        for (dll, names) in &self.imports {
            let mut line = format!("{dll}:");
            for name in names {
                // Writing to a String cannot fail.
                let _ = write!(line, " {name}");
            }
            lines.push(line);
        }
        lines
    }
}

/// Checks an image. All that is wrong is said at once.
pub(crate) fn check(image: &[u8], role: Role, arch: Arch) -> Result<Report> {
    let file = PeFile64::parse(image).context("it is not a 64-bit PE image")?;
    let header = file.nt_headers();
    let optional = header.optional_header();
    let mut wrong = Vec::new();

    let machine = match arch {
        Arch::X64 => pe::IMAGE_FILE_MACHINE_AMD64,
        Arch::Arm64 => pe::IMAGE_FILE_MACHINE_ARM64,
    };
    if header.file_header().machine.get(LE) != machine {
        wrong.push(format!("its machine is not {}", arch.name()));
    }
    if optional.subsystem() != pe::IMAGE_SUBSYSTEM_NATIVE {
        wrong.push(format!("its subsystem is {}, not native", optional.subsystem()));
    }
    let characteristics = optional.dll_characteristics();
    for (flag, name) in [
        (pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "/NXCOMPAT"),
        (pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "/DYNAMICBASE"),
    ] {
        if characteristics & flag == 0 {
            wrong.push(format!("it was linked without {name}"));
        }
    }
    let stated = optional.check_sum();
    let computed = checksum(image, checksum_offset(image)?);
    if stated != computed {
        wrong.push(format!(
            "its checksum is {stated:#x}, not {computed:#x} (is /RELEASE missing?)"
        ));
    }
    for section in file.section_table().iter() {
        let flags = section.characteristics.get(LE);
        let both = pe::IMAGE_SCN_MEM_WRITE | pe::IMAGE_SCN_MEM_EXECUTE;
        if flags & both == both {
            let name = String::from_utf8_lossy(section.raw_name()).into_owned();
            wrong.push(format!("its section {name} is writable and executable"));
        }
    }

    let imports = imports(&file).context("its import directory cannot be read")?;
    for dll in imports.keys() {
        if !role.allowed_dlls().contains(&dll.as_str()) {
            let names = imports[dll].join(", ");
            wrong.push(format!(
                "it imports from {dll} ({names}); allowed: {}",
                role.allowed_dlls().join(", ")
            ));
        }
    }
    if role == Role::KmdfDriver
        && !imports
            .get("WDFLDR.SYS")
            .is_some_and(|names| names.iter().any(|n| n == "WdfVersionBind"))
    {
        wrong.push("it does not bind to the framework (no import of WdfVersionBind)".to_owned());
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(Report {
        size: image.len(),
        imports,
    })
}

fn imports(file: &PeFile64<'_>) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    let Some(table) = file.import_table()? else {
        return Ok(found);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let dll = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        let names: &mut Vec<String> = found.entry(dll).or_default();
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
            names.push(match table.import::<pe::ImageNtHeaders64>(thunk)? {
                Import::Ordinal(ordinal) => format!("#{ordinal}"),
                Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
            });
        }
        names.sort();
    }
    Ok(found)
}

/// The file version that an image's version resource states.
pub(crate) fn version(image: &[u8]) -> Result<[u16; 4]> {
    /// The resource type of a version.
    const RT_VERSION: u16 = 16;
    /// What the fixed part begins with; it is at a multiple of four, after the resource's own header and name.
    const SIGNATURE: [u8; 4] = 0xfeef_04bd_u32.to_le_bytes();

    let file = PeFile64::parse(image).context("it is not a 64-bit PE image")?;
    let sections = file.section_table();
    let directory = file
        .data_directories()
        .resource_directory(image, &sections)?
        .context("it has no resources")?;
    // By type, by name, by language: of each the first will do, since there is one version.
    let mut entry = directory
        .root()?
        .entries
        .iter()
        .find(|entry| entry.name_or_id().id() == Some(RT_VERSION))
        .context("it has no version resource")?;
    let data = loop {
        match entry.data(directory)? {
            ResourceDirectoryEntryData::Table(table) => {
                entry = table.entries.first().context("its version resource is empty")?;
            }
            ResourceDirectoryEntryData::Data(data) => break data,
        }
    };
    let bytes = sections
        .pe_data_at(image, data.offset_to_data.get(LE))
        .and_then(|bytes| bytes.get(..data.size.get(LE) as usize))
        .context("its version resource is cut off")?;
    let fixed = bytes
        .chunks_exact(4)
        .position(|word| word == SIGNATURE)
        .map(|word| &bytes[word * 4..])
        .context("its version resource has no numbers")?;
    let field = |at: usize| -> Result<u16> {
        let pair = fixed.get(at..at + 2).context("its version resource is cut off")?;
        Ok(u16::from_le_bytes([pair[0], pair[1]]))
    };
    // Two double words, high parts first.
    Ok([field(10)?, field(8)?, field(14)?, field(12)?])
}

/// Where the header keeps the checksum.
pub(crate) fn checksum_offset(image: &[u8]) -> Result<usize> {
    let start = image.get(0x3c..0x40).context("it has no DOS header")?;
    let start = u32::from_le_bytes([start[0], start[1], start[2], start[3]]) as usize;
    // Signature, file header, and the field's place in the optional header.
    let offset = start + 4 + 20 + 64;
    ensure!(offset + 4 <= image.len(), "its headers are cut off");
    Ok(offset)
}

/// The checksum that the kernel's loader verifies: the 16-bit one's-complement sum of the file, without the checksum
/// itself, plus the file's length.
pub(crate) fn checksum(image: &[u8], field: usize) -> u32 {
    let mut sum: u32 = 0;
    for (index, pair) in image.chunks(2).enumerate() {
        let at = index * 2;
        if (field..field + 4).contains(&at) {
            continue;
        }
        let word = u32::from(pair[0]) | (u32::from(pair.get(1).copied().unwrap_or(0)) << 8);
        sum += word;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // An image of 4 GB or more is no PE image.
    sum + u32::try_from(image.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
