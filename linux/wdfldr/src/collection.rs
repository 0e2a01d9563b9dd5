//! WDFCOLLECTION: an ordered list of objects, each referenced while it is in.

use alloc::vec::Vec;

use wdk_sys::{NTSTATUS, PWDF_OBJECT_ATTRIBUTES, ULONG, WDFCOLLECTION, WDFOBJECT};

use crate::call::{self, wdf};
use crate::nt::sync::Lock;
use crate::object::{AnyRef, Kind, Ref, Type};
use crate::table::entries;

/// The body of a WDFCOLLECTION.
pub(crate) struct Collection(Lock<Vec<AnyRef>>);

impl Kind for Collection {
    const TYPE: Type = Type::Collection;

    fn dispose(this: &Ref<Self>) {
        let items = core::mem::take(&mut *this.0.lock());
        drop(items);
    }
}

impl Collection {
    /// Appends an object.
    pub(crate) fn add(&self, item: AnyRef) {
        self.0.lock().push(item);
    }

    /// References to all items, in order.
    pub(crate) fn items(&self) -> Vec<AnyRef> {
        self.0.lock().clone()
    }

    fn handle_at(&self, index: Option<usize>) -> WDFOBJECT {
        let items = self.0.lock();
        index
            .and_then(|index| items.get(index))
            .map_or(core::ptr::null_mut(), |item| item.handle())
    }
}

wdf! {
    /// WdfCollectionCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfCollectionCreate(
        call,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        collection: *mut WDFCOLLECTION,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let parent = call.parent_or_driver(&attributes);
            let created = call.create(attributes, &parent, Collection(Lock::new(Vec::new())))?;
            call::write(collection, created.header().handle());
            Ok(())
        })
    }

    /// WdfCollectionGetCount. IRQL: <= DISPATCH_LEVEL.
    fn WdfCollectionGetCount(call, collection: WDFCOLLECTION) -> ULONG {
        u32::try_from(call.get::<Collection>(collection).0.lock().len()).unwrap_or(u32::MAX)
    }

    /// WdfCollectionAdd. IRQL: <= DISPATCH_LEVEL.
    fn WdfCollectionAdd(call, collection: WDFCOLLECTION, object: WDFOBJECT) -> NTSTATUS {
        call.run(|| {
            let collection = call.get::<Collection>(collection);
            let object = call.any(object);
            call.may_allocate()?;
            collection.add(object);
            Ok(())
        })
    }

    /// WdfCollectionRemove. IRQL: <= DISPATCH_LEVEL. Removes the first occurrence.
    fn WdfCollectionRemove(call, collection: WDFCOLLECTION, item: WDFOBJECT) {
        let collection = call.get::<Collection>(collection);
        let removed = {
            let mut items = collection.0.lock();
            items.iter().position(|present| present.raw_handle() == item.addr()).map(|at| items.remove(at))
        };
        if removed.is_none() {
            call.violation(format_args!("{item:p} is not in the collection"));
        }
    }

    /// WdfCollectionRemoveItem. IRQL: <= DISPATCH_LEVEL.
    fn WdfCollectionRemoveItem(call, collection: WDFCOLLECTION, index: ULONG) {
        let collection = call.get::<Collection>(collection);
        let removed = {
            let mut items = collection.0.lock();
            ((index as usize) < items.len()).then(|| items.remove(index as usize))
        };
        if removed.is_none() {
            call.violation(format_args!("the collection has no item {index}"));
        }
    }

    /// WdfCollectionGetItem. IRQL: <= DISPATCH_LEVEL. Null beyond the last.
    fn WdfCollectionGetItem(call, collection: WDFCOLLECTION, index: ULONG) -> WDFOBJECT {
        call.get::<Collection>(collection).handle_at(Some(index as usize))
    }

    /// WdfCollectionGetFirstItem. IRQL: <= DISPATCH_LEVEL. Null if it is empty.
    fn WdfCollectionGetFirstItem(call, collection: WDFCOLLECTION) -> WDFOBJECT {
        call.get::<Collection>(collection).handle_at(Some(0))
    }

    /// WdfCollectionGetLastItem. IRQL: <= DISPATCH_LEVEL. Null if it is empty.
    fn WdfCollectionGetLastItem(call, collection: WDFCOLLECTION) -> WDFOBJECT {
        let collection = call.get::<Collection>(collection);
        let last = collection.0.lock().len().checked_sub(1);
        collection.handle_at(last)
    }
}

entries! {
    WdfCollectionCreateTableIndex: PFN_WDFCOLLECTIONCREATE = WdfCollectionCreate;
    WdfCollectionGetCountTableIndex: PFN_WDFCOLLECTIONGETCOUNT = WdfCollectionGetCount;
    WdfCollectionAddTableIndex: PFN_WDFCOLLECTIONADD = WdfCollectionAdd;
    WdfCollectionRemoveTableIndex: PFN_WDFCOLLECTIONREMOVE = WdfCollectionRemove;
    WdfCollectionRemoveItemTableIndex: PFN_WDFCOLLECTIONREMOVEITEM = WdfCollectionRemoveItem;
    WdfCollectionGetItemTableIndex: PFN_WDFCOLLECTIONGETITEM = WdfCollectionGetItem;
    WdfCollectionGetFirstItemTableIndex: PFN_WDFCOLLECTIONGETFIRSTITEM = WdfCollectionGetFirstItem;
    WdfCollectionGetLastItemTableIndex: PFN_WDFCOLLECTIONGETLASTITEM = WdfCollectionGetLastItem;
}
