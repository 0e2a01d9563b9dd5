//! A buffer as framework functions take it.

use core::fmt;
use core::marker::PhantomData;

use super::backend::RawDescriptor;

/// A description of a buffer, to be handed to a framework function that reads or writes it: in the kernel a
/// `WDF_MEMORY_DESCRIPTOR` of the buffer's address and length, which costs no object and no allocation.
///
/// While it lives, the buffer is borrowed: nobody looks at it but whoever was handed the description.
pub struct MemoryDescriptor<'a> {
    #[cfg_attr(
        any(not(feature = "wdf"), loom),
        allow(dead_code, reason = "the kernel backend hands it out")
    )]
    pub(super) raw: RawDescriptor,
    bytes: *mut u8,
    length: u32,
    buffer: PhantomData<&'a mut [u8]>,
}

impl<'a> MemoryDescriptor<'a> {
    /// Describes `bytes`; the caller knows that their number fits 32 bits.
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let start = bytes.as_mut_ptr();
        Self {
            raw: RawDescriptor::new(start, length),
            bytes: start,
            length,
            buffer: PhantomData,
        }
    }

    /// How many bytes it describes.
    pub const fn len(&self) -> u32 {
        self.length
    }

    /// Does it describe none?
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes that it describes, once whoever was handed it has done with them.
    pub const fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: from a slice that is borrowed exclusively for as long as this value lives.
        unsafe { core::slice::from_raw_parts_mut(self.bytes, self.length as usize) }
    }
}

impl fmt::Debug for MemoryDescriptor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDescriptor")
            .field("len", &self.length)
            .finish_non_exhaustive()
    }
}
