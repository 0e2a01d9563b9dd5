//! Images are made here by hand, so that each check is seen to refuse the one thing that it is for.

use super::*;

/// What a test image is like.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) machine: u16,
    pub(crate) subsystem: u16,
    pub(crate) dll_characteristics: u16,
    pub(crate) section_flags: u32,
    pub(crate) imports: Vec<(&'static str, Vec<&'static str>)>,
    pub(crate) checksum: Option<u32>,
    /// The name that image and PDB share, in a debug directory if there is one.
    pub(crate) guid: Option<[u8; 16]>,
    pub(crate) time: [u8; 4],
}

impl Default for Image {
    fn default() -> Self {
        Self {
            machine: 0x8664,
            subsystem: 1,
            dll_characteristics: 0x140,
            section_flags: 0x6000_0020,
            imports: vec![
                ("ntoskrnl.exe", vec!["DbgPrint"]),
                ("WDFLDR.SYS", vec!["WdfVersionUnbind", "WdfVersionBind"]),
            ],
            checksum: None,
            guid: None,
            time: [0; 4],
        }
    }
}

const HEADERS: usize = 0x200;
const SECTION_ADDRESS: u32 = 0x1000;
const SECTION_SIZE: usize = 0x600;
/// Where in the section the debug directory is.
const DEBUG_AT: u32 = 0x500;

impl Image {
    /// One section that holds the import directory.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut image = vec![0; HEADERS];
        image[..2].copy_from_slice(b"MZ");
        put(&mut image, 0x3c, &0x40_u32.to_le_bytes());
        put(&mut image, 0x40, b"PE\0\0");
        // The file header: machine, one section, size of the optional header, executable image.
        put(&mut image, 0x44, &self.machine.to_le_bytes());
        put(&mut image, 0x46, &1_u16.to_le_bytes());
        put(&mut image, 0x54, &240_u16.to_le_bytes());
        put(&mut image, 0x56, &0x22_u16.to_le_bytes());
        put(&mut image, 0x48, &self.time);
        // The optional header begins at 0x58.
        put(&mut image, 0x58, &0x20b_u16.to_le_bytes());
        put(&mut image, 0x58 + 56, &0x2000_u32.to_le_bytes());
        put(
            &mut image,
            0x58 + 60,
            &u32::try_from(HEADERS).expect("small").to_le_bytes(),
        );
        put(&mut image, 0x58 + 68, &self.subsystem.to_le_bytes());
        put(&mut image, 0x58 + 70, &self.dll_characteristics.to_le_bytes());
        put(&mut image, 0x58 + 108, &16_u32.to_le_bytes());
        put(&mut image, 0x58 + 120, &SECTION_ADDRESS.to_le_bytes());
        put(&mut image, 0x58 + 124, &100_u32.to_le_bytes());
        let section = 0x58 + 240;
        put(&mut image, section, b".rdata\0\0");
        let size = u32::try_from(SECTION_SIZE).expect("small").to_le_bytes();
        put(&mut image, section + 8, &size);
        put(&mut image, section + 12, &SECTION_ADDRESS.to_le_bytes());
        put(&mut image, section + 16, &size);
        put(
            &mut image,
            section + 20,
            &u32::try_from(HEADERS).expect("small").to_le_bytes(),
        );
        put(&mut image, section + 36, &self.section_flags.to_le_bytes());
        image.extend(self.import_section());
        if let Some(guid) = self.guid {
            put(
                &mut image,
                0x58 + 160,
                &(SECTION_ADDRESS + DEBUG_AT).to_le_bytes(),
            );
            put(&mut image, 0x58 + 164, &28_u32.to_le_bytes());
            let entry = HEADERS + DEBUG_AT as usize;
            put(&mut image, entry + 4, &self.time);
            put(&mut image, entry + 12, &2_u32.to_le_bytes());
            put(
                &mut image,
                entry + 24,
                &u32::try_from(entry + 28).expect("small").to_le_bytes(),
            );
            put(&mut image, entry + 28, b"RSDS");
            put(&mut image, entry + 32, &guid);
        }

