/* What a client and the framework's loader tell each other at bind. The layout is checked by the loader. */
#ifndef WDFLDR_H
#define WDFLDR_H

#include <ntddk.h>

#include "wdf.h"

typedef struct _WDF_VERSION {
    ULONG Major;
    ULONG Minor;
    ULONG Build;
} WDF_VERSION, *PWDF_VERSION;

typedef struct _WDF_BIND_INFO {
    ULONG Size;
    PWCHAR Component;
    WDF_VERSION Version;
    ULONG FuncCount;
    WDFFUNC *FuncTable; /* where the loader stores the address of its table */
    PVOID Module;       /* the loader's */
} WDF_BIND_INFO, *PWDF_BIND_INFO;

NTSTATUS WdfVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo,
                        PWDF_DRIVER_GLOBALS *Globals);
NTSTATUS WdfVersionUnbind(PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo, PWDF_DRIVER_GLOBALS Globals);

#endif
