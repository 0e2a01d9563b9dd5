/* Memory objects, how a transfer names its memory, and lookaside lists. */
#ifndef WDF_MEMORY_H
#define WDF_MEMORY_H

typedef enum _WDF_MEMORY_DESCRIPTOR_TYPE {
    WdfMemoryDescriptorTypeInvalid = 0,
    WdfMemoryDescriptorTypeBuffer = 1,
    WdfMemoryDescriptorTypeMdl = 2,
    WdfMemoryDescriptorTypeHandle = 3,
} WDF_MEMORY_DESCRIPTOR_TYPE;

typedef struct _WDFMEMORY_OFFSET {
    size_t BufferOffset;
    size_t BufferLength; /* 0: to the end */
} WDFMEMORY_OFFSET, *PWDFMEMORY_OFFSET;

typedef struct _WDF_MEMORY_DESCRIPTOR {
    WDF_MEMORY_DESCRIPTOR_TYPE Type;
    union {
        struct {
            PVOID Buffer;
            ULONG Length;
        } BufferType;
        struct {
            PMDL Mdl;
            ULONG BufferLength;
        } MdlType;
        struct {
            WDFMEMORY Memory;
            PWDFMEMORY_OFFSET Offsets;
        } HandleType;
    } u;
} WDF_MEMORY_DESCRIPTOR, *PWDF_MEMORY_DESCRIPTOR;

WDF_FUNCTION(NTSTATUS, WDFMEMORYCREATE, PWDF_OBJECT_ATTRIBUTES Attributes, POOL_TYPE PoolType, ULONG PoolTag,
             size_t BufferSize, WDFMEMORY *Memory, PVOID *Buffer);
WDF_FUNCTION(NTSTATUS, WDFMEMORYCREATEPREALLOCATED, PWDF_OBJECT_ATTRIBUTES Attributes, PVOID Buffer,
             size_t BufferSize, WDFMEMORY *Memory);
WDF_FUNCTION(PVOID, WDFMEMORYGETBUFFER, WDFMEMORY Memory, size_t *BufferSize);
WDF_FUNCTION(NTSTATUS, WDFMEMORYASSIGNBUFFER, WDFMEMORY Memory, PVOID Buffer, size_t BufferSize);
WDF_FUNCTION(NTSTATUS, WDFMEMORYCOPYTOBUFFER, WDFMEMORY SourceMemory, size_t SourceOffset, PVOID Buffer,
             size_t NumBytesToCopyTo);
WDF_FUNCTION(NTSTATUS, WDFMEMORYCOPYFROMBUFFER, WDFMEMORY DestinationMemory, size_t DestinationOffset,
             PVOID Buffer, size_t NumBytesToCopyFrom);

WDF_FUNCTION(NTSTATUS, WDFLOOKASIDELISTCREATE, PWDF_OBJECT_ATTRIBUTES LookasideAttributes, size_t BufferSize,
             POOL_TYPE PoolType, PWDF_OBJECT_ATTRIBUTES MemoryAttributes, ULONG PoolTag,
             WDFLOOKASIDE *Lookaside);
WDF_FUNCTION(NTSTATUS, WDFMEMORYCREATEFROMLOOKASIDE, WDFLOOKASIDE Lookaside, WDFMEMORY *Memory);

#endif
