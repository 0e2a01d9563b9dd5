/*
 * Stack cookies, as clang's and Microsoft's compilers use them (/GS): a random value between a function's
 * buffers and its return address, compared before it returns. A mismatch stops the system at once: the stack
 * is not to be trusted.
 */
#include <ntddk.h>

#ifdef _WIN64
#define DEFAULT_SECURITY_COOKIE ((UINT_PTR)0x00002B992DDFA232)
#else
#define DEFAULT_SECURITY_COOKIE ((UINT_PTR)0xBB40E64E)
#endif

#define FAST_FAIL_STACK_COOKIE_CHECK_FAILURE 2

/* Objects compiled by Microsoft's compiler expect the check to keep every register but the argument's. */
#define KEEPS_REGISTERS __attribute__((preserve_most))

DECLSPEC_NORETURN VOID __fastfail(unsigned int Code);

UINT_PTR __security_cookie = DEFAULT_SECURITY_COOKIE;
UINT_PTR __security_cookie_complement = ~DEFAULT_SECURITY_COOKIE;

/* A counter that no other start of this driver has seen: the processor's, finer than any clock. */
static UINT_PTR Entropy(VOID)
{
#if defined(_M_ARM64)
    UINT_PTR ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return (UINT_PTR)__builtin_ia32_rdtsc();
#endif
}

/*
 * Windows sets the cookie before the entry runs where the image's load configuration names it. Images that
 * lld links have none, so it is made here, before any function that is guarded. The address of a local mixes
 * in what the layout of the kernel's address space adds.
 */
VOID __security_init_cookie(VOID)
{
    UINT_PTR cookie = __security_cookie;

    if (cookie == DEFAULT_SECURITY_COOKIE || cookie == 0) {
        cookie = Entropy() ^ (UINT_PTR)&cookie;
#ifdef _WIN64
        /* Two zero bytes on top stop a string from carrying the cookie over. */
        cookie = (cookie ^ (cookie << 16)) & 0x0000FFFFFFFFFFFF;
#endif
        if (cookie == DEFAULT_SECURITY_COOKIE || cookie == 0) {
            cookie = DEFAULT_SECURITY_COOKIE + 1;
        }
        __security_cookie = cookie;
    }
    __security_cookie_complement = ~cookie;
}

DECLSPEC_NORETURN VOID __report_gsfailure(UINT_PTR StackCookie)
{
    UNREFERENCED_PARAMETER(StackCookie);
    __fastfail(FAST_FAIL_STACK_COOKIE_CHECK_FAILURE);
}

KEEPS_REGISTERS VOID __security_check_cookie(UINT_PTR StackCookie)
{
    if (StackCookie != __security_cookie) {
        __report_gsfailure(StackCookie);
    }
}

/*
 * The handler of guarded frames that an exception unwinds. It goes on searching: the frame's own check, which
 * it would repeat before the handlers run, needs unwind data that clang does not write for it.
 */
EXCEPTION_DISPOSITION __GSHandlerCheck(PEXCEPTION_RECORD ExceptionRecord, PVOID EstablisherFrame,
                                       PCONTEXT ContextRecord, PVOID DispatcherContext)
{
    UNREFERENCED_PARAMETER(ExceptionRecord);
    UNREFERENCED_PARAMETER(EstablisherFrame);
    UNREFERENCED_PARAMETER(ContextRecord);
    UNREFERENCED_PARAMETER(DispatcherContext);
    return ExceptionContinueSearch;
}
