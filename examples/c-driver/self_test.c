/* The fixture of the tests, and the table of them all. */
#include "self_test.h"

#define TAG 'tiwQ'

BOOLEAN IsEqual(PFIXTURE Fixture, ULONG Line, ULONGLONG Got, ULONGLONG Expected)
{
    if (Got == Expected) {
        return TRUE;
    }
    if (Fixture->Result->Line == 0) {
        Fixture->Result->Line = Line;
        Fixture->Result->Got = Got;
        Fixture->Result->Expected = Expected;
    }
    return FALSE;
}

BOOLEAN Wait(PKEVENT Event, ULONG Milliseconds)
{
    LARGE_INTEGER timeout;

    timeout.QuadPart = WDF_REL_TIMEOUT_IN_MS(Milliseconds);
    return KeWaitForSingleObject(Event, Executive, KernelMode, FALSE, &timeout) == STATUS_SUCCESS;
}

/* ---- The callbacks ---- */

VOID EvtWork(QWI_ITEM Item, PVOID Buffer, size_t Length, PVOID Context)
{
    PFIXTURE fixture = (PFIXTURE)Context;
    const ITEM *item = (const ITEM *)Buffer;
    LONG run;

    if (InterlockedIncrement(&fixture->Inside) != 1) {
        InterlockedIncrement(&fixture->Overlaps);
    }
    if (((ULONG_PTR)Buffer & 15) != 0) {
        InterlockedIncrement(&fixture->Misaligned);
    }
    run = fixture->Runs;
    if (run < RECORDS) {
        fixture->Records[run].Number = Length >= sizeof(ULONG) ? item->Number : 0;
        fixture->Records[run].Length = (ULONG)Length;
    }
    if (Length >= sizeof(ITEM) && item->Status != STATUS_PENDING) {
        /* The last one counts. */
        QwiStatusSet(Item, STATUS_UNSUCCESSFUL);
        QwiStatusSet(Item, item->Status);
    }
    if (fixture->WaitInside) {
        fixture->Inner[0] = QwiFlush(fixture->Queue);
        fixture->Inner[1] = QwiClose(fixture->Queue, QwiCloseCancel, NULL);
        fixture->Inner[2] = QwiEnqueueAndWait(fixture->Queue, NULL, 0, NULL, NULL);
        fixture->Inner[3] = QwiStopAndWait(fixture->Queue);
    }
    KeSetEvent(&fixture->Begun, IO_NO_INCREMENT, FALSE);
    (VOID)KeWaitForSingleObject(&fixture->Gate, Executive, KernelMode, FALSE, NULL);
    InterlockedIncrement(&fixture->Runs);
    InterlockedDecrement(&fixture->Inside);
}

VOID EvtReuseCleanup(PVOID Buffer, size_t Length, PVOID Context)
{
    PFIXTURE fixture = (PFIXTURE)Context;

    UNREFERENCED_PARAMETER(Buffer);
    UNREFERENCED_PARAMETER(Length);
    InterlockedIncrement(&fixture->Cleanups);
}

VOID EvtCompleted(QWI_OUTCOME Outcome, NTSTATUS Status, PVOID Context)
{
    PFIXTURE fixture = (PFIXTURE)Context;

    fixture->LastOutcome = Outcome;
    fixture->LastStatus = Status;
    if (fixture->EnqueueAgain) {
        fixture->EnqueueFromCompletion = QwiEnqueue(fixture->Queue, NULL, 0);
    }
    InterlockedIncrement(&fixture->Completions);
}

static VOID EvtHelp(QWI_ITEM Item, PVOID Buffer, size_t Length, PVOID Context)
{
    CHORE *chore = *(CHORE **)Buffer;

    UNREFERENCED_PARAMETER(Item);
    UNREFERENCED_PARAMETER(Length);
    UNREFERENCED_PARAMETER(Context);
    chore->Run(chore);
    chore->RunsAtEnd = chore->Fixture->Runs;
    KeSetEvent(&chore->Done, IO_NO_INCREMENT, FALSE);
}

