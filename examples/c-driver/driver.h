/* What the driver's files share. */
#ifndef C_DRIVER_H
#define C_DRIVER_H

#include <ntddk.h>

#include <wdf.h>

#include <queued_work_item.h>

#include "public.h"

/* Runs the test of this number, at PASSIVE_LEVEL; STATUS_NO_MORE_ENTRIES when there is none. */
NTSTATUS SelfTestRun(_In_ WDFDEVICE Device, _In_ ULONG Number, _Out_ PSELF_TEST_RESULT Result);

#endif
