/*
 * QueuedWorkItem for KMDF drivers in C and C++.
 *
 * A queue runs the driver's callback at PASSIVE_LEVEL in a system worker thread: exactly once for each enqueue that
 * succeeded, in the order of enqueue, one at a time, each run with the bytes of its own enqueue. An enqueuer may wait for
 * its very item and get the NTSTATUS that the callback set for it.
 *
 * Include it after <ntddk.h> (or <wdm.h>) and <wdf.h>, and link queued_work_item.lib. The driver may be built for any KMDF
 * version from 1.15 up. Each image that links the library has an instance of it to itself.
 *
 *     QWI_CONFIG config;
 *     QWI_CONFIG_INIT(&config, EvtWork, 32, sizeof(PACKET));          // 32 buffers
 *     status = QwiCreate(Device, &config, &queue);                    // EvtDriverDeviceAdd
 *     status = QwiEnqueue(queue, &packet, sizeof(packet));            // a DPC
 *     status = QwiEnqueueAndWait(queue, &packet, sizeof(packet), NULL, NULL);
 *     (VOID)QwiClose(queue, QwiCloseCancel, NULL);                    // EvtDeviceSelfManagedIoCleanup
 *     QwiDelete(queue);
 *
 * Statuses of a refusal, by which nothing has changed:
 *   STATUS_INSUFFICIENT_RESOURCES  no buffer is free
 *   STATUS_INVALID_BUFFER_SIZE     the payload is longer than the queue's buffers
 *   STATUS_DELETE_PENDING          the queue is closing or closed, or its parent was deleted
 *   STATUS_POSSIBLE_DEADLOCK       a wait, flush, stop-and-wait or close from inside the queue: its callback, its
 *                                  reuse-cleanup callback or one of its completions
 */
#ifndef QUEUED_WORK_ITEM_H
#define QUEUED_WORK_ITEM_H

#ifndef KMDF_VERSION_MINOR
#error "KMDF_VERSION_MINOR is not defined: the WDK's build defines it, and <wdf.h> is to be included first"
#elif KMDF_VERSION_MAJOR != 1 || KMDF_VERSION_MINOR < 15
#error "QueuedWorkItem needs KMDF 1.15 or later"
#endif

/* Annotations of the WDK's that other headers may lack. */
#ifdef _IRQL_requires_max_
#define QWI_IRQL_AT_MOST(Level) _IRQL_requires_max_(Level)
#else
#define QWI_IRQL_AT_MOST(Level)
#endif
#ifdef _IRQL_requires_same_
#define QWI_IRQL_SAME _IRQL_requires_same_
#else
#define QWI_IRQL_SAME
#endif
#ifdef _Must_inspect_result_
#define QWI_CHECK_RESULT _Must_inspect_result_
#else
#define QWI_CHECK_RESULT
#endif
#ifdef _Function_class_
#define QWI_CALLBACK_CLASS(Name) _Function_class_(Name)
#else
#define QWI_CALLBACK_CLASS(Name)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A queue, from QwiCreate to QwiDelete. */
typedef struct QWI_QUEUE__ *QWI_QUEUE;

/* The item that runs; it ends with its callback, and is not kept beyond it. */
typedef const struct QWI_ITEM__ *QWI_ITEM;

/* What became of an item. */
typedef enum _QWI_OUTCOME {
    QwiOutcomeRefused = 0,   /* it was not accepted: the status says why */
    QwiOutcomeRan = 1,       /* its callback ran: the status is the callback's */
    QwiOutcomeCancelled = 2, /* it was dropped before it began: STATUS_CANCELLED */
    QwiOutcomeTimedOut = 3,  /* the wait ran out, and the item goes on: STATUS_TIMEOUT */
} QWI_OUTCOME, *PQWI_OUTCOME;

/* What a close does with what has not begun. */
typedef enum _QWI_CLOSE {
    QwiCloseDrain = 0,  /* it runs */
    QwiCloseCancel = 1, /* it is dropped, and whoever waits for it is told */
} QWI_CLOSE;

