/*
 * wdk-build links a library of this name for ARM64: the WDK's has helpers there that Microsoft's compiler calls.
 * Nothing that clang or rustc made for this driver has called one so far; what one day does belongs here.
 */
typedef int QwiNoHelpers;
