//! The version resource of the `.sys`: what Explorer's Details page, `sigverif` and a crash dump say of the file.
//!
//! Linkers for Windows take a compiled resource file (`.res`) as it is. Its format is small and fixed, so it is written
//! here: a resource compiler would be one more tool to find, another one on each host.

/// What the resource says.
pub(crate) struct Version<'a> {
    /// The package's version, with a fourth number.
    pub(crate) numbers: [u16; 4],
    /// The package's version as it writes it.
    pub(crate) text: &'a str,
    /// One sentence.
    pub(crate) description: &'a str,
    /// The file's name.
    pub(crate) file: &'a str,
    /// Under which terms.
    pub(crate) licence: &'a str,
}

/// Who made it: the INF's provider.
const COMPANY: &str = "QueuedWorkItem project";

/// The product that the file is a part of.
const PRODUCT: &str = "QueuedWorkItem";

/// American English in UTF-16, as a number of the language and one of the code page.
const LANGUAGE: u16 = 0x0409;
const CODE_PAGE: u16 = 0x04b0;

/// The resource type of a version.
const RT_VERSION: u16 = 16;

impl Version<'_> {
    /// A whole `.res` file.
    pub(crate) fn res(&self) -> Vec<u8> {
        let info = self.info();
        // By an empty entry a linker tells the 32-bit format from the 16-bit one.
        let mut file = entry(0, 0, &[]);
        file.extend(entry(RT_VERSION, 1, &info));
        file
    }

    /// `VS_VERSIONINFO`.
    fn info(&self) -> Vec<u8> {
        let strings = [
            ("CompanyName", COMPANY),
            ("FileDescription", self.description),
            ("FileVersion", self.text),
            ("InternalName", self.file),
            ("LegalCopyright", self.licence),
            ("OriginalFilename", self.file),
            ("ProductName", PRODUCT),
            ("ProductVersion", self.text),
        ];
        let strings: Vec<Vec<u8>> = strings
            .iter()
            .map(|(key, value)| block(key, &Value::Text(value), &[]))
            .collect();
        let table = block(
            &format!("{LANGUAGE:04x}{CODE_PAGE:04x}"),
            &Value::NoText,
            &strings,
        );
        let translation = [LANGUAGE.to_le_bytes(), CODE_PAGE.to_le_bytes()].concat();
        let children = [
            block("StringFileInfo", &Value::NoText, &[table]),
            block(
                "VarFileInfo",
                &Value::NoText,
                &[block("Translation", &Value::Binary(&translation), &[])],
            ),
        ];
        block("VS_VERSION_INFO", &Value::Binary(&self.fixed()), &children)
    }

    /// `VS_FIXEDFILEINFO`.
    fn fixed(&self) -> Vec<u8> {
        const SIGNATURE: u32 = 0xfeef_04bd;
        const FORMAT: u32 = 0x0001_0000;
        const ALL_FLAGS: u32 = 0x3f;
        const VOS_NT_WINDOWS32: u32 = 0x0004_0004;
        const VFT_DRV: u32 = 3;
        const VFT2_DRV_SYSTEM: u32 = 7;
        let [major, minor, patch, build] = self.numbers.map(u32::from);
        let (high, low) = (major << 16 | minor, patch << 16 | build);
        let fields = [
            SIGNATURE,
            FORMAT,
            high,
            low,
            high,
            low,
            ALL_FLAGS,
            0,
            VOS_NT_WINDOWS32,
            VFT_DRV,
            VFT2_DRV_SYSTEM,
            0,
            0,
        ];
        fields.iter().flat_map(|field| field.to_le_bytes()).collect()
    }
}

/// The value of a block.
enum Value<'a> {
    /// None, in a block whose children are text.
    NoText,
    Text(&'a str),
    Binary(&'a [u8]),
}

/// One block of a version resource: lengths, a name, a value and further blocks, each at a multiple of four.
fn block(key: &str, value: &Value<'_>, children: &[Vec<u8>]) -> Vec<u8> {
    let (bytes, length, kind) = match value {
        Value::NoText => (Vec::new(), 0, 1),
        Value::Text(text) => {
            let text = utf16(text);
            let words = text.len() / 2;
            (text, words, 1)
        }
        Value::Binary(bytes) => (bytes.to_vec(), bytes.len(), 0_u16),
    };
    let mut block = vec![0; 2];
    block.extend(short(length));
    block.extend(kind.to_le_bytes());
    block.extend(utf16(key));
    align(&mut block);
    block.extend(bytes);
    for child in children {
        align(&mut block);
        block.extend(child);
    }
    let length = short(block.len());
    block[..2].copy_from_slice(&length);
    block
}

/// One entry of a `.res` file: a header with numbers for names, and the data.
fn entry(kind: u16, name: u16, data: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 32;
    /// Movable and pure, as resource compilers say of versions; nobody has looked at it since 16-bit Windows.
    const MEMORY_FLAGS: u16 = 0x30;
    let (flags, language) = if data.is_empty() {
        (0, 0)
    } else {
        (MEMORY_FLAGS, LANGUAGE)
    };
    let size = u32::try_from(data.len()).expect("a version resource is small");
    let mut entry = Vec::new();
    entry.extend(size.to_le_bytes());
    entry.extend(HEADER.to_le_bytes());
    for number in [0xffff, kind, 0xffff, name, 0, 0, flags, language, 0, 0, 0, 0] {
        entry.extend(u16::to_le_bytes(number));
    }
    entry.extend(data);
    align(&mut entry);
    entry
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length)
        .expect("a version resource is small")
        .to_le_bytes()
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