/*
 * The queue's callback, on a system worker thread. Buffer holds the Length bytes that were enqueued, begins at a multiple
 * of 16, and is the callback's to read and write until it returns. Context is the configuration's.
 * The callback may enqueue, cancel and stop; what would wait for its own queue is refused.
 */
typedef QWI_CALLBACK_CLASS(EVT_QWI_WORK) QWI_IRQL_SAME QWI_IRQL_AT_MOST(PASSIVE_LEVEL) VOID
    EVT_QWI_WORK(_In_ QWI_ITEM Item, _Inout_updates_bytes_(Length) PVOID Buffer, _In_ size_t Length,
                 _In_opt_ PVOID Context);
typedef EVT_QWI_WORK *PFN_QWI_WORK;

/*
 * Called once for each accepted item, however it ended, when its buffer goes home: after the callback, or in its place
 * when the item was cancelled, and before anyone is told. The buffer is as the callback left it and is cleared after
 * this. Two threads may be in it at a time, each with its own buffer.
 */
typedef QWI_CALLBACK_CLASS(EVT_QWI_REUSE_CLEANUP) QWI_IRQL_SAME QWI_IRQL_AT_MOST(PASSIVE_LEVEL) VOID
    EVT_QWI_REUSE_CLEANUP(_Inout_updates_bytes_(Length) PVOID Buffer, _In_ size_t Length,
                          _In_opt_ PVOID Context);
typedef EVT_QWI_REUSE_CLEANUP *PFN_QWI_REUSE_CLEANUP;

/*
 * Called once for an item of QwiEnqueueWithCompletion, after its buffer is home: on the worker thread for one that ran
 * (QwiOutcomeRan, the callback's status), on the thread that cancels, closes or deletes for one that was dropped
 * (QwiOutcomeCancelled, STATUS_CANCELLED). Context is that of the enqueue.
 */
typedef QWI_CALLBACK_CLASS(EVT_QWI_COMPLETION) QWI_IRQL_SAME QWI_IRQL_AT_MOST(PASSIVE_LEVEL) VOID
    EVT_QWI_COMPLETION(_In_ QWI_OUTCOME Outcome, _In_ NTSTATUS Status, _In_opt_ PVOID Context);
typedef EVT_QWI_COMPLETION *PFN_QWI_COMPLETION;

/* What a queue is created with: to be initialised by QWI_CONFIG_INIT, and adjusted below the line. */
typedef struct _QWI_CONFIG {
    ULONG Size;
    ULONG KmdfVersionMajor;
    ULONG KmdfVersionMinor;
    ULONG FunctionCount;
    const WDFFUNC *Functions;
    PWDF_DRIVER_GLOBALS DriverGlobals;
    /* ---- */
    ULONG BufferCount; /* buffers that are allocated at create; the running item holds one of them */
    ULONG MaxBuffers;  /* 0, or up to how many buffers an enqueue may add, the first ones included: each is an allocation
                          of nonpaged pool, and is freed when it comes back */
    size_t BufferSize; /* the longest payload, in bytes: 1 at least, below 4 GB */
    PFN_QWI_WORK EvtWork;
    PFN_QWI_REUSE_CLEANUP EvtReuseCleanup; /* optional */
    PVOID Context;                         /* for both callbacks */
} QWI_CONFIG, *PQWI_CONFIG;

/* Figures of a queue: Size is set by QWI_COUNTERS_INIT, all else by QwiCountersGet. */
typedef struct _QWI_COUNTERS {
    ULONG Size;
    ULONG Length;        /* items accepted and not ended, the running one included */
    ULONG Capacity;      /* buffers that there can be at once */
    ULONG HighWaterMark; /* the greatest length that was noted */
    ULONGLONG Enqueued;  /* enqueues that succeeded */
    ULONGLONG Executed;  /* items that have run, their waiters and completions told */
    ULONGLONG Cancelled; /* items that were dropped before they began */
    ULONGLONG RefusedFull;
    ULONGLONG RefusedTooLong;
    ULONGLONG RefusedClosing;
} QWI_COUNTERS, *PQWI_COUNTERS;

