//! Objects: contexts, parents, references, deletion.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use wdk_sys::{
    PVOID, STATUS_INFO_LENGTH_MISMATCH, STATUS_OBJECT_NAME_EXISTS, WDF_DPC_CONFIG, WDF_OBJECT_ATTRIBUTES,
    WDF_OBJECT_CONTEXT_TYPE_INFO, WDF_TIMER_CONFIG, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFDPC, WDFMEMORY,
    WDFOBJECT, WDFTIMER, WDFWORKITEM,
};

use crate::check::{Verdict, success};
use crate::wdf::{
    ContextType, Owned, Zeroed, attributes, delete, dereference, object, reference, size_field,
    status as wdf_status,
};

/// A context that says which object it is, and is large enough to be told from a small one.
struct Named {
    name: AtomicU32,
    more: [AtomicU64; 32],
}

// SAFETY: numbers.
unsafe impl Zeroed for Named {}

static NAMED: ContextType<Named> = ContextType::new(c"Named", &NAMED);

struct Other {
    value: AtomicU64,
}

// SAFETY: a number.
unsafe impl Zeroed for Other {}

static OTHER: ContextType<Other> = ContextType::new(c"Other", &OTHER);

/// What happened to the objects of a case, in order.
struct Trace {
    length: AtomicUsize,
    entries: [AtomicU32; 16],
}

const CLEANUP: u32 = 0x100;
const DESTROY: u32 = 0x200;

static TRACE: Trace = Trace {
    length: AtomicUsize::new(0),
    entries: [const { AtomicU32::new(0) }; 16],
};

impl Trace {
    fn reset(&self) {
        self.length.store(0, SeqCst);
    }

    fn push(&self, entry: u32) {
        let at = self.length.fetch_add(1, SeqCst);
        if let Some(place) = self.entries.get(at) {
            place.store(entry, SeqCst);
        }
    }

    fn all(&self) -> Vec<u32> {
        let length = self.length.load(SeqCst).min(self.entries.len());
        self.entries[..length]
            .iter()
            .map(|entry| entry.load(SeqCst))
            .collect()
    }

    /// The place of an entry that must be there once.
    fn place(&self, entry: u32) -> Verdict<usize> {
        let all = self.all();
        let places: Vec<usize> = (0..all.len()).filter(|at| all[*at] == entry).collect();
        match places.as_slice() {
            [place] => Ok(*place),
            _ => Err(alloc::format!("{entry:#x} is not once in {all:x?}")),
        }
    }
}

extern "C" fn evt_cleanup(object: WDFOBJECT) {
    TRACE.push(CLEANUP | NAMED.of(object).name.load(SeqCst));
}

extern "C" fn evt_destroy(object: WDFOBJECT) {
    TRACE.push(DESTROY | NAMED.of(object).name.load(SeqCst));
}

/// An object that traces its end.
fn traced(name: u32, parent: WDFOBJECT) -> Verdict<WDFOBJECT> {
    let mut attributes = NAMED.attributes();
    attributes.EvtCleanupCallback = Some(evt_cleanup);
    attributes.EvtDestroyCallback = Some(evt_destroy);
    attributes.ParentObject = parent;
    let object = create(attributes)?;
    NAMED.of(object).name.store(name, SeqCst);
    Ok(object)
}

fn create(attributes: WDF_OBJECT_ATTRIBUTES) -> Verdict<WDFOBJECT> {
    object(attributes).map_err(|status| alloc::format!("WdfObjectCreate: {status:#010X}"))
}

pub(super) fn contexts_are_zeroed_and_typed(_: WDFDEVICE) -> Verdict {
    // Often enough that memory is used again.
    for round in 0..50 {
        let object = Owned(create(NAMED.attributes())?);
        let context = NAMED.of(object.0);
        let dirty = context
            .more
            .iter()
            .filter(|number| number.load(SeqCst) != 0)
            .count();
        equal!(dirty, 0, "words that are not zero in round {round}");
        equal!(context.name.load(SeqCst), 0, "the name in round {round}");
        check!(
            ptr::from_ref(context).addr().is_multiple_of(16),
            "the context is not aligned to 16"
        );
        for number in &context.more {
            number.store(u64::MAX, SeqCst);
        }
        context.name.store(7, SeqCst);
        check!(
            OTHER.find(object.0).is_null(),
            "a context of a type that it has not"
        );
        check!(
            !ptr::eq(object.0.cast(), context),
            "the handle is a pointer to the context"
        );
        let mut more = OTHER.attributes();
        let mut added: PVOID = ptr::null_mut();
        let allocated = wdf!(WdfObjectAllocateContext, object.0, &raw mut more, &raw mut added);
        success("WdfObjectAllocateContext", allocated)?;
        equal!(OTHER.find(object.0).cast(), added, "where the second context is");
        equal!(OTHER.of(object.0).value.load(SeqCst), 0, "the second context");
        OTHER.of(object.0).value.store(u64::MAX, SeqCst);
        equal!(
            NAMED.find(object.0).cast_const(),
            ptr::from_ref(context),
            "where the first is"
        );
        equal!(context.name.load(SeqCst), 7, "the first context");
    }
    Ok(())
}

