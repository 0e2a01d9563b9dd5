/* Breaking and bug-checking through the framework, and its data for crash triage. */
#ifndef WDF_VERIFIER_H
#define WDF_VERIFIER_H

WDF_FUNCTION_NO_ARGUMENTS(VOID, WDFVERIFIERDBGBREAKPOINT);
WDF_FUNCTION(VOID, WDFVERIFIERKEBUGCHECK, ULONG BugCheckCode, ULONG_PTR BugCheckParameter1,
             ULONG_PTR BugCheckParameter2, ULONG_PTR BugCheckParameter3, ULONG_PTR BugCheckParameter4);
WDF_FUNCTION_NO_ARGUMENTS(PVOID, WDFGETTRIAGEINFO);

#endif
