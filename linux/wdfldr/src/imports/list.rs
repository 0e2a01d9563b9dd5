//! The published list of patched imports, by what is the matter with Wine 8's.
//!
//! | why | imports |
//! |---|---|
//! | absent: calling it ends the process | see the entries under *absent* |
//! | fake: it answers but does not do it | see *fake* |
//! | counted: pool that is looked for at unload, and that can be made to fail | see *counted* |
//! | checked: Wine's own, behind a check of the IRQL | see *checked* |

use super::{Import, alloc_pool, dpc, etw, guard, locks, misc, rundown, timer, wait, work};

macro_rules! imports {
    ($($name:ident = $function:path;)*) => {
        &[$(Import { name: stringify!($name), function: $function as *const (), original: None },)*]
    };
}

/// Counted, or absent: pool.
const POOL: &[Import] = imports! {
    // absent
    ExAllocatePool2 = alloc_pool::ExAllocatePool2;
    ExAllocatePool3 = alloc_pool::ExAllocatePool3;
    ExFreePool2 = alloc_pool::ExFreePool2;
    ExInitializeLookasideListEx = alloc_pool::ExInitializeLookasideListEx;
    ExDeleteLookasideListEx = alloc_pool::ExDeleteLookasideListEx;
    ExFlushLookasideListEx = alloc_pool::ExFlushLookasideListEx;
    // counted
    ExAllocatePool = alloc_pool::ExAllocatePool;
    ExAllocatePoolWithTag = alloc_pool::ExAllocatePoolWithTag;
    ExAllocatePoolWithTagPriority = alloc_pool::ExAllocatePoolWithTag;
    ExAllocatePoolWithQuotaTag = alloc_pool::ExAllocatePoolWithTag;
    ExFreePool = alloc_pool::ExFreePool;
    ExFreePoolWithTag = alloc_pool::ExFreePoolWithTag;
    ExInitializeNPagedLookasideList = alloc_pool::ExInitializeNPagedLookasideList;
    ExInitializePagedLookasideList = alloc_pool::ExInitializePagedLookasideList;
};

/// Fake, or absent: IRQL and spin locks.
const LOCKS: &[Import] = imports! {
    // absent
    KeGetCurrentIrql = locks::KeGetCurrentIrql;
    KeRaiseIrqlToDpcLevel = locks::KeRaiseIrqlToDpcLevel;
    KeTryToAcquireSpinLockAtDpcLevel = locks::KeTryToAcquireSpinLockAtDpcLevel;
    KeTestSpinLock = locks::KeTestSpinLock;
    ExAcquireSpinLockExclusive = locks::ExAcquireSpinLockExclusive;
    ExAcquireSpinLockExclusiveAtDpcLevel = locks::ExAcquireSpinLockExclusiveAtDpcLevel;
    ExAcquireSpinLockShared = locks::ExAcquireSpinLockShared;
    ExAcquireSpinLockSharedAtDpcLevel = locks::ExAcquireSpinLockSharedAtDpcLevel;
    ExReleaseSpinLockExclusive = locks::ExReleaseSpinLockExclusive;
    ExReleaseSpinLockExclusiveFromDpcLevel = locks::ExReleaseSpinLockExclusiveFromDpcLevel;
    ExReleaseSpinLockShared = locks::ExReleaseSpinLockShared;
    ExReleaseSpinLockSharedFromDpcLevel = locks::ExReleaseSpinLockSharedFromDpcLevel;
    // fake
    KfRaiseIrql = locks::KfRaiseIrql;
    KeLowerIrql = locks::KeLowerIrql;
    KeAcquireSpinLockRaiseToDpc = locks::KeAcquireSpinLockRaiseToDpc;
    KeReleaseSpinLock = locks::KeReleaseSpinLock;
    KeAcquireSpinLockAtDpcLevel = locks::KeAcquireSpinLockAtDpcLevel;
    KeReleaseSpinLockFromDpcLevel = locks::KeReleaseSpinLockFromDpcLevel;
    KeAcquireInStackQueuedSpinLock = locks::KeAcquireInStackQueuedSpinLock;
    KeAcquireInStackQueuedSpinLockAtDpcLevel = locks::KeAcquireInStackQueuedSpinLockAtDpcLevel;
    KeReleaseInStackQueuedSpinLock = locks::KeReleaseInStackQueuedSpinLock;
    KeReleaseInStackQueuedSpinLockFromDpcLevel = locks::KeReleaseInStackQueuedSpinLockFromDpcLevel;
};

