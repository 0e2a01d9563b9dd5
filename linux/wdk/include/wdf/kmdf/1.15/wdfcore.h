/* Time-outs are 100 ns units; these convert, and a negative due time is relative. */
#ifndef WDF_CORE_H
#define WDF_CORE_H

#define WDF_TIMEOUT_TO_SEC ((LONGLONG)1 * 10 * 1000 * 1000)
#define WDF_TIMEOUT_TO_MS ((LONGLONG)1 * 10 * 1000)
#define WDF_TIMEOUT_TO_US ((LONGLONG)1 * 10)

#endif
