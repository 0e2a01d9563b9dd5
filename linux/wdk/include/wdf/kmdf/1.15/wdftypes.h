/* Handles, and the macros that the other headers declare functions and callbacks with. */
#ifndef WDF_TYPES_H
#define WDF_TYPES_H

/*
 * WDF_FUNCTION(NTSTATUS, WDFTIMERCREATE, PWDF_TIMER_CONFIG Config, ...) declares PFN_WDFTIMERCREATE. Every
 * function takes the client's globals first. Where the published headers say FASTCALL nothing is said here:
 * x64 and arm64 have one calling convention.
 */
#define WDF_FUNCTION(Return, Name, ...) \
    typedef Return (*PFN_##Name)(PWDF_DRIVER_GLOBALS DriverGlobals, __VA_ARGS__)
#define WDF_FUNCTION_NO_ARGUMENTS(Return, Name) \
    typedef Return (*PFN_##Name)(PWDF_DRIVER_GLOBALS DriverGlobals)

/* WDF_EVENT(VOID, WDF_TIMER, WDFTIMER Timer) declares EVT_WDF_TIMER, a callback's type, and PFN_WDF_TIMER. */
#define WDF_EVENT(Return, Name, ...)      \
    typedef Return EVT_##Name(__VA_ARGS__); \
    typedef EVT_##Name *PFN_##Name

/* Each handle is a type of its own, whatever DECLARE_HANDLE makes of it: mixing two does not compile. */
#define WDF_HANDLE(Name)  \
    struct Name##__ {     \
        int unused;       \
    };                    \
    typedef struct Name##__ *Name

typedef HANDLE WDFOBJECT, *PWDFOBJECT;
typedef PVOID WDFCONTEXT;

WDF_HANDLE(WDFDRIVER);
WDF_HANDLE(WDFDEVICE);
WDF_HANDLE(WDFWMIPROVIDER);
WDF_HANDLE(WDFWMIINSTANCE);
WDF_HANDLE(WDFQUEUE);
WDF_HANDLE(WDFREQUEST);
WDF_HANDLE(WDFFILEOBJECT);
WDF_HANDLE(WDFDPC);
WDF_HANDLE(WDFTIMER);
WDF_HANDLE(WDFWORKITEM);
WDF_HANDLE(WDFINTERRUPT);
WDF_HANDLE(WDFWAITLOCK);
WDF_HANDLE(WDFSPINLOCK);
WDF_HANDLE(WDFMEMORY);
WDF_HANDLE(WDFLOOKASIDE);
WDF_HANDLE(WDFIOTARGET);
WDF_HANDLE(WDFUSBDEVICE);
WDF_HANDLE(WDFUSBINTERFACE);
WDF_HANDLE(WDFUSBPIPE);
WDF_HANDLE(WDFDMAENABLER);
WDF_HANDLE(WDFDMATRANSACTION);
WDF_HANDLE(WDFCOMMONBUFFER);
WDF_HANDLE(WDFKEY);
WDF_HANDLE(WDFSTRING);
WDF_HANDLE(WDFCOLLECTION);
WDF_HANDLE(WDFCHILDLIST);
WDF_HANDLE(WDFIORESREQLIST);
WDF_HANDLE(WDFIORESLIST);
WDF_HANDLE(WDFCMRESLIST);

typedef struct WDFDEVICE_INIT *PWDFDEVICE_INIT;
typedef struct WDFCXDEVICE_INIT *PWDFCXDEVICE_INIT;
typedef struct _WDF_OBJECT_ATTRIBUTES *PWDF_OBJECT_ATTRIBUTES;

#define WDF_NO_OBJECT_ATTRIBUTES (NULL)
#define WDF_NO_EVENT_CALLBACK (NULL)
#define WDF_NO_HANDLE (NULL)
#define WDF_NO_CONTEXT (NULL)
#define WDF_NO_SEND_OPTIONS (NULL)

typedef enum _WDF_TRI_STATE {
    WdfFalse = 0,
    WdfTrue = 1,
    WdfUseDefault = 2,
} WDF_TRI_STATE, *PWDF_TRI_STATE;

#endif
