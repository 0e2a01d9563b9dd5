//! WDFLOOKASIDE: a source of WDFMEMORY of one size.
//!
//! NT's lookaside lists keep freed blocks for the next caller. This one does not: each memory comes from the pool, so
//! that leaks, overruns and injected failures show at the allocation that has them.

use wdk_sys::{NTSTATUS, POOL_TYPE, PWDF_OBJECT_ATTRIBUTES, ULONG, WDFLOOKASIDE, WDFMEMORY};

use crate::call::{self, wdf};
use crate::memory::{self, Memory};
use crate::nt::status;
use crate::object::attributes::Attributes;
use crate::object::{Kind, Type};
use crate::table::entries;

/// The body of a WDFLOOKASIDE.
pub(crate) struct Lookaside {
    size: usize,
    pool_type: POOL_TYPE,
    tag: ULONG,
    memory: Attributes,
}

// SAFETY: plain values; the attributes' pointers are to constants.
unsafe impl Send for Lookaside {}
// SAFETY: as above.
unsafe impl Sync for Lookaside {}

impl Kind for Lookaside {
    const TYPE: Type = Type::Lookaside;
}

wdf! {
    /// WdfLookasideListCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfLookasideListCreate(
        call,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        size: usize,
        pool_type: POOL_TYPE,
        memory_attributes: PWDF_OBJECT_ATTRIBUTES,
        tag: ULONG,
        lookaside: *mut WDFLOOKASIDE,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let memory = call.attributes(memory_attributes)?.without_constraints()?;
            if size == 0 {
                return Err(status::INVALID_PARAMETER);
            }
            let parent = call.parent_or_driver(&attributes);
            let created = call.create(attributes, &parent, Lookaside { size, pool_type, tag, memory })?;
            call::write(lookaside, created.header().handle());
            Ok(())
        })
    }

    /// WdfMemoryCreateFromLookaside. IRQL: <= DISPATCH_LEVEL.
    fn WdfMemoryCreateFromLookaside(call, lookaside: WDFLOOKASIDE, memory: *mut WDFMEMORY) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let list = call.get::<Lookaside>(lookaside);
            let parent = call.parent_or_driver(&list.memory);
            let created = memory::create(call.globals, list.memory, &parent, || {
                Memory::allocate(call.globals, list.pool_type, list.tag, list.size)
            })?;
            call::write(memory, created.header().handle());
            Ok(())
        })
    }
}

entries! {
    WdfLookasideListCreateTableIndex: PFN_WDFLOOKASIDELISTCREATE = WdfLookasideListCreate;
    WdfMemoryCreateFromLookasideTableIndex: PFN_WDFMEMORYCREATEFROMLOOKASIDE = WdfMemoryCreateFromLookaside;
}
