//! Imports that are Wine's own behind a check of the IRQL: what may be called at PASSIVE_LEVEL only, or at APC_LEVEL.
//!
//! Each has a thunk that checks and then jumps to the original with all arguments as they were, so that the list needs
//! no signatures.

use core::arch::naked_asm;
use core::sync::atomic::AtomicUsize;

use super::Import;
use crate::irql;

macro_rules! checked {
    ($($name:ident <= $level:ident;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the names are NT's")]
        #[derive(Clone, Copy)]
        #[repr(usize)]
        enum Index { $($name,)* Count }

        static NAMES: [(&str, u8); Index::Count as usize] = [$((stringify!($name), irql::$level),)*];
        static ORIGINALS: [AtomicUsize; Index::Count as usize] = [const { AtomicUsize::new(0) }; Index::Count as usize];

        /// The imports that are checked.
        pub(super) const CHECKED: &[Import] = &[$(Import {
            name: stringify!($name),
            function: thunk::<{ Index::$name as usize }> as *const (),
            original: Some(&ORIGINALS[Index::$name as usize]),
        },)*];
    };
}

checked! {
    ExAcquireFastMutex <= APC;
    ExAcquireResourceExclusiveLite <= APC;
    ExAcquireResourceSharedLite <= APC;
    ExDeleteResourceLite <= APC;
    IoCreateDevice <= PASSIVE;
    IoCreateSymbolicLink <= PASSIVE;
    IoDeleteDevice <= PASSIVE;
    IoDeleteSymbolicLink <= PASSIVE;
    IoGetDeviceObjectPointer <= PASSIVE;
    IoGetDeviceProperty <= PASSIVE;
    IoOpenDeviceRegistryKey <= PASSIVE;
    IoRegisterDeviceInterface <= PASSIVE;
    IoSetDeviceInterfaceState <= PASSIVE;
    KeDelayExecutionThread <= APC;
    MmGetSystemRoutineAddress <= PASSIVE;
    ObReferenceObjectByHandle <= PASSIVE;
    PsCreateSystemThread <= PASSIVE;
    PsTerminateSystemThread <= PASSIVE;
    RtlAnsiStringToUnicodeString <= PASSIVE;
    RtlCheckRegistryKey <= PASSIVE;
    RtlCompareUnicodeString <= PASSIVE;
    RtlQueryRegistryValues <= PASSIVE;
    RtlUnicodeStringToAnsiString <= PASSIVE;
    RtlWriteRegistryValue <= PASSIVE;
    ZwClose <= PASSIVE;
    ZwCreateFile <= PASSIVE;
    ZwCreateKey <= PASSIVE;
    ZwDeleteKey <= PASSIVE;
    ZwDeleteValueKey <= PASSIVE;
    ZwOpenFile <= PASSIVE;
    ZwOpenKey <= PASSIVE;
    ZwQueryValueKey <= PASSIVE;
    ZwReadFile <= PASSIVE;
    ZwSetValueKey <= PASSIVE;
    ZwWaitForSingleObject <= PASSIVE;
    ZwWriteFile <= PASSIVE;
}

/// Checks the IRQL of the import of this index.
extern "C" fn check(index: usize) {
    if let Some((name, most)) = NAMES.get(index) {
        irql::require_at_most(name, *most);
    }
}

/// Saves the register arguments, checks, and jumps to the original; arguments on the stack stay where they are.
#[unsafe(naked)]
extern "C" fn thunk<const INDEX: usize>() {
    naked_asm!(
        "push rcx",
        "push rdx",
        "push r8",
        "push r9",
        "sub rsp, 40",
        "mov ecx, {index}",
        "call {check}",
        "add rsp, 40",
        "pop r9",
        "pop r8",
        "pop rdx",
        "pop rcx",
        "lea rax, [rip + {originals}]",
        "jmp qword ptr [rax + 8 * {index}]",
        index = const INDEX,
        check = sym check,
        originals = sym ORIGINALS,
    )
}
