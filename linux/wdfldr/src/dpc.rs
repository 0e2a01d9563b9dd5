//! WDFDPC: a callback at DISPATCH_LEVEL.

use wdk_sys::{BOOLEAN, NTSTATUS, PFN_WDF_DPC, PWDF_DPC_CONFIG, PWDF_OBJECT_ATTRIBUTES, WDFDPC, WDFOBJECT};

use crate::call::{self, callback, wdf};
use crate::irql;
use crate::nt::status;
use crate::object::{self, Create, Kind, Ref, Type};
use crate::runner::{Runner, Runs};
use crate::table::entries;
use crate::workitem::{Serialization, parent_with_device};

/// The body of a WDFDPC.
pub(crate) struct Dpc {
    runner: Runner,
    callback: PFN_WDF_DPC,
    serialization: Serialization,
    parent: usize,
}

impl Kind for Dpc {
    const TYPE: Type = Type::Dpc;
    const PASSIVE_DISPOSE: bool = true;

    fn dispose(this: &Ref<Self>) {
        this.runner.kill();
    }
}

impl Runs for Dpc {
    fn runner(&self) -> &Runner {
        &self.runner
    }

    fn run(this: &Ref<Self>) {
        if let Some(callback) = this.callback {
            let run = || callback!("EvtDpcFunc", callback(this.header().handle()));
            this.serialization.enter(|| irql::at_dispatch(run));
        }
    }
}

wdf! {
    /// WdfDpcCreate. IRQL: <= DISPATCH_LEVEL.
    fn WdfDpcCreate(
        call,
        config: PWDF_DPC_CONFIG,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        dpc: *mut WDFDPC,
    ) -> NTSTATUS {
        call.run(|| {
            call.at_most_dispatch();
            let config = call.config(config.cast_const())?;
            let attributes = call.attributes(attributes)?.without_constraints()?;
            if config.EvtDpcFunc.is_none() {
                return Err(status::INVALID_PARAMETER);
            }
            let (parent, serialization) =
                parent_with_device(call, &attributes, config.AutomaticSerialization != 0, false)?;
            let how = Create { globals: call.globals, attributes, parent: Some(&parent) };
            let created = object::create_with(how, |handle| {
                Ok(Dpc {
                    runner: Runner::new::<Dpc>(handle)?,
                    callback: config.EvtDpcFunc,
                    serialization,
                    parent: parent.raw_handle(),
                })
            })?;
            call::write(dpc, created.header().handle());
            Ok(())
        })
    }

    /// WdfDpcEnqueue. IRQL: any. Answers whether it was not queued already.
    fn WdfDpcEnqueue(call, dpc: WDFDPC) -> BOOLEAN {
        call.get::<Dpc>(dpc).runner.enqueue().into()
    }

    /// WdfDpcCancel. IRQL: any; to wait for a running callback, PASSIVE_LEVEL. Answers whether it was queued.
    fn WdfDpcCancel(call, dpc: WDFDPC, wait: BOOLEAN) -> BOOLEAN {
        let dpc = call.get::<Dpc>(dpc);
        let was = dpc.runner.cancel();
        if wait != 0 {
            call.passive();
            dpc.runner.wait_idle();
        }
        was.into()
    }

    /// WdfDpcGetParentObject. IRQL: <= DISPATCH_LEVEL.
    fn WdfDpcGetParentObject(call, dpc: WDFDPC) -> WDFOBJECT {
        core::ptr::without_provenance_mut(call.get::<Dpc>(dpc).parent)
    }
}

entries! {
    WdfDpcCreateTableIndex: PFN_WDFDPCCREATE = WdfDpcCreate;
    WdfDpcEnqueueTableIndex: PFN_WDFDPCENQUEUE = WdfDpcEnqueue;
    WdfDpcCancelTableIndex: PFN_WDFDPCCANCEL = WdfDpcCancel;
    WdfDpcGetParentObjectTableIndex: PFN_WDFDPCGETPARENTOBJECT = WdfDpcGetParentObject;
}