        let field = checksum_offset(&image).expect("the headers are whole");
        let sum = self.checksum.unwrap_or_else(|| checksum(&image, field));
        put(&mut image, field, &sum.to_le_bytes());
        image
    }

    fn import_section(&self) -> Vec<u8> {
        let mut section = vec![0; SECTION_SIZE];
        let mut free = (self.imports.len() + 1) * 20;
        let rva = |at: usize| (SECTION_ADDRESS + u32::try_from(at).expect("small")).to_le_bytes();
        for (index, (dll, names)) in self.imports.iter().enumerate() {
            let dll_at = free;
            put(&mut section, dll_at, dll.as_bytes());
            let thunks_at = (dll_at + dll.len() + 8) & !7;
            free = thunks_at + (names.len() + 1) * 8;
            for (position, name) in names.iter().enumerate() {
                put(&mut section, thunks_at + position * 8, &rva(free));
                put(&mut section, free + 2, name.as_bytes());
                free = (free + name.len() + 4) & !1;
            }
            put(&mut section, index * 20, &rva(thunks_at));
            put(&mut section, index * 20 + 12, &rva(dll_at));
            put(&mut section, index * 20 + 16, &rva(thunks_at));
        }
        section
    }

    fn refused(&self, role: Role) -> String {
        format!(
            "{:#}",
            check(&self.bytes(), role, Arch::X64).expect_err("the image is wrong")
        )
    }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

#[test]
fn a_proper_driver_passes_and_its_imports_are_told() {
    let image = Image::default().bytes();
    let report = check(&image, Role::KmdfDriver, Arch::X64).expect("it is proper");
    let expected = [
        format!("{} bytes", image.len()),
        "WDFLDR.SYS: WdfVersionBind WdfVersionUnbind".to_owned(),
        "ntoskrnl.exe: DbgPrint".to_owned(),
    ];
    assert_eq!(report.lines(), expected);
}

#[test]
fn an_import_from_elsewhere_is_refused_with_its_function() {
    let mut image = Image::default();
    image.imports.push(("KERNEL32.dll", vec!["Sleep"]));
    let said = image.refused(Role::KmdfDriver);
    assert!(said.contains("KERNEL32.dll (Sleep)"), "{said}");
}

#[test]
fn the_name_of_a_dll_must_be_spelt_as_the_kit_spells_it() {
    let mut image = Image::default();
    image.imports[0].0 = "NTOSKRNL.EXE";
    assert!(image.refused(Role::KmdfDriver).contains("NTOSKRNL.EXE"));
}

#[test]
fn a_driver_that_does_not_bind_is_refused_and_an_export_driver_must_not() {
    let mut image = Image::default();
    assert!(image.refused(Role::ExportDriver).contains("WDFLDR.SYS"));
    image.imports.pop();
    assert!(image.refused(Role::KmdfDriver).contains("WdfVersionBind"));
    check(&image.bytes(), Role::ExportDriver, Arch::X64).expect("an export driver needs no framework");
}

#[test]
fn a_wrong_checksum_is_refused() {
    for checksum in [0, 0xdead] {
        let image = Image {
            checksum: Some(checksum),
            ..Image::default()
        };
        assert!(image.refused(Role::KmdfDriver).contains("checksum"));
    }
}

#[test]
fn a_flipped_byte_breaks_the_checksum() {
    let mut bytes = Image::default().bytes();
    *bytes.last_mut().expect("it is not empty") ^= 1;
    let error = check(&bytes, Role::KmdfDriver, Arch::X64).expect_err("a byte is wrong");
    assert!(format!("{error:#}").contains("checksum"));
}

#[test]
fn a_program_is_refused() {
    let image = Image {
        subsystem: 3,
        ..Image::default()
    };
    assert!(image.refused(Role::KmdfDriver).contains("subsystem"));
}

#[test]
fn another_processor_is_refused() {
    let image = Image {
        machine: 0xaa64,
        ..Image::default()
    };
    assert!(image.refused(Role::KmdfDriver).contains("machine is not x64"));
    check(&image.bytes(), Role::KmdfDriver, Arch::Arm64).expect("it is for ARM64");
    let error = check(&Image::default().bytes(), Role::KmdfDriver, Arch::Arm64).expect_err("it is for x64");
    assert!(format!("{error:#}").contains("machine is not arm64"));
}

#[test]
fn a_section_that_is_writable_and_executable_is_refused() {
    let image = Image {
        section_flags: 0xe000_0020,
        ..Image::default()
    };
    assert!(
        image
            .refused(Role::KmdfDriver)
            .contains(".rdata is writable and executable")
    );
}

#[test]
fn missing_hardening_is_refused() {
    let image = Image {
        dll_characteristics: 0,
        ..Image::default()
    };
    let said = image.refused(Role::KmdfDriver);
    assert!(
        said.contains("/NXCOMPAT") && said.contains("/DYNAMICBASE"),
        "{said}"
    );
}

#[test]
fn what_is_no_image_is_refused() {
    assert!(check(b"not an image", Role::KmdfDriver, Arch::X64).is_err());
    let whole = Image::default().bytes();
    assert!(check(&whole[..0x90], Role::KmdfDriver, Arch::X64).is_err());
}
