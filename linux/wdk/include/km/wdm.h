/*
 * mingw-w64's wdm.h, with what it lacks.
 *
 * Two kinds of gap: routines that it only has as inline code or macros, of which no binding can be made and no import
 * comes, and the pool interface of Windows 10 2004.
 */
#ifndef QWI_KM_WDM_H
#define QWI_KM_WDM_H

/* mingw-w64 declares a routine only from the Windows version that brought it: ask for Windows 10. */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#ifndef NTDDI_VERSION
#define NTDDI_VERSION 0x0A000000
#endif

/*
 * The inline bodies read CR8 and the shared user page; in their place come imports, which a stand-in kernel can answer
 * too. The names move out of the way while mingw-w64's header is read, and are declared afterwards.
 */
#define KeGetCurrentIrql QwiInlineKeGetCurrentIrql
#define KeLowerIrql QwiInlineKeLowerIrql
#define KfRaiseIrql QwiInlineKfRaiseIrql
#include_next <wdm.h>
#undef KeGetCurrentIrql
#undef KeLowerIrql
#undef KfRaiseIrql
#undef KeQuerySystemTime
#undef KeQueryInterruptTime

NTKERNELAPI KIRQL NTAPI KeGetCurrentIrql(VOID);
NTKERNELAPI VOID NTAPI KeLowerIrql(KIRQL NewIrql);
NTKERNELAPI KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql);
NTKERNELAPI VOID NTAPI KeQuerySystemTime(PLARGE_INTEGER CurrentTime);
NTKERNELAPI ULONGLONG NTAPI KeQueryInterruptTime(VOID);

typedef ULONG64 POOL_FLAGS;

#define POOL_FLAG_USE_QUOTA 0x0000000000000001ULL
#define POOL_FLAG_UNINITIALIZED 0x0000000000000002ULL
#define POOL_FLAG_SESSION 0x0000000000000004ULL
#define POOL_FLAG_CACHE_ALIGNED 0x0000000000000008ULL
#define POOL_FLAG_RAISE_ON_FAILURE 0x0000000000000020ULL
#define POOL_FLAG_NON_PAGED 0x0000000000000040ULL
#define POOL_FLAG_NON_PAGED_EXECUTE 0x0000000000000080ULL
#define POOL_FLAG_PAGED 0x0000000000000100ULL
#define POOL_FLAG_SPECIAL_POOL 0x0000000100000000ULL

NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

#endif