/* ---- What helpers do ---- */

VOID Flush(CHORE *Chore)
{
    Chore->Status = QwiFlush(Chore->Fixture->Queue);
}

VOID EnqueueAndWait(CHORE *Chore)
{
    Chore->Status =
        QwiEnqueueAndWait(Chore->Fixture->Queue, &Chore->Item, sizeof(Chore->Item), NULL, &Chore->Outcome);
}

VOID CloseByCancel(CHORE *Chore)
{
    Chore->Status = QwiClose(Chore->Fixture->Queue, QwiCloseCancel, &Chore->Cancelled);
}

VOID CloseByDrain(CHORE *Chore)
{
    Chore->Status = QwiClose(Chore->Fixture->Queue, QwiCloseDrain, &Chore->Cancelled);
}

VOID StopAndWait(CHORE *Chore)
{
    Chore->Status = QwiStopAndWait(Chore->Fixture->Queue);
}

VOID Produce(CHORE *Chore)
{
    ULONG i;

    for (i = 0; i < Chore->Count; i++) {
        ITEM item = {Chore->First + i, STATUS_PENDING};
        NTSTATUS status;

        while ((status = QwiEnqueue(Chore->Fixture->Queue, &item, sizeof(item))) == STATUS_INSUFFICIENT_RESOURCES) {
            (VOID)QwiFlush(Chore->Fixture->Queue);
        }
        if (!NT_SUCCESS(status)) {
            Chore->Status = status;
            return;
        }
    }
}

NTSTATUS Begin(PFIXTURE Fixture, ULONG Helper, VOID (*Run)(CHORE *))
{
    CHORE *chore = &Fixture->Chores[Helper];

    chore->Run = Run;
    return QwiEnqueue(Fixture->Helper[Helper], &chore, sizeof(chore));
}

/* ---- What tests share ---- */

NTSTATUS Put(PFIXTURE Fixture, ULONG Number)
{
    ITEM item = {Number, STATUS_PENDING};

    return QwiEnqueue(Fixture->Queue, &item, sizeof(item));
}

VOID HoldOne(PFIXTURE Fixture)
{
    KeClearEvent(&Fixture->Begun);
    KeClearEvent(&Fixture->Gate);
    EQUAL(Put(Fixture, 0), STATUS_SUCCESS);
    EQUAL(Wait(&Fixture->Begun, PATIENCE_MS), TRUE);
}

VOID Open(PFIXTURE Fixture)
{
    KeSetEvent(&Fixture->Gate, IO_NO_INCREMENT, FALSE);
}

VOID Counters(PFIXTURE Fixture, PQWI_COUNTERS Counters)
{
    QWI_COUNTERS_INIT(Counters);
    EQUAL(QwiCountersGet(Fixture->Queue, Counters), STATUS_SUCCESS);
}

/* There is no event for it. */
BOOLEAN LengthBecomes(PFIXTURE Fixture, ULONG Length)
{
    LARGE_INTEGER moment;
    QWI_COUNTERS counters;
    ULONG tries;

    moment.QuadPart = WDF_REL_TIMEOUT_IN_MS(1);
    for (tries = 0; tries < PATIENCE_MS; tries++) {
        Counters(Fixture, &counters);
        if (counters.Length == Length) {
            return TRUE;
        }
        (VOID)KeDelayExecutionThread(KernelMode, FALSE, &moment);
    }
    return FALSE;
}

/* ---- The table ---- */

