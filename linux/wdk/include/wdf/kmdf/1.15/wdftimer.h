/* Timer objects: a DPC, or with a passive execution level a work item, after a time. */
#ifndef WDF_TIMER_H
#define WDF_TIMER_H

#define TolerableDelayUnlimited ((ULONG)-1)

WDF_EVENT(VOID, WDF_TIMER, WDFTIMER Timer);

typedef struct _WDF_TIMER_CONFIG {
    ULONG Size;
    PFN_WDF_TIMER EvtTimerFunc;
    ULONG Period; /* ms, 0 for one shot */
    BOOLEAN AutomaticSerialization;
    ULONG TolerableDelay; /* ms */
    DECLSPEC_ALIGN(8) BOOLEAN UseHighResolutionTimer;
} WDF_TIMER_CONFIG, *PWDF_TIMER_CONFIG;

WDF_FUNCTION(NTSTATUS, WDFTIMERCREATE, PWDF_TIMER_CONFIG Config, PWDF_OBJECT_ATTRIBUTES Attributes,
             WDFTIMER *Timer);
WDF_FUNCTION(BOOLEAN, WDFTIMERSTART, WDFTIMER Timer, LONGLONG DueTime);
WDF_FUNCTION(BOOLEAN, WDFTIMERSTOP, WDFTIMER Timer, BOOLEAN Wait);
WDF_FUNCTION(WDFOBJECT, WDFTIMERGETPARENTOBJECT, WDFTIMER Timer);

#endif
