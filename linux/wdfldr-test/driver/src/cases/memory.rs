//! Memory objects, lookaside lists, collections.

use alloc::vec::Vec;
use core::ptr;

use wdk_sys::{
    PVOID, STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, WDFCOLLECTION, WDFDEVICE,
    WDFLOOKASIDE, WDFMEMORY, WDFMEMORY__, WDFOBJECT,
};

use crate::check::{Verdict, success};
use crate::wdf::{Owned, attributes, child_of, delete, object};

const POOL: wdk_sys::POOL_TYPE = wdk_sys::_POOL_TYPE::NonPagedPoolNx;
const TAG: u32 = u32::from_le_bytes(*b"WTmm");

fn create(device: WDFDEVICE, length: usize) -> Verdict<(Owned<WDFMEMORY__>, *mut u8)> {
    let mut attributes = child_of(device);
    let mut memory: WDFMEMORY = ptr::null_mut();
    let mut buffer: PVOID = ptr::null_mut();
    let created = wdf!(
        WdfMemoryCreate,
        &raw mut attributes,
        POOL,
        TAG,
        length,
        &raw mut memory,
        &raw mut buffer
    );
    success("WdfMemoryCreate", created)?;
    Ok((Owned(memory), buffer.cast()))
}

pub(super) fn memory_is_made_with_its_buffer(device: WDFDEVICE) -> Verdict {
    for length in [1, 16, 17, 4096, 100_000] {
        let (memory, buffer) = create(device, length)?;
        let mut told = 0;
        let again = wdf!(WdfMemoryGetBuffer, memory.0, &raw mut told);
        equal!(again.cast(), buffer, "the buffer of {length} bytes");
        equal!(told, length, "its length");
        // SAFETY: the buffer has so many bytes.
        unsafe { buffer.write_bytes(0xA5, length) };
        // SAFETY: as above.
        let last = unsafe { buffer.add(length - 1) };
        // SAFETY: as above, and they have just been written.
        let last = unsafe { last.read() };
        equal!(last, 0xA5, "the last byte of {length}");
    }
    Ok(())
}

pub(super) fn memory_of_no_size_is_refused(device: WDFDEVICE) -> Verdict {
    let mut attributes = child_of(device);
    let mut memory: WDFMEMORY = ptr::null_mut();
    let refused = wdf!(
        WdfMemoryCreate,
        &raw mut attributes,
        POOL,
        TAG,
        0,
        &raw mut memory,
        ptr::null_mut()
    );
    status!(refused, STATUS_INVALID_PARAMETER, "memory of no bytes");
    Ok(())
}

pub(super) fn preallocated_memory_is_the_drivers(device: WDFDEVICE) -> Verdict {
    let mut first = [1_u8; 32];
    let mut second = [2_u8; 64];
    let mut attributes = child_of(device);
    let mut memory: WDFMEMORY = ptr::null_mut();
    let created = wdf!(
        WdfMemoryCreatePreallocated,
        &raw mut attributes,
        first.as_mut_ptr().cast(),
        first.len(),
        &raw mut memory
    );
    success("WdfMemoryCreatePreallocated", created)?;
    let memory = Owned(memory);
    let mut length = 0;
    equal!(
        wdf!(WdfMemoryGetBuffer, memory.0, &raw mut length),
        first.as_mut_ptr().cast(),
        "the buffer"
    );
    equal!(length, 32, "its length");
    let assigned = wdf!(
        WdfMemoryAssignBuffer,
        memory.0,
        second.as_mut_ptr().cast(),
        second.len()
    );
    success("WdfMemoryAssignBuffer", assigned)?;
    equal!(
        wdf!(WdfMemoryGetBuffer, memory.0, &raw mut length),
        second.as_mut_ptr().cast(),
        "the buffer assigned"
    );
    equal!(length, 64, "its length");
    drop(memory);
    equal!((first[31], second[63]), (1, 2), "the buffers, after the object");
    Ok(())
}

