/* What the framework hands to a client at bind, and every call hands back. */
#ifndef WDF_GLOBALS_H
#define WDF_GLOBALS_H

#define WDF_DRIVER_GLOBALS_NAME_LEN 32

typedef struct _WDF_DRIVER_GLOBALS {
    WDFDRIVER Driver;
    ULONG DriverFlags; /* WDF_DRIVER_INIT_FLAGS */
    ULONG DriverTag;   /* pool tag of what the framework allocates for this driver */
    CHAR DriverName[WDF_DRIVER_GLOBALS_NAME_LEN];
    BOOLEAN DisplaceDriverUnload; /* TRUE: the entry stub puts itself before DriverUnload */
} WDF_DRIVER_GLOBALS, *PWDF_DRIVER_GLOBALS;

extern PWDF_DRIVER_GLOBALS WdfDriverGlobals;

#endif
