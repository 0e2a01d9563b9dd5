/* Requests: the framework's view of an IRP. */
#ifndef WDF_REQUEST_H
#define WDF_REQUEST_H

/* To 0x1B these are the IRP_MJ_ codes. */
typedef enum _WDF_REQUEST_TYPE {
    WdfRequestTypeCreate = 0x00,
    WdfRequestTypeCreateNamedPipe = 0x01,
    WdfRequestTypeClose = 0x02,
    WdfRequestTypeRead = 0x03,
    WdfRequestTypeWrite = 0x04,
    WdfRequestTypeQueryInformation = 0x05,
    WdfRequestTypeSetInformation = 0x06,
    WdfRequestTypeQueryEA = 0x07,
    WdfRequestTypeSetEA = 0x08,
    WdfRequestTypeFlushBuffers = 0x09,
    WdfRequestTypeQueryVolumeInformation = 0x0a,
    WdfRequestTypeSetVolumeInformation = 0x0b,
    WdfRequestTypeDirectoryControl = 0x0c,
    WdfRequestTypeFileSystemControl = 0x0d,
    WdfRequestTypeDeviceControl = 0x0e,
    WdfRequestTypeDeviceControlInternal = 0x0f,
    WdfRequestTypeShutdown = 0x10,
    WdfRequestTypeLockControl = 0x11,
    WdfRequestTypeCleanup = 0x12,
    WdfRequestTypeCreateMailSlot = 0x13,
    WdfRequestTypeQuerySecurity = 0x14,
    WdfRequestTypeSetSecurity = 0x15,
    WdfRequestTypePower = 0x16,
    WdfRequestTypeSystemControl = 0x17,
    WdfRequestTypeDeviceChange = 0x18,
    WdfRequestTypeQueryQuota = 0x19,
    WdfRequestTypeSetQuota = 0x1a,
    WdfRequestTypePnp = 0x1b,
    WdfRequestTypeOther = 0x1c,
    WdfRequestTypeUsb = 0x40,
    WdfRequestTypeNoFormat = 0xff,
    WdfRequestTypeMax = 0x100,
} WDF_REQUEST_TYPE;

typedef enum _WDF_REQUEST_REUSE_FLAGS {
    WDF_REQUEST_REUSE_NO_FLAGS = 0x0,
    WDF_REQUEST_REUSE_SET_NEW_IRP = 0x1,
} WDF_REQUEST_REUSE_FLAGS;

typedef enum _WDF_REQUEST_STOP_ACTION_FLAGS {
    WdfRequestStopActionInvalid = 0,
    WdfRequestStopActionSuspend = 0x1,
    WdfRequestStopActionPurge = 0x2,
    WdfRequestStopRequestCancelable = 0x10000000,
} WDF_REQUEST_STOP_ACTION_FLAGS;

typedef enum _WDF_REQUEST_SEND_OPTIONS_FLAGS {
    WDF_REQUEST_SEND_OPTION_TIMEOUT = 0x1,
    WDF_REQUEST_SEND_OPTION_SYNCHRONOUS = 0x2,
    WDF_REQUEST_SEND_OPTION_IGNORE_TARGET_STATE = 0x4,
    WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET = 0x8,
    WDF_REQUEST_SEND_OPTION_IMPERSONATE_CLIENT = 0x10000,
    WDF_REQUEST_SEND_OPTION_IMPERSONATION_IGNORE_FAILURE = 0x20000,
} WDF_REQUEST_SEND_OPTIONS_FLAGS;

typedef enum _WDF_REQUEST_FORWARD_OPTIONS_FLAGS {
    WDF_REQUEST_FORWARD_OPTION_SEND_AND_FORGET = 0x1,
} WDF_REQUEST_FORWARD_OPTIONS_FLAGS;

WDF_EVENT(VOID, WDF_REQUEST_CANCEL, WDFREQUEST Request);

typedef struct _WDF_REQUEST_PARAMETERS {
    USHORT Size;
    UCHAR MinorFunction;
    WDF_REQUEST_TYPE Type;
    union {
        struct {
            PIO_SECURITY_CONTEXT SecurityContext;
            ULONG Options;
            USHORT POINTER_ALIGNMENT FileAttributes;
            USHORT ShareAccess;
            ULONG POINTER_ALIGNMENT EaLength;
        } Create;
        struct {
            size_t Length;
            ULONG POINTER_ALIGNMENT Key;
            LONGLONG DeviceOffset;
        } Read;
        struct {
            size_t Length;
            ULONG POINTER_ALIGNMENT Key;
            LONGLONG DeviceOffset;
        } Write;
        struct {
            size_t OutputBufferLength;
            size_t POINTER_ALIGNMENT InputBufferLength;
            ULONG POINTER_ALIGNMENT IoControlCode;
            PVOID Type3InputBuffer;
        } DeviceIoControl;
        struct {
            PVOID Arg1;
            PVOID Arg2;
            ULONG POINTER_ALIGNMENT IoControlCode;
            PVOID Arg4;
        } Others;
    } Parameters;
} WDF_REQUEST_PARAMETERS, *PWDF_REQUEST_PARAMETERS;