static const struct {
    VOID (*Run)(PFIXTURE Fixture);
    const CHAR *Name;
    ULONG BufferCount;
} Tests[] = {
    {CreateErrors, "create_errors", 1},
    {InOrderExactlyOnce, "in_order_exactly_once", 1000},
    {TwoProducers, "two_producers", 16},
    {PayloadIsCopied, "payload_is_copied", 5},
    {EachRunHasItsStatus, "each_run_has_its_status", 2},
    {BackToBackWithOneBuffer, "back_to_back_with_one_buffer", 1},
    {FullIsRefused, "full_is_refused", 3},
    {GrowthIsBounded, "growth_is_bounded", 1},
    {TooLongIsRefused, "too_long_is_refused", 3},
    {WaitRunsOutOfTime, "wait_runs_out_of_time", 4},
    {FlushWaits, "flush_waits", 3},
    {CancelDropsAndTells, "cancel_drops_and_tells", 4},
    {CloseCancels, "close_cancels", 3},
    {CloseDrains, "close_drains", 3},
    {WaitsInsideAreRefused, "waits_inside_are_refused", 2},
    {StopAndStart, "stop_and_start", 3},
    {CompletionComesLast, "completion_comes_last", 1},
    {EnqueueAtDispatchLevel, "enqueue_at_dispatch_level", 2},
    {ParentIsDeletedFirst, "parent_is_deleted_first", 1},
    {DeleteCancels, "delete_cancels", 1},
};

static NTSTATUS SetUp(PFIXTURE Fixture, ULONG BufferCount)
{
    QWI_CONFIG config;
    NTSTATUS status;
    ULONG i;

    KeInitializeEvent(&Fixture->Gate, NotificationEvent, TRUE);
    KeInitializeEvent(&Fixture->Begun, NotificationEvent, FALSE);
    QWI_CONFIG_INIT(&config, EvtWork, BufferCount, BUFFER_SIZE);
    config.EvtReuseCleanup = EvtReuseCleanup;
    config.Context = Fixture;
    status = QwiCreate(Fixture->Device, &config, &Fixture->Queue);
    for (i = 0; NT_SUCCESS(status) && i < RTL_NUMBER_OF(Fixture->Helper); i++) {
        Fixture->Chores[i].Fixture = Fixture;
        KeInitializeEvent(&Fixture->Chores[i].Done, NotificationEvent, FALSE);
        QWI_CONFIG_INIT(&config, EvtHelp, 1, sizeof(CHORE *));
        status = QwiCreate(Fixture->Device, &config, &Fixture->Helper[i]);
    }
    return status;
}

/* Whatever a test left: helpers end first, for which the gate must be open and the queue must go. */
static VOID TearDown(PFIXTURE Fixture)
{
    ULONG i;

    Open(Fixture);
    if (Fixture->Queue != NULL) {
        (VOID)QwiClose(Fixture->Queue, QwiCloseCancel, NULL);
    }
    for (i = 0; i < RTL_NUMBER_OF(Fixture->Helper); i++) {
        if (Fixture->Helper[i] != NULL) {
            (VOID)QwiClose(Fixture->Helper[i], QwiCloseDrain, NULL);
            QwiDelete(Fixture->Helper[i]);
        }
    }
    if (Fixture->Queue != NULL) {
        QwiDelete(Fixture->Queue);
    }
}

NTSTATUS SelfTestRun(WDFDEVICE Device, ULONG Number, PSELF_TEST_RESULT Result)
{
    PFIXTURE fixture;
    NTSTATUS status;
    ULONG i;

    RtlZeroMemory(Result, sizeof(*Result));
    if (Number >= RTL_NUMBER_OF(Tests)) {
        return STATUS_NO_MORE_ENTRIES;
    }
    for (i = 0; Tests[Number].Name[i] != 0 && i < sizeof(Result->Name) - 1; i++) {
        Result->Name[i] = Tests[Number].Name[i];
    }
    fixture = (PFIXTURE)ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*fixture), TAG);
    if (fixture == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    fixture->Result = Result;
    fixture->Device = Device;
    status = SetUp(fixture, Tests[Number].BufferCount);
    if (NT_SUCCESS(status)) {
        Tests[Number].Run(fixture);
        (VOID)IsEqual(fixture, __LINE__, (ULONG)fixture->Overlaps, 0);
        (VOID)IsEqual(fixture, __LINE__, (ULONG)fixture->Misaligned, 0);
    }
    TearDown(fixture);
    ExFreePoolWithTag(fixture, TAG);
    return status;
}
