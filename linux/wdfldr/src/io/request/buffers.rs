//! The buffers of a request.
//!
//! | major | transfer | input | output |
//! |---|---|---|---|
//! | device control | `METHOD_BUFFERED` | system buffer | system buffer |
//! | device control | `METHOD_IN_DIRECT`, `METHOD_OUT_DIRECT` | system buffer | MDL |
//! | device control | `METHOD_NEITHER` | the user's, "unsafe" | the user's, "unsafe" |
//! | write | buffered, direct | system buffer, MDL | none |
//! | read | buffered, direct | none | system buffer, MDL |

use alloc::vec::Vec;
use core::ffi::c_void;
use core::mem;
use core::ptr;

use wdk_sys::{MDL, NTSTATUS, PMDL};

use super::Request;
use crate::call::Call;
use crate::io::irp::{self, Method, Transfer};
use crate::memory::{self, Memory};
use crate::nt::{ffi, status};
use crate::object::attributes::Attributes;
use crate::object::{AnyRef, Ref};

/// Which of a request's two buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Input,
    Output,
}

/// Where a buffer is.
#[derive(Clone, Copy)]
enum Place {
    /// In memory of the system, or mapped there.
    System(*mut c_void),
    /// Behind the IRP's MDL.
    Mdl(*mut MDL),
    /// Where the caller said, unchecked.
    User(*mut c_void),
}

/// A buffer and how many bytes it has.
#[derive(Clone, Copy)]
struct Buffer {
    place: Place,
    length: usize,
}

/// The buffer on that side.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST if this kind of request has none there.
fn locate(request: &Request, side: Side) -> Result<Buffer, NTSTATUS> {
    let irp = request.irp();
    match (request.major, side) {
        (irp::DEVICE_CONTROL | irp::INTERNAL_DEVICE_CONTROL, _) => {
            let ioctl = irp.ioctl();
            let length = if side == Side::Input {
                ioctl.input
            } else {
                ioctl.output
            };
            let place = match (ioctl.method(), side) {
                (Method::Buffered, _) | (Method::InDirect | Method::OutDirect, Side::Input) => {
                    Place::System(irp.system_buffer())
                }
                (Method::InDirect | Method::OutDirect, Side::Output) => Place::Mdl(irp.mdl()),
                (Method::Neither, Side::Input) => Place::User(ioctl.type3_input),
                (Method::Neither, Side::Output) => Place::User(irp.user_buffer()),
            };
            Ok(Buffer { place, length })
        }
        (irp::READ, Side::Output) | (irp::WRITE, Side::Input) => {
            let place = match irp.transfer() {
                Transfer::Buffered => Place::System(irp.system_buffer()),
                Transfer::Direct => Place::Mdl(irp.mdl()),
                Transfer::Neither => Place::User(irp.user_buffer()),
            };
            Ok(Buffer {
                place,
                length: irp.span().length,
            })
        }
        _ => Err(status::INVALID_DEVICE_REQUEST),
    }
}

/// The buffer's address and length, for `WdfRequestRetrieve(Input|Output)Buffer`.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST if there is no such buffer or only an unsafe one, STATUS_BUFFER_TOO_SMALL if it is
/// empty or shorter than `least`, STATUS_INSUFFICIENT_RESOURCES if it cannot be mapped.
pub(super) fn retrieve(
    request: &Request,
    side: Side,
    least: usize,
) -> Result<(*mut c_void, usize), NTSTATUS> {
    let buffer = locate(request, side)?;
    if let Place::User(_) = buffer.place {
        return Err(status::INVALID_DEVICE_REQUEST);
    }
    if buffer.length == 0 || buffer.length < least {
        return Err(status::BUFFER_TOO_SMALL);
    }
    let address = match buffer.place {
        Place::System(address) | Place::User(address) => address,
        Place::Mdl(mdl) => irp::mdl_address(mdl),
    };
    if address.is_null() {
        return Err(status::INSUFFICIENT_RESOURCES);
    }
    Ok((address, buffer.length))
}