typedef struct _WDF_USB_REQUEST_COMPLETION_PARAMS *PWDF_USB_REQUEST_COMPLETION_PARAMS;

/* An argument of IRP_MJ_INTERNAL_DEVICE_CONTROL, as a pointer or a number. */
#define WDF_OTHERS_ARGUMENT \
    union {                 \
        PVOID Ptr;          \
        ULONG_PTR Value;    \
    }

typedef struct _WDF_REQUEST_COMPLETION_PARAMS {
    ULONG Size;
    WDF_REQUEST_TYPE Type;
    IO_STATUS_BLOCK IoStatus;
    union {
        struct {
            WDFMEMORY Buffer;
            size_t Length;
            size_t Offset;
        } Write;
        struct {
            WDFMEMORY Buffer;
            size_t Length;
            size_t Offset;
        } Read;
        struct {
            ULONG IoControlCode;
            struct {
                WDFMEMORY Buffer;
                size_t Offset;
            } Input;
            struct {
                WDFMEMORY Buffer;
                size_t Offset;
                size_t Length;
            } Output;
        } Ioctl;
        struct {
            WDF_OTHERS_ARGUMENT Argument1;
            WDF_OTHERS_ARGUMENT Argument2;
            WDF_OTHERS_ARGUMENT Argument3;
            WDF_OTHERS_ARGUMENT Argument4;
        } Others;
        struct {
            PWDF_USB_REQUEST_COMPLETION_PARAMS Completion;
        } Usb;
    } Parameters;
} WDF_REQUEST_COMPLETION_PARAMS, *PWDF_REQUEST_COMPLETION_PARAMS;

WDF_EVENT(VOID, WDF_REQUEST_COMPLETION_ROUTINE, WDFREQUEST Request, WDFIOTARGET Target,
          PWDF_REQUEST_COMPLETION_PARAMS Params, WDFCONTEXT Context);

typedef struct _WDF_REQUEST_REUSE_PARAMS {
    ULONG Size;
    ULONG Flags; /* WDF_REQUEST_REUSE_FLAGS */
    NTSTATUS Status;
    PIRP NewIrp;
} WDF_REQUEST_REUSE_PARAMS, *PWDF_REQUEST_REUSE_PARAMS;

typedef struct _WDF_REQUEST_SEND_OPTIONS {
    ULONG Size;
    ULONG Flags; /* WDF_REQUEST_SEND_OPTIONS_FLAGS */
    LONGLONG Timeout;
} WDF_REQUEST_SEND_OPTIONS, *PWDF_REQUEST_SEND_OPTIONS;

typedef struct _WDF_REQUEST_FORWARD_OPTIONS {
    ULONG Size;
    ULONG Flags; /* WDF_REQUEST_FORWARD_OPTIONS_FLAGS */
} WDF_REQUEST_FORWARD_OPTIONS, *PWDF_REQUEST_FORWARD_OPTIONS;

/* Making, formatting and sending */
WDF_FUNCTION(NTSTATUS, WDFREQUESTCREATE, PWDF_OBJECT_ATTRIBUTES RequestAttributes, WDFIOTARGET IoTarget,
             WDFREQUEST *Request);
WDF_FUNCTION(NTSTATUS, WDFREQUESTCREATEFROMIRP, PWDF_OBJECT_ATTRIBUTES RequestAttributes, PIRP Irp,
             BOOLEAN RequestFreesIrp, WDFREQUEST *Request);
WDF_FUNCTION(NTSTATUS, WDFREQUESTREUSE, WDFREQUEST Request, PWDF_REQUEST_REUSE_PARAMS ReuseParams);
WDF_FUNCTION(NTSTATUS, WDFREQUESTCHANGETARGET, WDFREQUEST Request, WDFIOTARGET IoTarget);
WDF_FUNCTION(VOID, WDFREQUESTFORMATREQUESTUSINGCURRENTTYPE, WDFREQUEST Request);
WDF_FUNCTION(VOID, WDFREQUESTWDMFORMATUSINGSTACKLOCATION, WDFREQUEST Request, PIO_STACK_LOCATION Stack);
WDF_FUNCTION(BOOLEAN, WDFREQUESTSEND, WDFREQUEST Request, WDFIOTARGET Target,
             PWDF_REQUEST_SEND_OPTIONS Options);
WDF_FUNCTION(NTSTATUS, WDFREQUESTGETSTATUS, WDFREQUEST Request);
WDF_FUNCTION(BOOLEAN, WDFREQUESTCANCELSENTREQUEST, WDFREQUEST Request);
WDF_FUNCTION(VOID, WDFREQUESTSETCOMPLETIONROUTINE, WDFREQUEST Request,
             PFN_WDF_REQUEST_COMPLETION_ROUTINE CompletionRoutine, WDFCONTEXT CompletionContext);
