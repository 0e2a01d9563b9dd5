//! WDFMEMORY: a buffer with a length, either the framework's own or the driver's.

use core::ffi::c_void;

use wdk_sys::{NTSTATUS, POOL_TYPE, PVOID, PWDF_OBJECT_ATTRIBUTES, ULONG, WDFMEMORY};

use crate::call::{self, Call, wdf};
use crate::globals::Globals;
use crate::nt::status;
use crate::nt::sync::Lock;
use crate::object::attributes::Attributes;
use crate::object::{self, AnyRef, Create, Kind, Ref, Type};
use crate::table::entries;

/// `PagedPool`'s bit in a POOL_TYPE.
const PAGED: i32 = 1;

/// Where a buffer is.
#[derive(Clone, Copy)]
struct Buffer {
    address: *mut c_void,
    size: usize,
}

/// The body of a WDFMEMORY.
pub(crate) struct Memory {
    buffer: Lock<Buffer>,
    /// Whose pool the buffer is from; `None` for a buffer that is not ours.
    owner: Option<&'static Globals>,
    /// May be pointed elsewhere with `WdfMemoryAssignBuffer`.
    assignable: bool,
    /// Whether the driver may write it: a request's input buffer is read-only where NT says so.
    writable: bool,
}

// SAFETY: the buffer is the driver's to synchronise.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Kind for Memory {
    const TYPE: Type = Type::Memory;
}

impl Drop for Memory {
    fn drop(&mut self) {
        let buffer = *self.buffer.lock();
        if let Some(globals) = self.owner {
            globals
                .pool()
                .free(globals, "deletion of a WDFMEMORY", buffer.address, 0);
        }
    }
}

impl Memory {
    /// Allocates the buffer from the driver's pool.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER for no bytes, STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn allocate(
        globals: &'static Globals,
        pool_type: POOL_TYPE,
        tag: ULONG,
        size: usize,
    ) -> Result<Self, NTSTATUS> {
        if size == 0 {
            return Err(status::INVALID_PARAMETER);
        }
        let tag = if tag == 0 { globals.tag() } else { tag };
        let address = globals.pool().allocate(pool_type, size, tag);
        if address.is_null() {
            return Err(status::INSUFFICIENT_RESOURCES);
        }
        Ok(Self {
            buffer: Lock::new(Buffer { address, size }),
            owner: Some(globals),
            assignable: false,
            writable: true,
        })
    }

    /// Memory that belongs to somebody else, who outlives the object: a request's buffers.
    pub(crate) fn around(address: *mut c_void, size: usize, writable: bool) -> Self {
        Self {
            buffer: Lock::new(Buffer { address, size }),
            owner: None,
            assignable: false,
            writable,
        }
    }

    /// Address and length.
    pub(crate) fn buffer(&self) -> (*mut c_void, usize) {
        let buffer = *self.buffer.lock();
        (buffer.address, buffer.size)
    }

    /// The address of this range.
    ///
    /// # Errors
    /// STATUS_INVALID_BUFFER_SIZE if it is not all within the buffer.
    pub(crate) fn range(&self, offset: usize, length: usize) -> Result<*mut c_void, NTSTATUS> {
        let (address, size) = self.buffer();
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(address.wrapping_byte_add(offset)),
            _ => Err(status::INVALID_BUFFER_SIZE),
        }
    }
}

/// Makes a WDFMEMORY of this body.
///
/// # Errors
/// See [`object::create`].
pub(crate) fn create(
    globals: &'static Globals,
    attributes: Attributes,
    parent: &AnyRef,
    body: impl FnOnce() -> Result<Memory, NTSTATUS>,
) -> Result<Ref<Memory>, NTSTATUS> {
    object::create_with(
        Create {
            globals,
            attributes,
            parent: Some(parent),
        },
        |_| body(),
    )
}

/// The checks on IRQL and attributes that all creations share.
fn begin(
    call: &Call,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    pool_type: POOL_TYPE,
) -> Result<Attributes, NTSTATUS> {
    if pool_type & PAGED != 0 {
        call.passive();
    } else {
        call.at_most_dispatch();
    }
    call.attributes(attributes)?.without_constraints()
}