pub(super) fn copies_stay_within_the_buffer(device: WDFDEVICE) -> Verdict {
    let (memory, buffer) = create(device, 16)?;
    let mut bytes: [u8; 17] = core::array::from_fn(|at| u8::try_from(at + 1).unwrap_or(0));
    let mut from = |offset: usize, length: usize| {
        wdf!(
            WdfMemoryCopyFromBuffer,
            memory.0,
            offset,
            bytes.as_mut_ptr().cast(),
            length
        )
    };
    status!(from(0, 16), STATUS_SUCCESS, "16 bytes into 16");
    for (offset, length) in [(0, 17), (1, 16), (16, 1)] {
        status!(
            from(offset, length),
            STATUS_INVALID_BUFFER_SIZE,
            "{length} bytes at {offset} into 16"
        );
    }
    status!(from(12, 4), STATUS_SUCCESS, "4 bytes at 12");
    // SAFETY: the buffer has 16 bytes.
    let content: Vec<u8> = unsafe { core::slice::from_raw_parts(buffer, 16) }.to_vec();
    equal!(
        content,
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3, 4],
        "the content"
    );

    let mut out = [0_u8; 17];
    let mut to = |offset: usize, length: usize| {
        wdf!(
            WdfMemoryCopyToBuffer,
            memory.0,
            offset,
            out.as_mut_ptr().cast(),
            length
        )
    };
    status!(to(0, 17), STATUS_INVALID_BUFFER_SIZE, "17 bytes out of 16");
    status!(to(8, 9), STATUS_INVALID_BUFFER_SIZE, "9 bytes at 8 out of 16");
    status!(to(8, 8), STATUS_SUCCESS, "8 bytes at 8");
    equal!(
        out[..9].to_vec(),
        [9, 10, 11, 12, 1, 2, 3, 4, 0],
        "what was copied out"
    );
    Ok(())
}

pub(super) fn lookaside_lists_give_memory(device: WDFDEVICE) -> Verdict {
    let mut attributes = child_of(device);
    let mut memories = attributes;
    let mut lookaside: WDFLOOKASIDE = ptr::null_mut();
    let created = wdf!(
        WdfLookasideListCreate,
        &raw mut attributes,
        100,
        POOL,
        &raw mut memories,
        TAG,
        &raw mut lookaside
    );
    success("WdfLookasideListCreate", created)?;
    let lookaside = Owned(lookaside);
    for _ in 0..3 {
        let mut buffers = Vec::new();
        let mut owned = Vec::new();
        for fill in 0..20_u8 {
            let mut memory: WDFMEMORY = ptr::null_mut();
            let made = wdf!(WdfMemoryCreateFromLookaside, lookaside.0, &raw mut memory);
            success("WdfMemoryCreateFromLookaside", made)?;
            owned.push(Owned(memory));
            let mut length = 0;
            let buffer: *mut u8 = wdf!(WdfMemoryGetBuffer, memory, &raw mut length).cast();
            equal!(length, 100, "the length of a buffer");
            // SAFETY: so many bytes are there.
            unsafe { buffer.write_bytes(fill, length) };
            buffers.push((buffer, fill));
        }
        for (buffer, fill) in buffers {
            // SAFETY: its memory object is alive.
            let bytes = unsafe { core::slice::from_raw_parts(buffer, 100) };
            check!(bytes.iter().all(|byte| *byte == fill), "buffers overlap");
        }
    }
    Ok(())
}

pub(super) fn collections_keep_order_and_references(_: WDFDEVICE) -> Verdict {
    let mut collection: WDFCOLLECTION = ptr::null_mut();
    let mut plain = attributes();
    let created = wdf!(WdfCollectionCreate, &raw mut plain, &raw mut collection);
    success("WdfCollectionCreate", created)?;
    let collection = Owned(collection);
    let mut objects: Vec<WDFOBJECT> = Vec::new();
    for _ in 0..3 {
        let member = object(attributes()).map_err(|status| alloc::format!("{status:#010X}"))?;
        let added = wdf!(WdfCollectionAdd, collection.0, member);
        // The collection has its own reference.
        objects.push(member);
        success("WdfCollectionAdd", added)?;
    }
    equal!(wdf!(WdfCollectionGetCount, collection.0), 3, "members");
    equal!(
        wdf!(WdfCollectionGetFirstItem, collection.0),
        objects[0],
        "the first"
    );
    equal!(
        wdf!(WdfCollectionGetItem, collection.0, 1),
        objects[1],
        "the second"
    );
    equal!(
        wdf!(WdfCollectionGetLastItem, collection.0),
        objects[2],
        "the last"
    );
    check!(wdf!(WdfCollectionGetItem, collection.0, 3).is_null(), "a fourth");
    wdf!(WdfCollectionRemove, collection.0, objects[1]);
    equal!(
        wdf!(WdfCollectionGetItem, collection.0, 1),
        objects[2],
        "the second after a removal"
    );
    wdf!(WdfCollectionRemoveItem, collection.0, 0);
    wdf!(WdfCollectionRemoveItem, collection.0, 0);
    equal!(wdf!(WdfCollectionGetCount, collection.0), 0, "members in the end");
    check!(
        wdf!(WdfCollectionGetFirstItem, collection.0).is_null(),
        "a first of none"
    );
    for member in objects {
        delete(member);
    }
    Ok(())
}