WDF_FUNCTION(VOID, WDFREQUESTGETCOMPLETIONPARAMS, WDFREQUEST Request, PWDF_REQUEST_COMPLETION_PARAMS Params);
WDF_FUNCTION(NTSTATUS, WDFREQUESTALLOCATETIMER, WDFREQUEST Request);

/* Cancelling */
WDF_FUNCTION(VOID, WDFREQUESTMARKCANCELABLE, WDFREQUEST Request, PFN_WDF_REQUEST_CANCEL EvtRequestCancel);
WDF_FUNCTION(NTSTATUS, WDFREQUESTMARKCANCELABLEEX, WDFREQUEST Request,
             PFN_WDF_REQUEST_CANCEL EvtRequestCancel);
WDF_FUNCTION(NTSTATUS, WDFREQUESTUNMARKCANCELABLE, WDFREQUEST Request);
WDF_FUNCTION(BOOLEAN, WDFREQUESTISCANCELED, WDFREQUEST Request);

/* Completing */
WDF_FUNCTION(VOID, WDFREQUESTCOMPLETE, WDFREQUEST Request, NTSTATUS Status);
WDF_FUNCTION(VOID, WDFREQUESTCOMPLETEWITHPRIORITYBOOST, WDFREQUEST Request, NTSTATUS Status,
             CCHAR PriorityBoost);
WDF_FUNCTION(VOID, WDFREQUESTCOMPLETEWITHINFORMATION, WDFREQUEST Request, NTSTATUS Status,
             ULONG_PTR Information);
WDF_FUNCTION(VOID, WDFREQUESTSETINFORMATION, WDFREQUEST Request, ULONG_PTR Information);
WDF_FUNCTION(ULONG_PTR, WDFREQUESTGETINFORMATION, WDFREQUEST Request);

/* Parameters and buffers */
WDF_FUNCTION(VOID, WDFREQUESTGETPARAMETERS, WDFREQUEST Request, PWDF_REQUEST_PARAMETERS Parameters);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEINPUTMEMORY, WDFREQUEST Request, WDFMEMORY *Memory);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEOUTPUTMEMORY, WDFREQUEST Request, WDFMEMORY *Memory);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEINPUTBUFFER, WDFREQUEST Request, size_t MinimumRequiredLength,
             PVOID *Buffer, size_t *Length);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEOUTPUTBUFFER, WDFREQUEST Request, size_t MinimumRequiredSize,
             PVOID *Buffer, size_t *Length);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEINPUTWDMMDL, WDFREQUEST Request, PMDL *Mdl);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEOUTPUTWDMMDL, WDFREQUEST Request, PMDL *Mdl);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEUNSAFEUSERINPUTBUFFER, WDFREQUEST Request,
             size_t MinimumRequiredLength, PVOID *InputBuffer, size_t *Length);
WDF_FUNCTION(NTSTATUS, WDFREQUESTRETRIEVEUNSAFEUSEROUTPUTBUFFER, WDFREQUEST Request,
             size_t MinimumRequiredLength, PVOID *OutputBuffer, size_t *Length);
WDF_FUNCTION(NTSTATUS, WDFREQUESTPROBEANDLOCKUSERBUFFERFORREAD, WDFREQUEST Request, PVOID Buffer,
             size_t Length, WDFMEMORY *MemoryObject);
WDF_FUNCTION(NTSTATUS, WDFREQUESTPROBEANDLOCKUSERBUFFERFORWRITE, WDFREQUEST Request, PVOID Buffer,
             size_t Length, WDFMEMORY *MemoryObject);

/* Where it came from, and where it goes */
WDF_FUNCTION(WDFFILEOBJECT, WDFREQUESTGETFILEOBJECT, WDFREQUEST Request);
WDF_FUNCTION(KPROCESSOR_MODE, WDFREQUESTGETREQUESTORMODE, WDFREQUEST Request);
WDF_FUNCTION(BOOLEAN, WDFREQUESTISFROM32BITPROCESS, WDFREQUEST Request);
WDF_FUNCTION(BOOLEAN, WDFREQUESTISRESERVED, WDFREQUEST Request);
WDF_FUNCTION(WDFQUEUE, WDFREQUESTGETIOQUEUE, WDFREQUEST Request);
WDF_FUNCTION(NTSTATUS, WDFREQUESTFORWARDTOIOQUEUE, WDFREQUEST Request, WDFQUEUE DestinationQueue);
WDF_FUNCTION(NTSTATUS, WDFREQUESTFORWARDTOPARENTDEVICEIOQUEUE, WDFREQUEST Request, WDFQUEUE ParentDeviceQueue,
             PWDF_REQUEST_FORWARD_OPTIONS ForwardOptions);
WDF_FUNCTION(NTSTATUS, WDFREQUESTREQUEUE, WDFREQUEST Request);
WDF_FUNCTION(VOID, WDFREQUESTSTOPACKNOWLEDGE, WDFREQUEST Request, BOOLEAN Requeue);
WDF_FUNCTION(PIRP, WDFREQUESTWDMGETIRP, WDFREQUEST Request);

#endif
