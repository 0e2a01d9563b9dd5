/*
 * A KMDF driver in C that uses QueuedWorkItem.
 *
 * EvtIoDeviceControl may run at DISPATCH_LEVEL and must not take long. So it only puts the request into a queue: the
 * work is done later, at PASSIVE_LEVEL, in the order in which requests came, one at a time. The item's payload says which
 * request it is about, and its completion completes that request: with the status that the work came to, or with
 * STATUS_CANCELLED when the device went away before the work began. So every request is completed exactly once.
 */
#include <initguid.h>

#include "driver.h"

/* Requests under way at a time; more are refused with STATUS_INSUFFICIENT_RESOURCES. */
#define MAX_REQUESTS 16

typedef struct _DEVICE_CONTEXT {
    QWI_QUEUE Queue;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, DeviceGetContext)

/* An item's payload. */
typedef struct _JOB {
    WDFREQUEST Request;
    ULONG ControlCode;
} JOB;

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD EvtDriverDeviceAdd;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_INIT EvtDeviceSelfManagedIoInit;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_CLEANUP EvtDeviceSelfManagedIoCleanup;
static EVT_WDF_OBJECT_CONTEXT_CLEANUP EvtDeviceContextCleanup;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL EvtIoDeviceControl;
static EVT_QWI_WORK EvtWork;
static EVT_QWI_COMPLETION EvtDone;

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, EvtDriverDeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, NULL);
}

static NTSTATUS EvtDriverDeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    WDF_PNPPOWER_EVENT_CALLBACKS pnp;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG ioQueue;
    QWI_CONFIG config;
    WDFDEVICE device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Driver);

    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&pnp);
    pnp.EvtDeviceSelfManagedIoInit = EvtDeviceSelfManagedIoInit;
    pnp.EvtDeviceSelfManagedIoCleanup = EvtDeviceSelfManagedIoCleanup;
    WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &pnp);

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    attributes.EvtCleanupCallback = EvtDeviceContextCleanup;
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }

    /* Before the first request can come. The context is zero until then, which EvtDeviceContextCleanup relies on. */
    QWI_CONFIG_INIT(&config, EvtWork, MAX_REQUESTS, sizeof(JOB));
    config.Context = device;
    status = QwiCreate(device, &config, &DeviceGetContext(device)->Queue);
    if (!NT_SUCCESS(status)) {
        return status;
    }

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&ioQueue, WdfIoQueueDispatchParallel);
    ioQueue.EvtIoDeviceControl = EvtIoDeviceControl;
    status = WdfIoQueueCreate(device, &ioQueue, WDF_NO_OBJECT_ATTRIBUTES, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    return WdfDeviceCreateDeviceInterface(device, &GUID_DEVINTERFACE_C_DRIVER, NULL);
}

/* A driver is called for the cleanup only if it was for the init. There is nothing to do here. */
static NTSTATUS EvtDeviceSelfManagedIoInit(WDFDEVICE Device)
{
    UNREFERENCED_PARAMETER(Device);
    return STATUS_SUCCESS;
}

/* The device goes: what has begun ends, what has not is cancelled, and either way its request is completed. */
static VOID EvtDeviceSelfManagedIoCleanup(WDFDEVICE Device)
{
    (VOID)QwiClose(DeviceGetContext(Device)->Queue, QwiCloseCancel, NULL);
}

/* Also where the device never started: with the handle goes the memory. */
static VOID EvtDeviceContextCleanup(WDFOBJECT Device)
{
    DEVICE_CONTEXT *context = DeviceGetContext(Device);

    if (context->Queue != NULL) {
        QwiDelete(context->Queue);
        context->Queue = NULL;
    }
}

static VOID EvtIoDeviceControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputBufferLength,
                               size_t InputBufferLength, ULONG IoControlCode)
{
    DEVICE_CONTEXT *context = DeviceGetContext(WdfIoQueueGetDevice(Queue));
    JOB job;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(OutputBufferLength);
    UNREFERENCED_PARAMETER(InputBufferLength);

    job.Request = Request;
    job.ControlCode = IoControlCode;
    status = QwiEnqueueWithCompletion(context->Queue, &job, sizeof(job), EvtDone, Request);
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
    }
}

static NTSTATUS Sum(_In_ WDFREQUEST Request)
{
    const UCHAR *input;
    ULONG *output;
    ULONG sum = 0;
    size_t length, i;
    NTSTATUS status;

    status = WdfRequestRetrieveInputBuffer(Request, 1, (PVOID *)&input, &length);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*output), (PVOID *)&output, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    /* Both are the same memory: all of the input is read before the output is written. */
    for (i = 0; i < length; i++) {
        sum += input[i];
    }
    *output = sum;
    WdfRequestSetInformation(Request, sizeof(*output));
    return STATUS_SUCCESS;
}

static NTSTATUS SelfTest(_In_ WDFDEVICE Device, _In_ WDFREQUEST Request)
{
    PSELF_TEST_RESULT output;
    SELF_TEST_RESULT result;
    ULONG *number;
    NTSTATUS status;

    status = WdfRequestRetrieveInputBuffer(Request, sizeof(*number), (PVOID *)&number, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*output), (PVOID *)&output, NULL);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = SelfTestRun(Device, *number, &result);
    if (NT_SUCCESS(status)) {
        *output = result;
        WdfRequestSetInformation(Request, sizeof(*output));
    }
    return status;
}

/* PASSIVE_LEVEL, one at a time, in order. */
static VOID EvtWork(QWI_ITEM Item, PVOID Buffer, size_t Length, PVOID Context)
{
    const JOB *job = (const JOB *)Buffer;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Length);

    switch (job->ControlCode) {
    case IOCTL_C_DRIVER_SUM:
        status = Sum(job->Request);
        break;
    case IOCTL_C_DRIVER_SELF_TEST:
        status = SelfTest((WDFDEVICE)Context, job->Request);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    QwiStatusSet(Item, status);
}

static VOID EvtDone(QWI_OUTCOME Outcome, NTSTATUS Status, PVOID Context)
{
    UNREFERENCED_PARAMETER(Outcome);

    WdfRequestComplete((WDFREQUEST)Context, Status);
}