/// Fake, or absent: DPCs, timers, work items, rundown protection, clocks and the rest.
const OTHERS: &[Import] = imports! {
    // fake
    KeInitializeDpc = dpc::KeInitializeDpc;
    KeInitializeThreadedDpc = dpc::KeInitializeDpc;
    KeInsertQueueDpc = dpc::KeInsertQueueDpc;
    KeRemoveQueueDpc = dpc::KeRemoveQueueDpc;
    KeFlushQueuedDpcs = dpc::KeFlushQueuedDpcs;
    PsGetCurrentThreadId = misc::PsGetCurrentThreadId;
    KeBugCheck = misc::KeBugCheck;
    KeBugCheckEx = misc::KeBugCheckEx;
    // absent
    EtwRegister = etw::EtwRegister;
    EtwUnregister = etw::EtwUnregister;
    EtwSetInformation = etw::EtwSetInformation;
    EtwWriteTransfer = etw::EtwWriteTransfer;
    KeSetCoalescableTimer = timer::KeSetCoalescableTimer;
    ExAllocateTimer = timer::ExAllocateTimer;
    ExSetTimer = timer::ExSetTimer;
    ExCancelTimer = timer::ExCancelTimer;
    ExDeleteTimer = timer::ExDeleteTimer;
    KeQuerySystemTimePrecise = misc::KeQuerySystemTimePrecise;
    KeQueryInterruptTimePrecise = misc::KeQueryInterruptTimePrecise;
    KeQueryUnbiasedInterruptTime = misc::KeQueryUnbiasedInterruptTime;
    ExGetPreviousMode = misc::ExGetPreviousMode;
    ExInitializeRundownProtection = rundown::ExInitializeRundownProtection;
    ExReInitializeRundownProtection = rundown::ExInitializeRundownProtection;
    ExAcquireRundownProtection = rundown::ExAcquireRundownProtection;
    ExAcquireRundownProtectionEx = rundown::ExAcquireRundownProtectionEx;
    ExReleaseRundownProtection = rundown::ExReleaseRundownProtection;
    ExReleaseRundownProtectionEx = rundown::ExReleaseRundownProtectionEx;
    ExWaitForRundownProtectionRelease = rundown::ExWaitForRundownProtectionRelease;
    ExRundownCompleted = rundown::ExRundownCompleted;
    ExQueueWorkItem = work::ExQueueWorkItem;
    IoAllocateWorkItem = work::IoAllocateWorkItem;
    IoFreeWorkItem = work::IoFreeWorkItem;
    IoSizeofWorkItem = work::IoSizeofWorkItem;
    IoInitializeWorkItem = work::IoInitializeWorkItem;
    IoUninitializeWorkItem = work::IoUninitializeWorkItem;
    IoQueueWorkItem = work::IoQueueWorkItem;
    IoQueueWorkItemEx = work::IoQueueWorkItemEx;
    // checked
    KeWaitForSingleObject = wait::KeWaitForSingleObject;
    KeWaitForMutexObject = wait::KeWaitForSingleObject;
    KeWaitForMultipleObjects = wait::KeWaitForMultipleObjects;
};

/// The patched import of this name.
pub(super) fn find(name: &str) -> Option<&'static Import> {
    [POOL, LOCKS, OTHERS, guard::CHECKED]
        .into_iter()
        .flat_map(|part| part.iter())
        .find(|import| import.name == name)
}
