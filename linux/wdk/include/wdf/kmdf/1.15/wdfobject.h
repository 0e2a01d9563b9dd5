/* What all framework objects share: attributes, typed contexts, references, deletion. */
#ifndef WDF_OBJECT_H
#define WDF_OBJECT_H

typedef enum _WDF_EXECUTION_LEVEL {
    WdfExecutionLevelInvalid = 0,
    WdfExecutionLevelInheritFromParent = 1,
    WdfExecutionLevelPassive = 2,
    WdfExecutionLevelDispatch = 3,
} WDF_EXECUTION_LEVEL;

typedef enum _WDF_SYNCHRONIZATION_SCOPE {
    WdfSynchronizationScopeInvalid = 0,
    WdfSynchronizationScopeInheritFromParent = 1,
    WdfSynchronizationScopeDevice = 2,
    WdfSynchronizationScopeQueue = 3,
    WdfSynchronizationScopeNone = 4,
} WDF_SYNCHRONIZATION_SCOPE;

WDF_EVENT(VOID, WDF_OBJECT_CONTEXT_CLEANUP, WDFOBJECT Object);
WDF_EVENT(VOID, WDF_OBJECT_CONTEXT_DESTROY, WDFOBJECT Object);

typedef const struct _WDF_OBJECT_CONTEXT_TYPE_INFO *PCWDF_OBJECT_CONTEXT_TYPE_INFO;

typedef struct _WDF_OBJECT_ATTRIBUTES {
    ULONG Size;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP EvtCleanupCallback;
    PFN_WDF_OBJECT_CONTEXT_DESTROY EvtDestroyCallback;
    WDF_EXECUTION_LEVEL ExecutionLevel;
    WDF_SYNCHRONIZATION_SCOPE SynchronizationScope;
    WDFOBJECT ParentObject;
    size_t ContextSizeOverride; /* 0, or the context's size in place of ContextTypeInfo's */
    PCWDF_OBJECT_CONTEXT_TYPE_INFO ContextTypeInfo;
} WDF_OBJECT_ATTRIBUTES;

typedef PCWDF_OBJECT_CONTEXT_TYPE_INFO (*PFN_GET_UNIQUE_CONTEXT_TYPE)(VOID);

/* A context type's identity is the address in UniqueType, or this structure's own where that is NULL. */
typedef struct _WDF_OBJECT_CONTEXT_TYPE_INFO {
    ULONG Size;
    PCHAR ContextName;
    size_t ContextSize;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO UniqueType;
    PFN_GET_UNIQUE_CONTEXT_TYPE EvtDriverGetUniqueContextType;
} WDF_OBJECT_CONTEXT_TYPE_INFO, *PWDF_OBJECT_CONTEXT_TYPE_INFO;

typedef struct _WDF_CUSTOM_TYPE_CONTEXT {
    ULONG Size;
    ULONG_PTR Data;
} WDF_CUSTOM_TYPE_CONTEXT, *PWDF_CUSTOM_TYPE_CONTEXT;

WDF_FUNCTION(PVOID, WDFOBJECTGETTYPEDCONTEXTWORKER, WDFOBJECT Handle,
             PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo);
WDF_FUNCTION(NTSTATUS, WDFOBJECTALLOCATECONTEXT, WDFOBJECT Handle, PWDF_OBJECT_ATTRIBUTES ContextAttributes,
             PVOID *Context);
WDF_FUNCTION(WDFOBJECT, WDFOBJECTCONTEXTGETOBJECT, PVOID ContextPointer);
WDF_FUNCTION(VOID, WDFOBJECTREFERENCEACTUAL, WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File);
WDF_FUNCTION(VOID, WDFOBJECTDEREFERENCEACTUAL, WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File);
WDF_FUNCTION(NTSTATUS, WDFOBJECTCREATE, PWDF_OBJECT_ATTRIBUTES Attributes, WDFOBJECT *Object);
WDF_FUNCTION(VOID, WDFOBJECTDELETE, WDFOBJECT Object);
WDF_FUNCTION(NTSTATUS, WDFOBJECTQUERY, WDFOBJECT Object, const GUID *Guid, ULONG QueryBufferLength,
             PVOID QueryBuffer);

#endif