C_ASSERT(sizeof(QWI_CONFIG) == 72 && FIELD_OFFSET(QWI_CONFIG, Context) == 64);
C_ASSERT(sizeof(QWI_COUNTERS) == 64);

/*
 * Initialises a configuration for BufferCount buffers of BufferSize bytes, with this driver's function table and globals,
 * as its headers name them. IRQL: any.
 */
FORCEINLINE VOID QWI_CONFIG_INIT(_Out_ PQWI_CONFIG Config, _In_ PFN_QWI_WORK EvtWork, _In_ ULONG BufferCount,
                                 _In_ size_t BufferSize)
{
    RtlZeroMemory(Config, sizeof(*Config));
    Config->Size = sizeof(*Config);
    Config->KmdfVersionMajor = KMDF_VERSION_MAJOR;
    Config->KmdfVersionMinor = KMDF_VERSION_MINOR;
#if KMDF_VERSION_MINOR >= 25
    /* The framework that was found may be older than these headers, and says so. */
    Config->FunctionCount = WdfFunctionCount;
#else
    Config->FunctionCount = WdfFunctionTableNumEntries;
#endif
    Config->Functions = WdfFunctions;
    Config->DriverGlobals = WdfDriverGlobals;
    Config->BufferCount = BufferCount;
    Config->BufferSize = BufferSize;
    Config->EvtWork = EvtWork;
}

/* Initialises counters for QwiCountersGet. IRQL: any. */
FORCEINLINE VOID QWI_COUNTERS_INIT(_Out_ PQWI_COUNTERS Counters)
{
    RtlZeroMemory(Counters, sizeof(*Counters));
    Counters->Size = sizeof(*Counters);
}

/*
 * Creates a queue with its buffers, in nonpaged pool. Parent is a device, or an object below one. When it is
 * deleted, what has not begun is cancelled and the queue accepts nothing more, but it is still to be deleted by QwiDelete.
 *
 *   STATUS_INVALID_PARAMETER       a pointer is NULL; no buffers, too many (2^24) or of no size
 *   STATUS_INFO_LENGTH_MISMATCH    Size is not one that this library knows
 *   STATUS_REVISION_MISMATCH       the framework is older than KMDF 1.15
 *   STATUS_INSUFFICIENT_RESOURCES  not enough nonpaged pool
 *   or what the framework says of a work item
 */
QWI_CHECK_RESULT QWI_IRQL_AT_MOST(PASSIVE_LEVEL) NTSTATUS
QwiCreate(_In_ WDFOBJECT Parent, _In_ const QWI_CONFIG *Config, _Out_ QWI_QUEUE *Queue);

/* Copies Length bytes into a free buffer and queues them. It never blocks. Payload may be NULL when Length is 0. */
QWI_CHECK_RESULT QWI_IRQL_AT_MOST(DISPATCH_LEVEL) NTSTATUS
QwiEnqueue(_In_ QWI_QUEUE Queue, _In_reads_bytes_opt_(Length) const VOID *Payload, _In_ size_t Length);

/*
 * The same; EvtCompletion is called once with Context when the item has ended, unless this call refuses it. What a driver
 * pends a request with: it may be called before this returns.
 */
QWI_CHECK_RESULT QWI_IRQL_AT_MOST(DISPATCH_LEVEL) NTSTATUS
QwiEnqueueWithCompletion(_In_ QWI_QUEUE Queue, _In_reads_bytes_opt_(Length) const VOID *Payload,
                         _In_ size_t Length, _In_ PFN_QWI_COMPLETION EvtCompletion, _In_opt_ PVOID Context);

