//! DPCs.

use core::ptr;

use wdk_sys::{PFN_WDF_DPC, WDF_DPC_CONFIG, WDFDEVICE, WDFDPC, WDFDPC__};

use crate::check::{Verdict, success};
use crate::probe::{Probe, pause};
use crate::wdf::{Owned, child_of, size_field};

const DISPATCH: u32 = 2;

static PROBE: Probe = Probe::new();

fn create(device: WDFDEVICE, callback: PFN_WDF_DPC) -> Verdict<Owned<WDFDPC__>> {
    PROBE.reset();
    let mut config = WDF_DPC_CONFIG {
        Size: size_field::<WDF_DPC_CONFIG>(),
        EvtDpcFunc: callback,
        AutomaticSerialization: 0,
    };
    let mut attributes = child_of(device);
    let mut dpc: WDFDPC = ptr::null_mut();
    let created = wdf!(WdfDpcCreate, &raw mut config, &raw mut attributes, &raw mut dpc);
    success("WdfDpcCreate", created)?;
    Ok(Owned(dpc))
}

extern "C" fn evt_hit(_: WDFDPC) {
    PROBE.hit();
}

pub(super) fn a_dpc_runs_at_dispatch_level(device: WDFDEVICE) -> Verdict {
    let dpc = create(device, Some(evt_hit))?;
    check!(wdf!(WdfDpcEnqueue, dpc.0) != 0, "an idle DPC was queued already");
    check!(PROBE.reach(1), "it did not run");
    check!(PROBE.ran_at(DISPATCH), "it ran at another IRQL");
    Ok(())
}

pub(super) fn a_dpc_that_is_queued_is_queued_once(device: WDFDEVICE) -> Verdict {
    let dpc = create(device, Some(evt_hit))?;
    // Which of them find it queued is not for this thread to say; each that does not makes it run once.
    let queued = (0..2000).filter(|_| wdf!(WdfDpcEnqueue, dpc.0) != 0).count();
    let queued = u32::try_from(queued).unwrap_or(0);
    check!(queued > 0, "an idle DPC was queued already");
    check!(PROBE.reach(queued), "{} runs of {queued} came", PROBE.runs());
    pause(30);
    equal!(PROBE.runs(), queued, "runs");
    Ok(())
}

pub(super) fn a_dpc_knows_its_parent(device: WDFDEVICE) -> Verdict {
    let dpc = create(device, Some(evt_hit))?;
    equal!(wdf!(WdfDpcGetParentObject, dpc.0), device.cast(), "the parent");
    Ok(())
}
