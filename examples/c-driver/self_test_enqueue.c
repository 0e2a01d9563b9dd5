/* Tests of create and of the verbs that put something in. */
#include "self_test.h"

VOID CreateErrors(PFIXTURE Fixture)
{
    static const WDFFUNC otherTable[WdfFunctionTableNumEntries] = {NULL};
    WDF_DRIVER_GLOBALS otherGlobals;
    QWI_CONFIG good, config;
    QWI_QUEUE queue;

#define REFUSED(Change, Expected)                                        \
    config = good;                                                       \
    config.Change;                                                       \
    queue = (QWI_QUEUE)&config;                                          \
    EQUAL(QwiCreate(Fixture->Device, &config, &queue), Expected);        \
    EQUAL(queue == NULL, TRUE)

    QWI_CONFIG_INIT(&good, EvtWork, 1, BUFFER_SIZE);
    good.Context = Fixture;
    EQUAL(QwiCreate(NULL, &good, &queue), STATUS_INVALID_PARAMETER);
    EQUAL(QwiCreate(Fixture->Device, NULL, &queue), STATUS_INVALID_PARAMETER);
    EQUAL(QwiCreate(Fixture->Device, &good, NULL), STATUS_INVALID_PARAMETER);
    REFUSED(Size = 0, STATUS_INFO_LENGTH_MISMATCH);
    REFUSED(Size = sizeof(config) - 8, STATUS_INFO_LENGTH_MISMATCH);
    REFUSED(Size = sizeof(config) + 8, STATUS_INFO_LENGTH_MISMATCH);
    REFUSED(KmdfVersionMajor = 2, STATUS_REVISION_MISMATCH);
    REFUSED(KmdfVersionMinor = 14, STATUS_REVISION_MISMATCH);
    REFUSED(FunctionCount = WdfFunctionTableNumEntries - 1, STATUS_REVISION_MISMATCH);
    REFUSED(FunctionCount = 0, STATUS_REVISION_MISMATCH);
    REFUSED(Functions = NULL, STATUS_INVALID_PARAMETER);
    REFUSED(DriverGlobals = NULL, STATUS_INVALID_PARAMETER);
    /* An image has one framework, and this one's is known. */
    REFUSED(Functions = otherTable, STATUS_INVALID_PARAMETER);
    REFUSED(DriverGlobals = &otherGlobals, STATUS_INVALID_PARAMETER);
    REFUSED(EvtWork = NULL, STATUS_INVALID_PARAMETER);
    REFUSED(BufferSize = 0, STATUS_INVALID_PARAMETER);
    REFUSED(BufferSize = (size_t)1 << 32, STATUS_INVALID_PARAMETER);
    REFUSED(BufferCount = 0, STATUS_INVALID_PARAMETER);
    REFUSED(BufferCount = 1 << 24, STATUS_INVALID_PARAMETER);
    REFUSED(BufferCount = 2; config.MaxBuffers = 1, STATUS_INVALID_PARAMETER);

    /* A newer framework has the same functions in the same places, and more. */
    config = good;
    config.KmdfVersionMinor = 33;
    config.FunctionCount = 458;
    EQUAL(QwiCreate(Fixture->Device, &config, &queue), STATUS_SUCCESS);
    EQUAL(QwiEnqueueAndWait(queue, NULL, 0, NULL, NULL), STATUS_SUCCESS);
    EQUAL(QwiClose(queue, QwiCloseDrain, NULL), STATUS_SUCCESS);
    QwiDelete(queue);
    EQUAL(Fixture->Runs, 1);
}

VOID InOrderExactlyOnce(PFIXTURE Fixture)
{
    ULONG i;

    /* All of them while one runs, so that they queue up. */
    HoldOne(Fixture);
    for (i = 1; i < 1000; i++) {
        EQUAL(Put(Fixture, i), STATUS_SUCCESS);
    }
    Open(Fixture);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 1000);
    for (i = 0; i < 1000; i++) {
        EQUAL(Fixture->Records[i].Number, i);
    }
}

