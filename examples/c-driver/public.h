/* What the driver and its users agree on. */
#ifndef C_DRIVER_PUBLIC_H
#define C_DRIVER_PUBLIC_H

/* {B6A1B2A4-9C0E-4F0B-8E57-6B3E0E5C7D31} */
DEFINE_GUID(GUID_DEVINTERFACE_C_DRIVER, 0xb6a1b2a4, 0x9c0e, 0x4f0b, 0x8e, 0x57, 0x6b, 0x3e, 0x0e, 0x5c, 0x7d, 0x31);

/* Input: bytes, one at least. Output: their sum, a ULONG. */
#define IOCTL_C_DRIVER_SUM CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

/*
 * Runs a test of the library inside the driver. Input: its number, a ULONG. Output: SELF_TEST_RESULT.
 * STATUS_NO_MORE_ENTRIES when there is no test of this number.
 */
#define IOCTL_C_DRIVER_SELF_TEST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _SELF_TEST_RESULT {
    CHAR Name[40];   /* ends with a zero */
    ULONG Line;      /* 0: passed; else where it failed */
    ULONG Reserved;
    ULONGLONG Got;      /* what was there */
    ULONGLONG Expected; /* what should have been */
} SELF_TEST_RESULT, *PSELF_TEST_RESULT;

#endif