pub(super) fn a_second_context_of_one_type_is_refused(_: WDFDEVICE) -> Verdict {
    let object = Owned(create(NAMED.attributes())?);
    NAMED.of(object.0).name.store(5, SeqCst);
    let mut again = NAMED.attributes();
    let mut context: PVOID = ptr::null_mut();
    let refused = wdf!(
        WdfObjectAllocateContext,
        object.0,
        &raw mut again,
        &raw mut context
    );
    status!(refused, STATUS_OBJECT_NAME_EXISTS, "a second context of one type");
    equal!(context, NAMED.find(object.0).cast(), "the context handed out");
    equal!(
        NAMED.of(object.0).name.load(SeqCst),
        5,
        "the first context's content"
    );
    Ok(())
}

pub(super) fn a_context_knows_its_object(_: WDFDEVICE) -> Verdict {
    let object = Owned(create(NAMED.attributes())?);
    let context = NAMED.find(object.0);
    equal!(
        wdf!(WdfObjectContextGetObject, context.cast()),
        object.0,
        "the object of a context"
    );
    Ok(())
}

pub(super) fn children_are_cleaned_up_before_their_parent(_: WDFDEVICE) -> Verdict {
    TRACE.reset();
    let parent = Owned(traced(1, ptr::null_mut())?);
    let a = traced(2, parent.0)?;
    let _b = traced(3, parent.0)?;
    let _below_a = traced(4, a)?;
    drop(parent);
    equal!(TRACE.all().len(), 8, "callbacks, of {:x?}", TRACE.all());
    for (child, parent) in [(4, 2), (2, 1), (3, 1)] {
        check!(
            TRACE.place(CLEANUP | child)? < TRACE.place(CLEANUP | parent)?,
            "{parent} was cleaned up before its child {child}: {:x?}",
            TRACE.all()
        );
    }
    for object in 1..=4 {
        check!(
            TRACE.place(CLEANUP | object)? < TRACE.place(DESTROY | object)?,
            "{object} was destroyed before it was cleaned up: {:x?}",
            TRACE.all()
        );
    }
    Ok(())
}

pub(super) fn destruction_waits_for_references(_: WDFDEVICE) -> Verdict {
    TRACE.reset();
    let object = traced(1, ptr::null_mut())?;
    reference(object);
    reference(object);
    delete(object);
    equal!(TRACE.all(), [CLEANUP | 1], "after the deletion");
    dereference(object);
    equal!(TRACE.all(), [CLEANUP | 1], "after the first reference");
    equal!(
        NAMED.of(object).name.load(SeqCst),
        1,
        "the context of a deleted object that is referenced"
    );
    dereference(object);
    equal!(
        TRACE.all(),
        [CLEANUP | 1, DESTROY | 1],
        "after the last reference"
    );
    Ok(())
}

pub(super) fn a_parent_is_destroyed_while_its_child_is_referenced(_: WDFDEVICE) -> Verdict {
    TRACE.reset();
    let parent = traced(1, ptr::null_mut())?;
    let child = traced(2, parent)?;
    reference(child);
    delete(parent);
    equal!(
        TRACE.all(),
        [CLEANUP | 2, CLEANUP | 1, DESTROY | 1],
        "after the parent's deletion"
    );
    dereference(child);
    equal!(TRACE.place(DESTROY | 2)?, 3, "the child's destruction");
    Ok(())
}

pub(super) fn a_deleted_child_leaves_its_parent(_: WDFDEVICE) -> Verdict {
    TRACE.reset();
    let parent = Owned(traced(1, ptr::null_mut())?);
    let child = traced(2, parent.0)?;
    delete(child);
    equal!(
        TRACE.all(),
        [CLEANUP | 2, DESTROY | 2],
        "after the child's deletion"
    );
    drop(parent);
    equal!(
        TRACE.all(),
        [CLEANUP | 2, DESTROY | 2, CLEANUP | 1, DESTROY | 1],
        "after the parent's deletion"
    );
    Ok(())
}

pub(super) fn attributes_of_another_size_are_refused(_: WDFDEVICE) -> Verdict {
    let right = size_field::<WDF_OBJECT_ATTRIBUTES>();
    for size in [0, right - 8, right + 8] {
        let mut wrong = attributes();
        wrong.Size = size;
        let mut object: WDFOBJECT = ptr::null_mut();
        let refused = wdf!(WdfObjectCreate, &raw mut wrong, &raw mut object);
        status!(refused, STATUS_INFO_LENGTH_MISMATCH, "attributes of {size} bytes");
    }
    Ok(())
}