VOID TwoProducers(PFIXTURE Fixture)
{
    CHORE *chores = Fixture->Chores;
    ULONG i, next[2] = {0, 0};

    for (i = 0; i < 2; i++) {
        chores[i].First = i * 100000;
        chores[i].Count = RECORDS / 2;
    }
    EQUAL(Begin(Fixture, 0, Produce), STATUS_SUCCESS);
    EQUAL(Begin(Fixture, 1, Produce), STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Helper[0]), STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Helper[1]), STATUS_SUCCESS);
    EQUAL(chores[0].Status, STATUS_SUCCESS);
    EQUAL(chores[1].Status, STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, RECORDS);
    for (i = 0; i < RECORDS; i++) {
        ULONG number = Fixture->Records[i].Number;
        ULONG producer = number >= 100000;

        EQUAL(number, producer * 100000 + next[producer]);
        next[producer]++;
    }
}

VOID PayloadIsCopied(PFIXTURE Fixture)
{
    UCHAR bytes[BUFFER_SIZE];
    ITEM item = {7, STATUS_PENDING};

    HoldOne(Fixture);
    EQUAL(QwiEnqueue(Fixture->Queue, &item, sizeof(item)), STATUS_SUCCESS);
    item.Number = 8;
    EQUAL(QwiEnqueue(Fixture->Queue, NULL, 0), STATUS_SUCCESS);
    EQUAL(QwiEnqueue(Fixture->Queue, &item, 1), STATUS_SUCCESS);
    RtlFillMemory(bytes, sizeof(bytes), 0x5A);
    ((ITEM *)bytes)->Status = STATUS_PENDING;
    EQUAL(QwiEnqueue(Fixture->Queue, bytes, sizeof(bytes)), STATUS_SUCCESS);
    Open(Fixture);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Records[1].Number, 7);
    EQUAL(Fixture->Records[1].Length, sizeof(item));
    EQUAL(Fixture->Records[2].Length, 0);
    EQUAL(Fixture->Records[3].Length, 1);
    EQUAL(Fixture->Records[4].Number, 0x5A5A5A5A);
    EQUAL(Fixture->Records[4].Length, BUFFER_SIZE);
}

VOID EachRunHasItsStatus(PFIXTURE Fixture)
{
    static const NTSTATUS statuses[] = {
        STATUS_SUCCESS, STATUS_TIMEOUT, STATUS_CANCELLED, STATUS_OBJECT_NAME_EXISTS, STATUS_BUFFER_OVERFLOW,
        STATUS_ACCESS_DENIED, STATUS_INSUFFICIENT_RESOURCES,
    };
    QWI_OUTCOME outcome;
    ITEM item;
    ULONG i;

    for (i = 0; i < RTL_NUMBER_OF(statuses); i++) {
        item.Number = i;
        item.Status = statuses[i];
        outcome = QwiOutcomeRefused;
        EQUAL(QwiEnqueueAndWait(Fixture->Queue, &item, sizeof(item), NULL, &outcome), statuses[i]);
        EQUAL(outcome, QwiOutcomeRan);
        /* None set, in the same buffers: not the one before. */
        EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, NULL, &outcome), STATUS_SUCCESS);
        EQUAL(outcome, QwiOutcomeRan);
    }
}

VOID BackToBackWithOneBuffer(PFIXTURE Fixture)
{
    ULONG i;

    for (i = 0; i < 500; i++) {
        ITEM item = {i, STATUS_PENDING};

        EQUAL(QwiEnqueueAndWait(Fixture->Queue, &item, sizeof(item), NULL, NULL), STATUS_SUCCESS);
    }
    EQUAL(Fixture->Runs, 500);
}

