//! Event tracing, which Wine's kernel has not: every event of every provider goes to the log.
//!
//! A provider is told at once that somebody listens, to everything. TraceLogging events describe themselves, in the
//! first two data descriptors: the provider's name, and the event's name with a type for each field. Integers and
//! strings are printed; another field ends the line with its type.

use core::ffi::{CStr, c_void};
use core::fmt::{self, Display, Formatter};

use wdk_sys::{GUID, NTSTATUS, ULONG};

use crate::call::{bytes, callback, read, write};
use crate::nt::print::log;
use crate::nt::status;

type EnableCallback = unsafe extern "C" fn(*const GUID, ULONG, u8, u64, u64, *const c_void, *mut c_void);

/// `EVENT_CONTROL_CODE_ENABLE_PROVIDER`
const ENABLE: ULONG = 1;
/// `TRACE_LEVEL_VERBOSE`
const VERBOSE: u8 = 5;
/// No handle is 0.
const HANDLE: u64 = 0x57_4446;

pub(super) extern "C" fn EtwRegister(
    _provider: *const GUID,
    enable: Option<EnableCallback>,
    context: *mut c_void,
    handle: *mut u64,
) -> NTSTATUS {
    write(handle, HANDLE);
    if let Some(enable) = enable {
        let source = GUID::default();
        let (source, filter) = (&raw const source, core::ptr::null());
        callback!(
            "an ETW enable callback",
            enable(source, ENABLE, VERBOSE, u64::MAX, 0, filter, context)
        );
    }
    status::SUCCESS
}

pub(super) extern "C" fn EtwUnregister(_handle: u64) -> NTSTATUS {
    status::SUCCESS
}

pub(super) extern "C" fn EtwSetInformation(
    _handle: u64,
    _class: ULONG,
    _information: *const c_void,
    _length: ULONG,
) -> NTSTATUS {
    status::SUCCESS
}

/// `EVENT_DATA_DESCRIPTOR`
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Descriptor {
    pointer: u64,
    size: u32,
    /// What it describes, in the low byte.
    kind: u32,
}

const PROVIDER_METADATA: u32 = 2;
const EVENT_METADATA: u32 = 1;

impl Descriptor {
    fn bytes(&self) -> &[u8] {
        let start = usize::try_from(self.pointer).unwrap_or(0);
        bytes(core::ptr::with_exposed_provenance(start), self.size as usize)
    }
}

pub(super) extern "C" fn EtwWriteTransfer(
    _handle: u64,
    _event: *const c_void,
    _activity: *const GUID,
    _related: *const GUID,
    count: ULONG,
    data: *const Descriptor,
) -> NTSTATUS {
    let part = |index: usize| {
        (index < count as usize)
            .then(|| read(data.wrapping_add(index)))
            .flatten()
    };
    if let (Some(provider), Some(event)) = (part(0), part(1))
        && provider.kind & 0xFF == PROVIDER_METADATA
        && event.kind & 0xFF == EVENT_METADATA
    {
        log!(
            "event {}.{}",
            provider_name(provider.bytes()),
            Event {
                metadata: event.bytes(),
                part: &part
            }
        );
    }
    status::SUCCESS
}

/// The name after the metadata's length.
fn provider_name(metadata: &[u8]) -> &str {
    name(metadata.get(2..).unwrap_or_default()).map_or("?", |(name, _)| name)
}

/// A zero-terminated name, and what follows it.
fn name(metadata: &[u8]) -> Option<(&str, &[u8])> {
    let name = CStr::from_bytes_until_nul(metadata).ok()?;
    let rest = metadata.get(name.count_bytes() + 1..)?;
    Some((name.to_str().ok()?, rest))
}

/// An event in words.
struct Event<'a> {
    metadata: &'a [u8],
    part: &'a dyn Fn(usize) -> Option<Descriptor>,
}

impl Display for Event<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Length, then tags: bytes of which all but the last have their highest bit set.
        let tagged = self.metadata.get(2..).unwrap_or_default();
        let tags = tagged.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let Some((event, mut fields)) = name(tagged.get(tags..).unwrap_or_default()) else {
            return f.write_str("?");
        };
        f.write_str(event)?;
        let mut index = 2;
        while let Some((field, rest)) = name(fields)
            && let Some((kind, rest)) = rest.split_first()
        {
            // A set highest bit announces a format, whose own announces a tag of four bytes.
            let format = usize::from(kind & 0x80 != 0);
            let tag = match rest.first() {
                Some(byte) if format == 1 && byte & 0x80 != 0 => 4,
                _ => 0,
            };
            fields = rest.get(format + tag..).unwrap_or_default();
            write!(f, " {field}=")?;
            let Some(value) = (self.part)(index) else {
                return Ok(());
            };
            index += 1;
            match (kind & 0x7F, value.bytes()) {
                // 32 bits: signed, unsigned, hexadecimal.
                (7 | 8 | 20, bytes) if bytes.len() == 4 => {
                    let mut word = [0; 4];
                    word.copy_from_slice(bytes);
                    write!(f, "0x{:08x}", u32::from_le_bytes(word))?;
                }
                // A counted string of bytes: its length is a part of its own.
                (23, _) => {
                    let text = (self.part)(index);
                    index += 1;
                    let text = text.as_ref().map(Descriptor::bytes).unwrap_or_default();
                    f.write_str(core::str::from_utf8(text).unwrap_or("?"))?;
                }
                (kind, _) => return write!(f, "(a field of type {kind})"),
            }
        }
        Ok(())
    }
}
