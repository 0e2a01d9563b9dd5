/* Tests of the verbs that wait, drop, stop and end. */
#include "self_test.h"

VOID WaitRunsOutOfTime(PFIXTURE Fixture)
{
    LONGLONG timeout = WDF_REL_TIMEOUT_IN_MS(QUIET_MS), now = 0, date = 1;
    QWI_OUTCOME outcome = QwiOutcomeRan;
    ITEM item = {1, STATUS_ACCESS_DENIED};

    HoldOne(Fixture);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, &item, sizeof(item), &timeout, &outcome), STATUS_TIMEOUT);
    EQUAL(outcome, QwiOutcomeTimedOut);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, &item, sizeof(item), &now, &outcome), STATUS_TIMEOUT);
    EQUAL(outcome, QwiOutcomeTimedOut);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, &item, sizeof(item), &date, &outcome), STATUS_INVALID_PARAMETER);
    EQUAL(outcome, QwiOutcomeRefused);
    Open(Fixture);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    /* All that were accepted ran, once. */
    EQUAL(Fixture->Runs, 3);
    /* In time. */
    timeout = WDF_REL_TIMEOUT_IN_MS(PATIENCE_MS);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, &item, sizeof(item), &timeout, &outcome), STATUS_ACCESS_DENIED);
    EQUAL(outcome, QwiOutcomeRan);
}

VOID FlushWaits(PFIXTURE Fixture)
{
    CHORE *chore = &Fixture->Chores[0];

    HoldOne(Fixture);
    EQUAL(Put(Fixture, 1), STATUS_SUCCESS);
    EQUAL(Put(Fixture, 2), STATUS_SUCCESS);
    EQUAL(Begin(Fixture, 0, Flush), STATUS_SUCCESS);
    CHECK(Wait(&chore->Done, QUIET_MS), FALSE);
    Open(Fixture);
    (VOID)QwiFlush(Fixture->Helper[0]);
    EQUAL(chore->Status, STATUS_SUCCESS);
    EQUAL(chore->RunsAtEnd, 3);
    /* It stays usable. */
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, NULL, NULL), STATUS_SUCCESS);
}

VOID CancelDropsAndTells(PFIXTURE Fixture)
{
    CHORE *chore = &Fixture->Chores[0];
    QWI_COUNTERS counters;

    HoldOne(Fixture);
    EQUAL(Put(Fixture, 1), STATUS_SUCCESS);
    EQUAL(QwiEnqueueWithCompletion(Fixture->Queue, NULL, 0, EvtCompleted, Fixture), STATUS_SUCCESS);
    EQUAL(Begin(Fixture, 0, EnqueueAndWait), STATUS_SUCCESS);
    CHECK(LengthBecomes(Fixture, 4), TRUE);
    CHECK(QwiCancel(Fixture->Queue), 3);
    /* The waiter is told while the first still runs. */
    EQUAL(Wait(&chore->Done, PATIENCE_MS), TRUE);
    EQUAL(chore->Status, STATUS_CANCELLED);
    EQUAL(chore->Outcome, QwiOutcomeCancelled);
    EQUAL(Fixture->Completions, 1);
    EQUAL(Fixture->LastOutcome, QwiOutcomeCancelled);
    EQUAL(Fixture->LastStatus, STATUS_CANCELLED);
    EQUAL(QwiCancel(Fixture->Queue), 0);
    Open(Fixture);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 1);
    Counters(Fixture, &counters);
    EQUAL(counters.Cancelled, 3);
    EQUAL(Fixture->Cleanups, 4);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, NULL, NULL), STATUS_SUCCESS);
}

VOID CloseCancels(PFIXTURE Fixture)
{
    CHORE *waiter = &Fixture->Chores[0], *closer = &Fixture->Chores[1];
    QWI_OUTCOME outcome = QwiOutcomeRan;

    HoldOne(Fixture);
    EQUAL(Begin(Fixture, 0, EnqueueAndWait), STATUS_SUCCESS);
    CHECK(LengthBecomes(Fixture, 2), TRUE);
    CHECK(Begin(Fixture, 1, CloseByCancel), STATUS_SUCCESS);
    /* The waiter is woken though the first still runs; the close waits for that one. */
    CHECK(Wait(&waiter->Done, PATIENCE_MS), TRUE);
    CHECK(Wait(&closer->Done, QUIET_MS), FALSE);
    Open(Fixture);
    (VOID)QwiFlush(Fixture->Helper[1]);
    (VOID)QwiFlush(Fixture->Helper[0]);
    EQUAL(waiter->Status, STATUS_CANCELLED);
    EQUAL(waiter->Outcome, QwiOutcomeCancelled);
    EQUAL(closer->Status, STATUS_SUCCESS);
    EQUAL(closer->Cancelled, 1);
    EQUAL(closer->RunsAtEnd, 1);
    EQUAL(Put(Fixture, 1), STATUS_DELETE_PENDING);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, NULL, &outcome), STATUS_DELETE_PENDING);
    EQUAL(outcome, QwiOutcomeRefused);
    EQUAL(QwiClose(Fixture->Queue, QwiCloseDrain, NULL), STATUS_SUCCESS);
    EQUAL(QwiClose(Fixture->Queue, (QWI_CLOSE)2, NULL), STATUS_INVALID_PARAMETER);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 1);
    EQUAL(Fixture->Cleanups, 2);
}

