/*
 * What drivers in C write: the functions by their names, and the initialisers of configurations. Of both, what
 * the repository's C driver uses, under the names and with the arguments of the published headers.
 *
 * A binding generator has no use for any of it, and C++ drivers call through the same inlines.
 */
#ifndef WDF_CLIENT_H
#define WDF_CLIENT_H

#define WDF_TABLE(Pfn, Name) ((PFN_##Pfn)WdfFunctions[Name##TableIndex])

/* Objects */

FORCEINLINE VOID WDF_OBJECT_ATTRIBUTES_INIT(PWDF_OBJECT_ATTRIBUTES Attributes)
{
    RtlZeroMemory(Attributes, sizeof(WDF_OBJECT_ATTRIBUTES));
    Attributes->Size = sizeof(WDF_OBJECT_ATTRIBUTES);
    Attributes->ExecutionLevel = WdfExecutionLevelInheritFromParent;
    Attributes->SynchronizationScope = WdfSynchronizationScopeInheritFromParent;
}

/* Defines the type's information, by whose address it is known, and a function that finds the context. */
#define WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(Type, Function)                                               \
    static const WDF_OBJECT_CONTEXT_TYPE_INFO WdfTypeInfo_##Type = {                                     \
        sizeof(WDF_OBJECT_CONTEXT_TYPE_INFO), (PCHAR) #Type, sizeof(Type), &WdfTypeInfo_##Type, NULL,    \
    };                                                                                                   \
    FORCEINLINE Type *Function(PVOID Handle)                                                             \
    {                                                                                                    \
        return (Type *)WDF_TABLE(WDFOBJECTGETTYPEDCONTEXTWORKER, WdfObjectGetTypedContextWorker)(        \
            WdfDriverGlobals, (WDFOBJECT)Handle, WdfTypeInfo_##Type.UniqueType);                         \
    }
#define WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(Attributes, Type) \
    ((Attributes)->ContextTypeInfo = WdfTypeInfo_##Type.UniqueType)
#define WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(Attributes, Type) \
    (WDF_OBJECT_ATTRIBUTES_INIT(Attributes), WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(Attributes, Type))

FORCEINLINE NTSTATUS WdfObjectCreate(PWDF_OBJECT_ATTRIBUTES Attributes, WDFOBJECT *Object)
{
    return WDF_TABLE(WDFOBJECTCREATE, WdfObjectCreate)(WdfDriverGlobals, Attributes, Object);
}

FORCEINLINE VOID WdfObjectDelete(WDFOBJECT Object)
{
    WDF_TABLE(WDFOBJECTDELETE, WdfObjectDelete)(WdfDriverGlobals, Object);
}

/* Driver and device */

FORCEINLINE VOID WDF_DRIVER_CONFIG_INIT(PWDF_DRIVER_CONFIG Config, PFN_WDF_DRIVER_DEVICE_ADD EvtDriverDeviceAdd)
{
    RtlZeroMemory(Config, sizeof(WDF_DRIVER_CONFIG));
    Config->Size = sizeof(WDF_DRIVER_CONFIG);
    Config->EvtDriverDeviceAdd = EvtDriverDeviceAdd;
}

FORCEINLINE NTSTATUS WdfDriverCreate(PDRIVER_OBJECT DriverObject, PCUNICODE_STRING RegistryPath,
                                     PWDF_OBJECT_ATTRIBUTES DriverAttributes, PWDF_DRIVER_CONFIG DriverConfig,
                                     WDFDRIVER *Driver)
{
    return WDF_TABLE(WDFDRIVERCREATE, WdfDriverCreate)(WdfDriverGlobals, DriverObject, RegistryPath,
                                                       DriverAttributes, DriverConfig, Driver);
}

FORCEINLINE VOID WDF_PNPPOWER_EVENT_CALLBACKS_INIT(PWDF_PNPPOWER_EVENT_CALLBACKS Callbacks)
{
    RtlZeroMemory(Callbacks, sizeof(WDF_PNPPOWER_EVENT_CALLBACKS));
    Callbacks->Size = sizeof(WDF_PNPPOWER_EVENT_CALLBACKS);
}

FORCEINLINE VOID WdfDeviceInitSetPnpPowerEventCallbacks(PWDFDEVICE_INIT DeviceInit,
                                                        PWDF_PNPPOWER_EVENT_CALLBACKS PnpPowerEventCallbacks)
{
    WDF_TABLE(WDFDEVICEINITSETPNPPOWEREVENTCALLBACKS, WdfDeviceInitSetPnpPowerEventCallbacks)(
        WdfDriverGlobals, DeviceInit, PnpPowerEventCallbacks);
}

FORCEINLINE NTSTATUS WdfDeviceCreate(PWDFDEVICE_INIT *DeviceInit, PWDF_OBJECT_ATTRIBUTES DeviceAttributes,
                                     WDFDEVICE *Device)
{
    return WDF_TABLE(WDFDEVICECREATE, WdfDeviceCreate)(WdfDriverGlobals, DeviceInit, DeviceAttributes, Device);
}

FORCEINLINE NTSTATUS WdfDeviceCreateDeviceInterface(WDFDEVICE Device, const GUID *InterfaceClassGUID,
                                                    PCUNICODE_STRING ReferenceString)
{
    return WDF_TABLE(WDFDEVICECREATEDEVICEINTERFACE, WdfDeviceCreateDeviceInterface)(
        WdfDriverGlobals, Device, InterfaceClassGUID, ReferenceString);
}

/* Queues and requests */

FORCEINLINE VOID WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(PWDF_IO_QUEUE_CONFIG Config,
                                                        WDF_IO_QUEUE_DISPATCH_TYPE DispatchType)
{
    RtlZeroMemory(Config, sizeof(WDF_IO_QUEUE_CONFIG));
    Config->Size = sizeof(WDF_IO_QUEUE_CONFIG);
    Config->PowerManaged = WdfUseDefault;
    Config->DefaultQueue = TRUE;
    Config->DispatchType = DispatchType;
    if (DispatchType == WdfIoQueueDispatchParallel) {
        Config->Settings.Parallel.NumberOfPresentedRequests = (ULONG)-1;
    }
}

FORCEINLINE NTSTATUS WdfIoQueueCreate(WDFDEVICE Device, PWDF_IO_QUEUE_CONFIG Config,
                                      PWDF_OBJECT_ATTRIBUTES QueueAttributes, WDFQUEUE *Queue)
{
    return WDF_TABLE(WDFIOQUEUECREATE, WdfIoQueueCreate)(WdfDriverGlobals, Device, Config, QueueAttributes, Queue);
}

FORCEINLINE WDFDEVICE WdfIoQueueGetDevice(WDFQUEUE Queue)
{
    return WDF_TABLE(WDFIOQUEUEGETDEVICE, WdfIoQueueGetDevice)(WdfDriverGlobals, Queue);
}

FORCEINLINE NTSTATUS WdfRequestRetrieveInputBuffer(WDFREQUEST Request, size_t MinimumRequiredLength, PVOID *Buffer,
                                                   size_t *Length)
{
    return WDF_TABLE(WDFREQUESTRETRIEVEINPUTBUFFER, WdfRequestRetrieveInputBuffer)(
        WdfDriverGlobals, Request, MinimumRequiredLength, Buffer, Length);
}

FORCEINLINE NTSTATUS WdfRequestRetrieveOutputBuffer(WDFREQUEST Request, size_t MinimumRequiredSize, PVOID *Buffer,
                                                    size_t *Length)
{
    return WDF_TABLE(WDFREQUESTRETRIEVEOUTPUTBUFFER, WdfRequestRetrieveOutputBuffer)(
        WdfDriverGlobals, Request, MinimumRequiredSize, Buffer, Length);
}

FORCEINLINE VOID WdfRequestSetInformation(WDFREQUEST Request, ULONG_PTR Information)
{
    WDF_TABLE(WDFREQUESTSETINFORMATION, WdfRequestSetInformation)(WdfDriverGlobals, Request, Information);
}

FORCEINLINE VOID WdfRequestComplete(WDFREQUEST Request, NTSTATUS Status)
{
    WDF_TABLE(WDFREQUESTCOMPLETE, WdfRequestComplete)(WdfDriverGlobals, Request, Status);
}

/* Time */

FORCEINLINE LONGLONG WDF_REL_TIMEOUT_IN_MS(ULONGLONG Time)
{
    return (LONGLONG)Time * -1 * WDF_TIMEOUT_TO_MS;
}

#endif