/// The user's own address, for `WdfRequestRetrieveUnsafeUser(Input|Output)Buffer`.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST unless the transfer is METHOD_NEITHER, STATUS_BUFFER_TOO_SMALL.
pub(super) fn retrieve_user(
    request: &Request,
    side: Side,
    least: usize,
) -> Result<(*mut c_void, usize), NTSTATUS> {
    let buffer = locate(request, side)?;
    let Place::User(address) = buffer.place else {
        return Err(status::INVALID_DEVICE_REQUEST);
    };
    if buffer.length < least {
        return Err(status::BUFFER_TOO_SMALL);
    }
    Ok((address, buffer.length))
}

/// The WDFMEMORY of a buffer: made when it is first asked for, it lives as long as the request.
///
/// # Errors
/// As [`retrieve`], and STATUS_INSUFFICIENT_RESOURCES.
pub(super) fn memory_of(call: &Call, request: &Ref<Request>, side: Side) -> Result<usize, NTSTATUS> {
    let present = {
        let core = request.core();
        if side == Side::Input {
            core.input_memory
        } else {
            core.output_memory
        }
    };
    if present != 0 && AnyRef::from_handle(present).is_ok() {
        return Ok(present);
    }
    let (address, length) = retrieve(request, side, 0)?;
    // What a write brings is the caller's to keep.
    let writable = !(request.major == irp::WRITE && side == Side::Input);
    let body = || Ok(Memory::around(address, length, writable));
    let memory = memory::create(call.globals, Attributes::NONE, request.any(), body)?;
    let handle = memory.header().raw_handle();
    let mut core = request.core();
    match side {
        Side::Input => core.input_memory = handle,
        Side::Output => core.output_memory = handle,
    }
    Ok(handle)
}

/// The MDL of a buffer: the IRP's own for direct transfers, else one that is made for the system buffer and lives as
/// long as the request.
///
/// # Errors
/// As [`retrieve`], and STATUS_INSUFFICIENT_RESOURCES.
pub(super) fn mdl(request: &Request, side: Side) -> Result<PMDL, NTSTATUS> {
    let buffer = locate(request, side)?;
    if buffer.length == 0 {
        return Err(status::BUFFER_TOO_SMALL);
    }
    match buffer.place {
        Place::User(_) => Err(status::INVALID_DEVICE_REQUEST),
        Place::Mdl(mdl) if mdl.is_null() => Err(status::INSUFFICIENT_RESOURCES),
        Place::Mdl(mdl) => Ok(mdl),
        Place::System(address) => {
            let mut core = request.core();
            if let Some(mdl) = core.mdls.find(address) {
                return Ok(mdl);
            }
            core.mdls.make(address, buffer.length)
        }
    }
}

/// MDLs that the runtime made for a request's system buffers.
#[derive(Default)]
pub(super) struct OwnedMdls(Vec<PMDL>);

impl OwnedMdls {
    pub(super) fn take(&mut self) -> Self {
        mem::take(self)
    }

    fn find(&self, address: *mut c_void) -> Option<PMDL> {
        self.0
            .iter()
            .copied()
            .find(|mdl| irp::mdl_address(mdl.cast_const()) == address)
    }

    fn make(&mut self, address: *mut c_void, length: usize) -> Result<PMDL, NTSTATUS> {
        /// `MDL_SOURCE_IS_NONPAGED_POOL`.
        const NON_PAGED_POOL: i16 = 0x0004;
        let length = u32::try_from(length).map_err(|_| status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: describes memory that the IRP keeps; no IRP is linked to the MDL.
        let mdl = unsafe { ffi::IoAllocateMdl(address, length, 0, 0, ptr::null_mut()) };
        if mdl.is_null() {
            return Err(status::INSUFFICIENT_RESOURCES);
        }
        // What MmBuildMdlForNonPagedPool does that matters here; Wine's does nothing.
        // SAFETY: just allocated, and ours alone.
        unsafe { (*mdl).MappedSystemVa = address };
        // SAFETY: as above.
        unsafe { (*mdl).MdlFlags |= NON_PAGED_POOL };
        self.0.push(mdl);
        Ok(mdl)
    }
}

impl Drop for OwnedMdls {
    fn drop(&mut self) {
        for mdl in self.0.drain(..) {
            // SAFETY: made by `make`, freed once, and the request that it belonged to is over.
            unsafe { ffi::IoFreeMdl(mdl) };
        }
    }
}