VOID CloseDrains(PFIXTURE Fixture)
{
    CHORE *closer = &Fixture->Chores[0];

    HoldOne(Fixture);
    EQUAL(Put(Fixture, 1), STATUS_SUCCESS);
    EQUAL(Put(Fixture, 2), STATUS_SUCCESS);
    EQUAL(Begin(Fixture, 0, CloseByDrain), STATUS_SUCCESS);
    CHECK(Wait(&closer->Done, QUIET_MS), FALSE);
    Open(Fixture);
    (VOID)QwiFlush(Fixture->Helper[0]);
    EQUAL(closer->Status, STATUS_SUCCESS);
    EQUAL(closer->Cancelled, 0);
    EQUAL(closer->RunsAtEnd, 3);
    EQUAL(Put(Fixture, 3), STATUS_DELETE_PENDING);
}

VOID WaitsInsideAreRefused(PFIXTURE Fixture)
{
    ULONG i;

    Fixture->WaitInside = TRUE;
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, NULL, NULL), STATUS_SUCCESS);
    for (i = 0; i < RTL_NUMBER_OF(Fixture->Inner); i++) {
        EQUAL(Fixture->Inner[i], STATUS_POSSIBLE_DEADLOCK);
    }
    EQUAL(Fixture->Runs, 1);
}

VOID StopAndStart(PFIXTURE Fixture)
{
    LONGLONG timeout = WDF_REL_TIMEOUT_IN_MS(QUIET_MS);
    CHORE *chore = &Fixture->Chores[0];

    QwiStop(Fixture->Queue);
    EQUAL(Put(Fixture, 0), STATUS_SUCCESS);
    EQUAL(QwiEnqueueAndWait(Fixture->Queue, NULL, 0, &timeout, NULL), STATUS_TIMEOUT);
    EQUAL(Fixture->Runs, 0);
    QwiStart(Fixture->Queue);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 2);
    /* It waits for the one that runs, and not for the next. */
    HoldOne(Fixture);
    EQUAL(Put(Fixture, 1), STATUS_SUCCESS);
    EQUAL(Begin(Fixture, 0, StopAndWait), STATUS_SUCCESS);
    CHECK(Wait(&chore->Done, QUIET_MS), FALSE);
    Open(Fixture);
    (VOID)QwiFlush(Fixture->Helper[0]);
    EQUAL(chore->Status, STATUS_SUCCESS);
    EQUAL(chore->RunsAtEnd, 3);
    EQUAL(Fixture->Runs, 3);
    QwiStart(Fixture->Queue);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 4);
}

VOID CompletionComesLast(PFIXTURE Fixture)
{
    ITEM item = {1, STATUS_ACCESS_DENIED};

    EQUAL(QwiEnqueueWithCompletion(Fixture->Queue, &item, sizeof(item), NULL, NULL), STATUS_INVALID_PARAMETER);
    /* There is one buffer, which is home when the completion is called. */
    Fixture->EnqueueAgain = TRUE;
    Fixture->EnqueueFromCompletion = STATUS_PENDING;
    EQUAL(QwiEnqueueWithCompletion(Fixture->Queue, &item, sizeof(item), EvtCompleted, Fixture), STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Completions, 1);
    EQUAL(Fixture->LastOutcome, QwiOutcomeRan);
    EQUAL(Fixture->LastStatus, STATUS_ACCESS_DENIED);
    EQUAL(Fixture->EnqueueFromCompletion, STATUS_SUCCESS);
    EQUAL(QwiFlush(Fixture->Queue), STATUS_SUCCESS);
    EQUAL(Fixture->Runs, 2);
    EQUAL(Fixture->Completions, 1);
    EQUAL(Fixture->Cleanups, 2);
}

VOID ParentIsDeletedFirst(PFIXTURE Fixture)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    QWI_CONFIG config;
    QWI_QUEUE queue;
    WDFOBJECT parent;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Fixture->Device;
    EQUAL(WdfObjectCreate(&attributes, &parent), STATUS_SUCCESS);
    QWI_CONFIG_INIT(&config, EvtWork, 3, BUFFER_SIZE);
    config.Context = Fixture;
    EQUAL(QwiCreate(parent, &config, &queue), STATUS_SUCCESS);
    EQUAL(QwiEnqueueAndWait(queue, NULL, 0, NULL, NULL), STATUS_SUCCESS);
    QwiStop(queue);
    EQUAL(QwiEnqueueWithCompletion(queue, NULL, 0, EvtCompleted, Fixture), STATUS_SUCCESS);
    WdfObjectDelete(parent);
    EQUAL(Fixture->Completions, 1);
    EQUAL(Fixture->LastStatus, STATUS_CANCELLED);
    EQUAL(QwiEnqueue(queue, NULL, 0), STATUS_DELETE_PENDING);
    EQUAL(QwiClose(queue, QwiCloseDrain, NULL), STATUS_SUCCESS);
    QwiDelete(queue);
    EQUAL(Fixture->Runs, 1);
}

VOID DeleteCancels(PFIXTURE Fixture)
{
    QWI_CONFIG config;
    QWI_QUEUE queue;

    QWI_CONFIG_INIT(&config, EvtWork, 3, BUFFER_SIZE);
    config.EvtReuseCleanup = EvtReuseCleanup;
    config.Context = Fixture;
    EQUAL(QwiCreate(Fixture->Device, &config, &queue), STATUS_SUCCESS);
    QwiStop(queue);
    EQUAL(QwiEnqueueWithCompletion(queue, NULL, 0, EvtCompleted, Fixture), STATUS_SUCCESS);
    QwiDelete(queue);
    EQUAL(Fixture->Completions, 1);
    EQUAL(Fixture->LastOutcome, QwiOutcomeCancelled);
    EQUAL(Fixture->Runs, 0);
    EQUAL(Fixture->Cleanups, 1);
}