wdf! {
    /// WdfMemoryCreate. IRQL: <= DISPATCH_LEVEL; PASSIVE_LEVEL for paged pool.
    fn WdfMemoryCreate(
        call,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        pool_type: POOL_TYPE,
        tag: ULONG,
        size: usize,
        memory: *mut WDFMEMORY,
        buffer: *mut PVOID,
    ) -> NTSTATUS {
        call.run(|| {
            let attributes = begin(call, attributes, pool_type)?;
            if size == 0 {
                return Err(status::INVALID_PARAMETER);
            }
            let parent = call.parent_or_driver(&attributes);
            let created =
                create(call.globals, attributes, &parent, || Memory::allocate(call.globals, pool_type, tag, size))?;
            call::write(memory, created.header().handle());
            call::write(buffer, created.buffer().0);
            Ok(())
        })
    }

    /// WdfMemoryCreatePreallocated. IRQL: <= DISPATCH_LEVEL. The buffer stays the driver's.
    fn WdfMemoryCreatePreallocated(
        call,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        buffer: PVOID,
        size: usize,
        memory: *mut WDFMEMORY,
    ) -> NTSTATUS {
        call.run(|| {
            let attributes = begin(call, attributes, 0)?;
            if buffer.is_null() || size == 0 {
                return Err(status::INVALID_PARAMETER);
            }
            let parent = call.parent_or_driver(&attributes);
            let mut body = Memory::around(buffer, size, true);
            body.assignable = true;
            let created = create(call.globals, attributes, &parent, || Ok(body))?;
            call::write(memory, created.header().handle());
            Ok(())
        })
    }

    /// WdfMemoryGetBuffer. IRQL: <= DISPATCH_LEVEL.
    fn WdfMemoryGetBuffer(call, memory: WDFMEMORY, size: *mut usize) -> PVOID {
        let (address, length) = call.get::<Memory>(memory).buffer();
        call::write(size, length);
        address
    }

    /// WdfMemoryAssignBuffer. IRQL: <= DISPATCH_LEVEL. Only for memory made with `WdfMemoryCreatePreallocated`.
    fn WdfMemoryAssignBuffer(call, memory: WDFMEMORY, buffer: PVOID, size: usize) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let memory = call.get::<Memory>(memory);
            if !memory.assignable {
                call.violation(format_args!("the memory was not made with WdfMemoryCreatePreallocated"));
            }
            if buffer.is_null() || size == 0 {
                return Err(status::INVALID_PARAMETER);
            }
            *memory.buffer.lock() = Buffer { address: buffer, size };
            Ok(())
        })
    }

    /// WdfMemoryCopyToBuffer. IRQL: <= DISPATCH_LEVEL. STATUS_INVALID_BUFFER_SIZE beyond the end.
    fn WdfMemoryCopyToBuffer(call, memory: WDFMEMORY, offset: usize, buffer: PVOID, length: usize) -> NTSTATUS {
        call.run(|| {
            let memory = call.get::<Memory>(memory);
            if buffer.is_null() || length == 0 {
                return Err(status::INVALID_PARAMETER);
            }
            call::copy(buffer, memory.range(offset, length)?, length);
            Ok(())
        })
    }

    /// WdfMemoryCopyFromBuffer. IRQL: <= DISPATCH_LEVEL. STATUS_INVALID_BUFFER_SIZE beyond the end,
    /// STATUS_ACCESS_VIOLATION for read-only memory.
    fn WdfMemoryCopyFromBuffer(call, memory: WDFMEMORY, offset: usize, buffer: PVOID, length: usize) -> NTSTATUS {
        call.run(|| {
            let memory = call.get::<Memory>(memory);
            if buffer.is_null() || length == 0 {
                return Err(status::INVALID_PARAMETER);
            }
            let to = memory.range(offset, length)?;
            if !memory.writable {
                return Err(status::ACCESS_VIOLATION);
            }
            call::copy(to, buffer, length);
            Ok(())
        })
    }
}

entries! {
    WdfMemoryCreateTableIndex: PFN_WDFMEMORYCREATE = WdfMemoryCreate;
    WdfMemoryCreatePreallocatedTableIndex: PFN_WDFMEMORYCREATEPREALLOCATED = WdfMemoryCreatePreallocated;
    WdfMemoryGetBufferTableIndex: PFN_WDFMEMORYGETBUFFER = WdfMemoryGetBuffer;
    WdfMemoryAssignBufferTableIndex: PFN_WDFMEMORYASSIGNBUFFER = WdfMemoryAssignBuffer;
    WdfMemoryCopyToBufferTableIndex: PFN_WDFMEMORYCOPYTOBUFFER = WdfMemoryCopyToBuffer;
    WdfMemoryCopyFromBufferTableIndex: PFN_WDFMEMORYCOPYFROMBUFFER = WdfMemoryCopyFromBuffer;
}