/*
 * As QwiEnqueue, and waits for this very item. Returns the status that its callback set, STATUS_CANCELLED,
 * STATUS_TIMEOUT, or why it was refused; Outcome, where it is asked for, tells these from a callback's status of the same
 * value.
 * Timeout is NULL, or a relative time as WDF_REL_TIMEOUT_IN_MS makes it (negative, in 100 ns). When it runs out the item
 * runs all the same, exactly once, and nothing of the caller's is touched. A positive one, a date, is refused with
 * STATUS_INVALID_PARAMETER.
 */
QWI_IRQL_AT_MOST(PASSIVE_LEVEL) NTSTATUS
QwiEnqueueAndWait(_In_ QWI_QUEUE Queue, _In_reads_bytes_opt_(Length) const VOID *Payload, _In_ size_t Length,
                  _In_opt_ const LONGLONG *Timeout, _Out_opt_ PQWI_OUTCOME Outcome);

/*
 * Sets the status that this item's waiter or completion is told, in all 32 bits. The last one counts; without any it is
 * STATUS_SUCCESS. For EVT_QWI_WORK alone, with the item that it was given, before it returns.
 */
QWI_IRQL_AT_MOST(DISPATCH_LEVEL) VOID QwiStatusSet(_In_ QWI_ITEM Item, _In_ NTSTATUS Status);

/*
 * Returns after everything that was enqueued before this call has ended. What is enqueued later does not hold it up, and
 * the queue stays usable.
 */
QWI_IRQL_AT_MOST(PASSIVE_LEVEL) NTSTATUS QwiFlush(_In_ QWI_QUEUE Queue);

/* Drops what has not begun and returns how many items that were. It may be called from the queue's callback. */
QWI_IRQL_AT_MOST(PASSIVE_LEVEL) ULONGLONG QwiCancel(_In_ QWI_QUEUE Queue);

/*
 * Lets no further item begin until QwiStart. QwiStop does not wait for the callback that runs, QwiStopAndWait does: what
 * EvtDeviceD0Exit calls when the callback may not meet hardware without power. A stopped queue keeps what it has and
 * takes more; a close ends the stop.
 */
QWI_IRQL_AT_MOST(DISPATCH_LEVEL) VOID QwiStop(_In_ QWI_QUEUE Queue);
QWI_IRQL_AT_MOST(PASSIVE_LEVEL) NTSTATUS QwiStopAndWait(_In_ QWI_QUEUE Queue);
QWI_IRQL_AT_MOST(DISPATCH_LEVEL) VOID QwiStart(_In_ QWI_QUEUE Queue);

/*
 * Closes the queue: no enqueue that begins after this call began succeeds. When it returns, no callback or completion runs
 * or will, every waiter was woken, and every buffer is home. A second close waits as the first does, and QwiCloseCancel
 * escalates a drain that goes on. Cancelled, where it is asked for, is how many items this call dropped.
 * WDF deletes children before it calls their parent's cleanup, so that the place to close a device's queue is
 * EvtDeviceSelfManagedIoCleanup.
 */
QWI_IRQL_AT_MOST(PASSIVE_LEVEL) NTSTATUS
QwiClose(_In_ QWI_QUEUE Queue, _In_ QWI_CLOSE How, _Out_opt_ PULONGLONG Cancelled);

/*
 * Ends the handle, which is not to be used again, by nobody. A queue that was not closed is cancelled, and a callback that
 * runs goes on: this does not wait for it, QwiClose does. Not for the queue's own callbacks.
 */
QWI_IRQL_AT_MOST(PASSIVE_LEVEL) VOID QwiDelete(_In_ QWI_QUEUE Queue);

/* The queue's figures. STATUS_INFO_LENGTH_MISMATCH when Size is not one that this library knows. */
QWI_IRQL_AT_MOST(DISPATCH_LEVEL) NTSTATUS
QwiCountersGet(_In_ QWI_QUEUE Queue, _Inout_ PQWI_COUNTERS Counters);

#ifdef __cplusplus
}
#endif

#endif
