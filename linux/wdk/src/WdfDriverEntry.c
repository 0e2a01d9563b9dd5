/*
 * The entry of a KMDF client. The image starts here, not at DriverEntry: the framework must be bound before
 * the driver can call it, and unbound after the driver's own unload routine, the last code of it that runs.
 *
 * Class extensions (USB, HID and such) and context types shared between modules, which the WDK's library
 * binds here too, do not exist in this kit.
 */
#include "wdfldr.h"

/* Longer paths are cut, as RtlCopyUnicodeString does: the loader takes the service's name from it. */
#define REGISTRY_PATH_BYTES (260 * sizeof(WCHAR))

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);
VOID __security_init_cookie(VOID);
DRIVER_INITIALIZE FxDriverEntry;

const WDFFUNC *WdfFunctions;
PWDF_DRIVER_GLOBALS WdfDriverGlobals;
WDFFUNC WdfDriverMiniportUnloadOverride;

static WCHAR RegistryPathBuffer[REGISTRY_PATH_BYTES / sizeof(WCHAR)];
static UNICODE_STRING BoundRegistryPath = {0, REGISTRY_PATH_BYTES, RegistryPathBuffer};
static PDRIVER_UNLOAD DisplacedUnload;
static WCHAR Component[] = L"KmdfLibrary";

static WDF_BIND_INFO BindInfo = {
    sizeof(WDF_BIND_INFO),
    Component,
    {KMDF_VERSION_MAJOR, KMDF_VERSION_MINOR, 0},
    WdfFunctionTableNumEntries,
    (WDFFUNC *)&WdfFunctions,
    NULL,
};

static VOID Unbind(VOID)
{
    (VOID)WdfVersionUnbind(&BoundRegistryPath, &BindInfo, WdfDriverGlobals);
}

static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    if (DisplacedUnload != NULL) {
        DisplacedUnload(DriverObject);
    }
    Unbind();
}

NTSTATUS FxDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    __security_init_cookie();

    /* Without a driver object the image was mapped for its exports: there is nothing to bind. */
    if (DriverObject == NULL) {
        return DriverEntry(DriverObject, RegistryPath);
    }

    RtlCopyUnicodeString(&BoundRegistryPath, RegistryPath);
    status = WdfVersionBind(DriverObject, &BoundRegistryPath, &BindInfo, &WdfDriverGlobals);
    if (!NT_SUCCESS(status)) {
        return status;
    }

    status = DriverEntry(DriverObject, RegistryPath);
    if (!NT_SUCCESS(status)) {
        Unbind();
        return status;
    }

    if (WdfDriverGlobals->DisplaceDriverUnload) {
        DisplacedUnload = DriverObject->DriverUnload;
        DriverObject->DriverUnload = Unload;
    } else if (WdfDriverGlobals->DriverFlags & WdfDriverInitNoDispatchOverride) {
        /* A miniport's unload belongs to its port driver; WdfDriverMiniportUnload calls this. */
        WdfDriverMiniportUnloadOverride = Unbind;
    }
    return status;
}