pub(super) fn contexts_with_bad_sizes_are_refused(_: WDFDEVICE) -> Verdict {
    let mut object: WDFOBJECT = ptr::null_mut();
    let mut smaller = NAMED.attributes();
    smaller.ContextSizeOverride = size_of::<Named>() - 1;
    let refused = wdf!(WdfObjectCreate, &raw mut smaller, &raw mut object);
    status!(
        refused,
        wdf_status::OBJECT_ATTRIBUTES_INVALID,
        "an override below the context's size"
    );

    let mut untyped = attributes();
    untyped.ContextSizeOverride = 64;
    let refused = wdf!(WdfObjectCreate, &raw mut untyped, &raw mut object);
    status!(
        refused,
        wdf_status::OBJECT_ATTRIBUTES_INVALID,
        "an override without a type"
    );

    let mut info: WDF_OBJECT_CONTEXT_TYPE_INFO = WDF_OBJECT_CONTEXT_TYPE_INFO {
        Size: size_field::<WDF_OBJECT_CONTEXT_TYPE_INFO>() - 1,
        ContextName: c"Wrong".as_ptr().cast_mut(),
        ContextSize: 8,
        ..WDF_OBJECT_CONTEXT_TYPE_INFO::default()
    };
    info.UniqueType = &raw const info;
    let mut wrong = attributes();
    wrong.ContextTypeInfo = &raw const info;
    let refused = wdf!(WdfObjectCreate, &raw mut wrong, &raw mut object);
    status!(
        refused,
        STATUS_INFO_LENGTH_MISMATCH,
        "a context type of another size"
    );

    let mut larger = NAMED.attributes();
    larger.ContextSizeOverride = 4096;
    let object = Owned(create(larger)?);
    let context = NAMED.find(object.0).cast::<u8>();
    // SAFETY: the override gives the context so many bytes.
    let last = unsafe { context.add(4095) };
    // SAFETY: as above, and the framework has zeroed them.
    let last = unsafe { last.read() };
    equal!(last, 0, "the last byte of a context with a larger size");
    Ok(())
}

pub(super) fn levels_and_scopes_are_only_for_what_has_callbacks(_: WDFDEVICE) -> Verdict {
    let mut memory: WDFMEMORY = ptr::null_mut();
    let mut buffer: PVOID = ptr::null_mut();
    let mut create = |mut attributes: WDF_OBJECT_ATTRIBUTES| {
        wdf!(
            WdfMemoryCreate,
            &raw mut attributes,
            wdk_sys::_POOL_TYPE::NonPagedPoolNx,
            0,
            16,
            &raw mut memory,
            &raw mut buffer
        )
    };
    let mut level = attributes();
    level.ExecutionLevel = wdk_sys::_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    status!(
        create(level),
        wdf_status::EXECUTION_LEVEL_INVALID,
        "memory with an execution level"
    );
    let mut scope = attributes();
    scope.SynchronizationScope = wdk_sys::_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice;
    status!(
        create(scope),
        wdf_status::SYNCHRONIZATION_SCOPE_INVALID,
        "memory with a synchronization scope"
    );
    Ok(())
}

extern "C" fn evt_nothing(_: WDFWORKITEM) {}
extern "C" fn evt_no_dpc(_: WDFDPC) {}
extern "C" fn evt_no_timer(_: WDFTIMER) {}

pub(super) fn objects_with_callbacks_need_a_parent(_: WDFDEVICE) -> Verdict {
    let mut orphan = attributes();
    let mut item: WDFWORKITEM = ptr::null_mut();
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_nothing),
        AutomaticSerialization: 0,
    };
    let refused = wdf!(WdfWorkItemCreate, &raw mut config, &raw mut orphan, &raw mut item);
    status!(
        refused,
        wdf_status::PARENT_NOT_SPECIFIED,
        "a work item without a parent"
    );

    let mut dpc: WDFDPC = ptr::null_mut();
    let mut config = WDF_DPC_CONFIG {
        Size: size_field::<WDF_DPC_CONFIG>(),
        EvtDpcFunc: Some(evt_no_dpc),
        AutomaticSerialization: 0,
    };
    let refused = wdf!(WdfDpcCreate, &raw mut config, &raw mut orphan, &raw mut dpc);
    status!(
        refused,
        wdf_status::PARENT_NOT_SPECIFIED,
        "a DPC without a parent"
    );

    let mut timer: WDFTIMER = ptr::null_mut();
    let mut config = WDF_TIMER_CONFIG {
        Size: size_field::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: Some(evt_no_timer),
        ..WDF_TIMER_CONFIG::default()
    };
    let refused = wdf!(WdfTimerCreate, &raw mut config, &raw mut orphan, &raw mut timer);
    status!(
        refused,
        wdf_status::PARENT_NOT_SPECIFIED,
        "a timer without a parent"
    );
    Ok(())
}
