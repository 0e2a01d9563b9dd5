//! WDFCMRESLIST: the resources of EvtDevicePrepareHardware.
//!
//! Wine's root-enumerated devices have none, so the lists are usually empty, but what START_DEVICE brings is shown.

use alloc::vec::Vec;

use wdk_sys::{
    _WDFFUNCENUM, CM_PARTIAL_RESOURCE_DESCRIPTOR, NTSTATUS, PCM_PARTIAL_RESOURCE_DESCRIPTOR, PIRP,
    PWDF_DRIVER_GLOBALS, ULONG, WDFCMRESLIST,
};

use super::Device;
use crate::call::{self, wdf};
use crate::nt::irp as nt_irp;
use crate::object::attributes::Attributes;
use crate::object::{self, Create, Kind, Ref, Type};
use crate::table::Entry;

/// The body of a WDFCMRESLIST.
pub(crate) struct ResourceList {
    descriptors: Vec<CM_PARTIAL_RESOURCE_DESCRIPTOR>,
}

// SAFETY: descriptors are plain numbers.
unsafe impl Send for ResourceList {}
// SAFETY: as above; nothing changes them.
unsafe impl Sync for ResourceList {}

impl Kind for ResourceList {
    const TYPE: Type = Type::ResourceList;
}

/// The raw and the translated list, deleted when dropped.
pub(crate) struct Lists {
    raw: Ref<ResourceList>,
    translated: Ref<ResourceList>,
}

impl Lists {
    pub(super) fn handles(&self) -> (WDFCMRESLIST, WDFCMRESLIST) {
        (self.raw.header().handle(), self.translated.header().handle())
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        object::delete(self.raw.any().clone());
        object::delete(self.translated.any().clone());
    }
}

/// The lists that START_DEVICE brings.
pub(super) fn lists_of(device: &Ref<Device>, irp: PIRP) -> Result<Lists, NTSTATUS> {
    let stack = nt_irp::current(irp);
    // SAFETY: the current stack location of an IRP that is ours.
    let parameters = unsafe { (*stack).Parameters };
    // SAFETY: it is a START_DEVICE, so this is the union's member.
    let start = unsafe { parameters.StartDevice };
    let raw = create(device, descriptors(start.AllocatedResources))?;
    let translated = match create(device, descriptors(start.AllocatedResourcesTranslated)) {
        Ok(list) => list,
        Err(status) => {
            object::delete(raw.into_any());
            return Err(status);
        }
    };
    Ok(Lists { raw, translated })
}

fn create(
    device: &Ref<Device>,
    descriptors: Vec<CM_PARTIAL_RESOURCE_DESCRIPTOR>,
) -> Result<Ref<ResourceList>, NTSTATUS> {
    let globals = device.header().globals();
    let how = Create {
        globals,
        attributes: Attributes::NONE,
        parent: Some(device.any()),
    };
    object::create(how, ResourceList { descriptors })
}

/// Copies the descriptors of the first full list, which is the only one that START_DEVICE has.
fn descriptors(list: wdk_sys::PCM_RESOURCE_LIST) -> Vec<CM_PARTIAL_RESOURCE_DESCRIPTOR> {
    let Some(header) = call::read(list.cast_const()) else {
        return Vec::new();
    };
    if header.Count == 0 {
        return Vec::new();
    }
    let count = header.List[0].PartialResourceList.Count as usize;
    // SAFETY: a non-null list of the PnP manager; the descriptors follow one another from the first.
    let first = unsafe { &raw const (*list).List[0].PartialResourceList.PartialDescriptors };
    let first = first.cast::<CM_PARTIAL_RESOURCE_DESCRIPTOR>();
    (0..count)
        .filter_map(|index| call::read(first.wrapping_add(index)))
        .collect()
}

wdf! {
    /// WdfCmResourceListGetCount. IRQL: <= DISPATCH_LEVEL.
    fn WdfCmResourceListGetCount(call, list: WDFCMRESLIST) -> ULONG {
        u32::try_from(call.get::<ResourceList>(list).descriptors.len()).unwrap_or(u32::MAX)
    }

    /// WdfCmResourceListGetDescriptor. IRQL: <= DISPATCH_LEVEL. Null beyond the last.
    fn WdfCmResourceListGetDescriptor(call, list: WDFCMRESLIST, index: ULONG) -> PCM_PARTIAL_RESOURCE_DESCRIPTOR {
        let list = call.get::<ResourceList>(list);
        list.descriptors
            .get(index as usize)
            .map_or(core::ptr::null_mut(), |descriptor| core::ptr::from_ref(descriptor).cast_mut())
    }
}

/// This family's part of the function table. The stand-in's headers do not declare it, so that the types of
/// wdfresource.h are stated here.
pub(crate) const ENTRIES: &[(usize, Entry)] = &[
    {
        const FUNCTION: unsafe extern "C" fn(PWDF_DRIVER_GLOBALS, WDFCMRESLIST) -> ULONG =
            WdfCmResourceListGetCount;
        (
            _WDFFUNCENUM::WdfCmResourceListGetCountTableIndex as usize,
            Entry(FUNCTION as *const ()),
        )
    },
    {
        const FUNCTION: unsafe extern "C" fn(
            PWDF_DRIVER_GLOBALS,
            WDFCMRESLIST,
            ULONG,
        ) -> PCM_PARTIAL_RESOURCE_DESCRIPTOR = WdfCmResourceListGetDescriptor;
        (
            _WDFFUNCENUM::WdfCmResourceListGetDescriptorTableIndex as usize,
            Entry(FUNCTION as *const ()),
        )
    },
];
