/*
 * The one function of Windows' bcryptprimitives.dll that Rust's standard library calls, for a Wine (before 9) that has
 * no such DLL. It must not be installed on Windows.
 */
#include <windows.h>
#include <ntsecapi.h>

/* Fills a buffer with random bytes. On Windows it cannot fail; here the system's generator can, and a caller that
 * cannot be told must not go on with what is no random number. */
BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size != 0) {
        ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;

        if (!RtlGenRandom(data, part))
            __builtin_trap();
        data += part;
        size -= part;
    }
    return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved)
{
    (void)module;
    (void)reason;
    (void)reserved;
    return TRUE;
}