VOID FullIsRefused(PFIXTURE Fixture)
{
    QWI_COUNTERS counters;
    QWI_OUTCOME outcome = QwiOutcomeRan;

    HoldOne(Fixture);
    EQUAL(Put(Fixture, 1), STATUS_SUCCESS);
    EQUAL(Put(Fixture, 2), STATUS_SUCCESS);
    EQUAL(Put(Fixture, 3), STATUS_INSUFFICIENT_RESOURCES);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, NULL, &outcome), STATUS_INSUFFICIENT_RESOURCES);
    EQUAL(outcome, QwiOutcomeRefused);
    EQUAL(QwiEnqueueWithCompletion(Fixture->Queue, NULL, 0, EvtCompleted, Fixture), STATUS_INSUFFICIENT_RESOURCES);
    Open(Fixture);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 3);
    EQUAL(Fixture->Records[2].Number, 2);
    EQUAL(Fixture->Completions, 0);
    EQUAL(Put(Fixture, 4), STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 4);
    Counters(Fixture, &counters);
    EQUAL(counters.RefusedFull, 3);
    EQUAL(counters.Enqueued, 4);
    EQUAL(counters.Executed, 4);
    EQUAL(counters.Length, 0);
    EQUAL(counters.Capacity, 3);
    EQUAL(counters.HighWaterMark, 3);
    counters.Size--;
    EQUAL(QwiCountersGet(Fixture->Queue, &counters), STATUS_INFO_LENGTH_MISMATCH);
}

VOID GrowthIsBounded(PFIXTURE Fixture)
{
    QWI_CONFIG config;
    QWI_QUEUE queue;
    ULONG i;

    QWI_CONFIG_INIT(&config, EvtWork, 1, BUFFER_SIZE);
    config.MaxBuffers = 4;
    config.Context = Fixture;
    KeClearEvent(&Fixture->Gate);
    EQUAL(QwiCreate(Fixture->Device, &config, &queue), STATUS_SUCCESS);
    for (i = 0; i < 4; i++) {
        CHECK(QwiEnqueue(queue, &i, sizeof(i)), STATUS_SUCCESS);
    }
    CHECK(QwiEnqueue(queue, &i, sizeof(i)), STATUS_INSUFFICIENT_RESOURCES);
    Open(Fixture);
    (VOID)QwiClose(queue, QwiCloseDrain, NULL);
    QwiDelete(queue);
    EQUAL(Fixture->Runs, 4);
}

VOID TooLongIsRefused(PFIXTURE Fixture)
{
    UCHAR bytes[BUFFER_SIZE + 1] = {0};
    ULONG i;

    for (i = 0; i < 30; i++) {
        EQUAL(QwiEnqueue(Fixture->Queue, bytes, sizeof(bytes)), STATUS_INVALID_BUFFER_SIZE);
        EQUAL(QwiEnqueueAndWait(Fixture->Queue, bytes, sizeof(bytes), NULL, NULL), STATUS_INVALID_BUFFER_SIZE);
        EQUAL(QwiEnqueueWithCompletion(Fixture->Queue, bytes, sizeof(bytes), EvtCompleted, Fixture),
              STATUS_INVALID_BUFFER_SIZE);
    }
    EQUAL(QwiEnqueue(Fixture->Queue, bytes, (size_t)-1), STATUS_INVALID_BUFFER_SIZE);
    EQUAL(QwiEnqueue(Fixture->Queue, NULL, 1), STATUS_INVALID_BUFFER_SIZE);
    /* No buffer was lost by it. */
    HoldOne(Fixture);
    EQUAL(Put(Fixture, 1), STATUS_SUCCESS);
    EQUAL(Put(Fixture, 2), STATUS_SUCCESS);
    Open(Fixture);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 3);
    EQUAL(Fixture->Completions, 0);
}

VOID EnqueueAtDispatchLevel(PFIXTURE Fixture)
{
    QWI_COUNTERS counters;
    NTSTATUS statuses[3];
    KIRQL old;

    KeRaiseIrql(DISPATCH_LEVEL, &old);
    statuses[0] = Put(Fixture, 0);
    statuses[1] = QwiEnqueueWithCompletion(Fixture->Queue, NULL, 0, EvtCompleted, Fixture);
    QwiStop(Fixture->Queue);
    QwiStart(Fixture->Queue);
    QWI_COUNTERS_INIT(&counters);
    statuses[2] = QwiCountersGet(Fixture->Queue, &counters);
    KeLowerIrql(old);
    EQUAL(statuses[0], STATUS_SUCCESS);
    EQUAL(statuses[1], STATUS_SUCCESS);
    EQUAL(statuses[2], STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 2);
    EQUAL(Fixture->Completions, 1);
}
