/*
 * What the header promises, held against the library in the kernel.
 *
 * Each test has a queue of its own, `Queue`, whose callback notes what it was given and waits at a gate that tests close.
 * What must be done by another thread, such as a wait that is to be cancelled, is done by one of two helpers, which are
 * queues too. The tests run one at a time, on the thread of the device's queue.
 */
#ifndef C_DRIVER_SELF_TEST_H
#define C_DRIVER_SELF_TEST_H

#include "driver.h"

/* Runs that are noted; more are counted. */
#define RECORDS 2048

/* How long anything may take that must come, and how long nothing may come that must not. */
#define PATIENCE_MS 20000
#define QUIET_MS 30

/* The longest payload of a test's queue. */
#define BUFFER_SIZE 32

/* What the queue's callback is to do; the item's payload begins with it. Shorter payloads are only noted. */
typedef struct _ITEM {
    ULONG Number;
    NTSTATUS Status; /* set by QwiStatusSet, unless it is STATUS_PENDING */
} ITEM;

typedef struct _RECORD {
    ULONG Number;
    ULONG Length;
} RECORD;

/* Something for a helper to do. */
typedef struct _CHORE {
    VOID (*Run)(struct _CHORE *Chore);
    struct _FIXTURE *Fixture;
    ITEM Item;
    ULONG First, Count;
    NTSTATUS Status;
    QWI_OUTCOME Outcome;
    ULONGLONG Cancelled;
    LONG RunsAtEnd;
    KEVENT Done;
} CHORE;

typedef struct _FIXTURE {
    PSELF_TEST_RESULT Result;
    WDFDEVICE Device;
    QWI_QUEUE Queue;
    QWI_QUEUE Helper[2];
    CHORE Chores[2]; /* each helper's: here, since it may outlive a test that fails */

    KEVENT Gate;  /* set: open */
    KEVENT Begun; /* a callback has come to the gate */
    LONG Inside;  /* callbacks that run */
    LONG Overlaps;
    LONG Misaligned;
    LONG Runs;
    LONG Cleanups;
    RECORD Records[RECORDS];

    /* Completions */
    LONG Completions;
    QWI_OUTCOME LastOutcome;
    NTSTATUS LastStatus;
    NTSTATUS EnqueueFromCompletion;
    BOOLEAN EnqueueAgain;

    /* From inside the queue: what the verbs that wait returned. */
    BOOLEAN WaitInside;
    NTSTATUS Inner[4];
} FIXTURE, *PFIXTURE;

/* The test goes on, since it has something to bring to an end. */
#define CHECK(Got, Expected) ((VOID)IsEqual(Fixture, __LINE__, (ULONGLONG)(Got), (ULONGLONG)(Expected)))

/* Ends the test unless both are the same. */
#define EQUAL(Got, Expected)                                                             \
    if (!IsEqual(Fixture, __LINE__, (ULONGLONG)(Got), (ULONGLONG)(Expected))) {          \
        return;                                                                          \
    }                                                                                    \
    ((VOID)0)

/* Whether both are the same; the first failure is the result. */
BOOLEAN IsEqual(PFIXTURE Fixture, ULONG Line, ULONGLONG Got, ULONGLONG Expected);

/* Whether the event was set in time. */
BOOLEAN Wait(PKEVENT Event, ULONG Milliseconds);

/* The callbacks of queues, with the fixture as their context. */
EVT_QWI_WORK EvtWork;
EVT_QWI_REUSE_CLEANUP EvtReuseCleanup;
EVT_QWI_COMPLETION EvtCompleted;

/* Gives a helper its chore, one in a test. What it can be: */
NTSTATUS Begin(PFIXTURE Fixture, ULONG Helper, VOID (*Run)(CHORE *));
VOID Flush(CHORE *Chore);
VOID EnqueueAndWait(CHORE *Chore);
VOID CloseByCancel(CHORE *Chore);
VOID CloseByDrain(CHORE *Chore);
VOID StopAndWait(CHORE *Chore);
VOID Produce(CHORE *Chore); /* numbers from First on; waits for room by flushes */

/* Enqueues an item that leaves its status as it is. */
NTSTATUS Put(PFIXTURE Fixture, ULONG Number);

/* Closes the gate, and puts an item before it; opens it. */
VOID HoldOne(PFIXTURE Fixture);
VOID Open(PFIXTURE Fixture);

VOID Counters(PFIXTURE Fixture, PQWI_COUNTERS Counters);

/* Waits for as many items in the queue as a helper's will make. */
BOOLEAN LengthBecomes(PFIXTURE Fixture, ULONG Length);

/* The tests. */
VOID CreateErrors(PFIXTURE Fixture);
VOID InOrderExactlyOnce(PFIXTURE Fixture);
VOID TwoProducers(PFIXTURE Fixture);
VOID PayloadIsCopied(PFIXTURE Fixture);
VOID EachRunHasItsStatus(PFIXTURE Fixture);
VOID BackToBackWithOneBuffer(PFIXTURE Fixture);
VOID FullIsRefused(PFIXTURE Fixture);
VOID GrowthIsBounded(PFIXTURE Fixture);
VOID TooLongIsRefused(PFIXTURE Fixture);
VOID WaitRunsOutOfTime(PFIXTURE Fixture);
VOID FlushWaits(PFIXTURE Fixture);
VOID CancelDropsAndTells(PFIXTURE Fixture);
VOID CloseCancels(PFIXTURE Fixture);
VOID CloseDrains(PFIXTURE Fixture);
VOID WaitsInsideAreRefused(PFIXTURE Fixture);
VOID StopAndStart(PFIXTURE Fixture);
VOID CompletionComesLast(PFIXTURE Fixture);
VOID EnqueueAtDispatchLevel(PFIXTURE Fixture);
VOID ParentIsDeletedFirst(PFIXTURE Fixture);
VOID DeleteCancels(PFIXTURE Fixture);

#endif
