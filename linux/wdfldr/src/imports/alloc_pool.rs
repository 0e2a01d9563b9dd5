//! Pool and lookaside lists: counted for the driver that calls.
//!
//! An allocation is attributed by its return address, since the clients of one process share these functions. The
//! thunks hand it on as the fourth argument, which none of the originals has or needs.

use core::arch::naked_asm;
use core::ffi::c_void;
use core::ptr;

use wdk_sys::{NTSTATUS, PVOID, ULONG};

use super::caller;
use crate::globals::Globals;
use crate::irql;
use crate::nt::{ffi, status};
use crate::stop::{Code, anonymous, halt};

/// `POOL_FLAG_UNINITIALIZED`.
const UNINITIALIZED: u64 = 0x2;
/// `POOL_FLAG_RAISE_ON_FAILURE`.
const RAISE_ON_FAILURE: u64 = 0x20;
/// `POOL_FLAG_NON_PAGED`.
const NON_PAGED: u64 = 0x40;
/// `POOL_FLAG_NON_PAGED_EXECUTE`.
const NON_PAGED_EXECUTE: u64 = 0x80;
/// `POOL_FLAG_PAGED`.
const PAGED: u64 = 0x100;
/// `NonPagedPoolNx`.
const POOL_NON_PAGED_NX: i32 = 512;
/// `PagedPool`.
const POOL_PAGED: i32 = 1;
/// `POOL_RAISE_IF_ALLOCATION_FAILURE`.
const POOL_RAISE: i32 = 16;
/// `None` as pool tags without one are shown.
const NO_TAG: u32 = u32::from_le_bytes(*b"None");

macro_rules! with_return_address {
    ($($name:ident => $function:ident;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`, with its return address.")]
            #[unsafe(naked)]
            pub(super) extern "C" fn $name() {
                naked_asm!("mov r9, qword ptr [rsp]", "jmp {function}", function = sym $function)
            }
        )*
    };
}

with_return_address! {
    ExAllocatePool2 => allocate2;
    ExAllocatePool3 => allocate2;
    ExAllocatePool => allocate_untagged;
    ExAllocatePoolWithTag => allocate_tagged;
    ExFreePool => free_untagged;
    ExFreePoolWithTag => free_tagged;
    ExFreePool2 => free_tagged;
}

fn owner(return_address: usize) -> Option<&'static Globals> {
    caller(return_address).or_else(Globals::only)
}

fn allocate(
    function: &str,
    globals: Option<&'static Globals>,
    pool_type: i32,
    size: usize,
    tag: u32,
) -> PVOID {
    let most = if pool_type & POOL_PAGED != 0 {
        irql::APC
    } else {
        irql::DISPATCH
    };
    irql::require_at_most(function, most);
    let block = match globals {
        Some(globals) => globals.pool().allocate(pool_type & !POOL_RAISE, size, tag),
        // SAFETY: any size, type and tag may be asked for.
        None => unsafe { ffi::ExAllocatePoolWithTag(pool_type & !POOL_RAISE, size, tag) },
    };
    if block.is_null() && pool_type & POOL_RAISE != 0 {
        halt(
            globals.map_or_else(anonymous, Globals::name),
            Code::Pool,
            format_args!("{function} was asked to raise on failure, and {size} bytes could not be had"),
        );
    }
    block
}

/// `ExAllocatePool2` and `ExAllocatePool3`: zeroed unless asked otherwise; null for flags that make no sense, as NT.
extern "C" fn allocate2(flags: u64, size: usize, tag: ULONG, return_address: usize) -> PVOID {
    let pool_type = match flags & (NON_PAGED | NON_PAGED_EXECUTE | PAGED) {
        NON_PAGED => POOL_NON_PAGED_NX,
        NON_PAGED_EXECUTE => 0,
        PAGED => POOL_PAGED,
        _ => return ptr::null_mut(),
    };
    if size == 0 || tag == 0 {
        return ptr::null_mut();
    }
    let raise = if flags & RAISE_ON_FAILURE != 0 {
        POOL_RAISE
    } else {
        0
    };
    let block = allocate(
        "ExAllocatePool2",
        owner(return_address),
        pool_type | raise,
        size,
        tag,
    );
    if !block.is_null() {
        let fill = if flags & UNINITIALIZED == 0 {
            0
        } else {
            UNINITIALIZED_FILL
        };
        // SAFETY: the block has `size` bytes and nobody else knows it.
        unsafe { ptr::write_bytes(block.cast::<u8>(), fill, size) };
    }
    block
}

/// What uninitialised pool holds, so that its use shows.
const UNINITIALIZED_FILL: u8 = 0xcd;

extern "C" fn allocate_tagged(pool_type: i32, size: usize, tag: ULONG, return_address: usize) -> PVOID {
    let block = allocate(
        "ExAllocatePoolWithTag",
        owner(return_address),
        pool_type,
        size,
        tag,
    );
    if !block.is_null() {
        // SAFETY: the block has `size` bytes and nobody else knows it.
        unsafe { ptr::write_bytes(block.cast::<u8>(), UNINITIALIZED_FILL, size) };
    }
    block
}

extern "C" fn allocate_untagged(pool_type: i32, size: usize, _unused: usize, return_address: usize) -> PVOID {
    allocate_tagged(pool_type, size, NO_TAG, return_address)
}

extern "C" fn free_tagged(block: PVOID, tag: ULONG, _unused: usize, return_address: usize) {
    free("ExFreePoolWithTag", block, tag, return_address);
}

extern "C" fn free_untagged(block: PVOID, _unused: usize, _unused2: usize, return_address: usize) {
    free("ExFreePool", block, 0, return_address);
}

fn free(function: &str, block: PVOID, tag: u32, return_address: usize) {
    irql::require_at_most(function, irql::DISPATCH);
    if block.is_null() {
        halt(anonymous(), Code::Pool, format_args!("{function} was given null"));
    }
    match owner(return_address) {
        Some(globals) => globals.pool().free(globals, function, block, tag),
        // SAFETY: a block of the pool by the caller's contract.
        None => unsafe { ffi::ExFreePoolWithTag(block, tag) },
    }
}

/// `PALLOCATE_FUNCTION`.
type Allocate = unsafe extern "C" fn(i32, usize, ULONG) -> PVOID;
/// `PFREE_FUNCTION`.
type Free = unsafe extern "C" fn(PVOID);
/// `PALLOCATE_FUNCTION_EX`.
type AllocateEx = unsafe extern "C" fn(i32, usize, ULONG, *mut LookasideEx) -> PVOID;
/// `PFREE_FUNCTION_EX`.
type FreeEx = unsafe extern "C" fn(PVOID, *mut LookasideEx);

/// `LOOKASIDE_LIST_EX`, as the inline functions of wdm.h in the driver use it.
#[repr(C, align(16))]
pub(super) struct LookasideEx {
    list: [u64; 2],
    depth: u16,
    maximum_depth: u16,
    total_allocates: u32,
    allocate_misses: u32,
    total_frees: u32,
    free_misses: u32,
    pool_type: i32,
    tag: u32,
    size: u32,
    allocate: AllocateEx,
    free: FreeEx,
    list_entry: [usize; 2],
    last_total_allocates: u32,
    last_allocate_misses: u32,
    future: [u32; 2],
}

const _: () = assert!(size_of::<LookasideEx>() == 0x60);
const _: () = assert!(core::mem::offset_of!(LookasideEx, allocate) == 0x30);

/// How deep a lookaside list may get.
const LOOKASIDE_DEPTH: u16 = 256;

/// `ExInitializeLookasideListEx`.
pub(super) extern "C" fn ExInitializeLookasideListEx(
    list: *mut LookasideEx,
    allocate: Option<AllocateEx>,
    free: Option<FreeEx>,
    pool_type: i32,
    flags: ULONG,
    size: usize,
    tag: ULONG,
    _depth: u16,
) -> NTSTATUS {
    /// `EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL`.
    const RAISE_ON_FAIL: u32 = 1;
    let Ok(size) = u32::try_from(size) else {
        return status::INVALID_PARAMETER;
    };
    if list.is_null() || flags > 2 {
        return status::INVALID_PARAMETER;
    }
    let raise = if flags & RAISE_ON_FAIL != 0 { POOL_RAISE } else { 0 };
    let value = LookasideEx {
        list: [0; 2],
        depth: 4,
        maximum_depth: LOOKASIDE_DEPTH,
        total_allocates: 0,
        allocate_misses: 0,
        total_frees: 0,
        free_misses: 0,
        pool_type: pool_type | raise,
        tag,
        size,
        allocate: allocate.unwrap_or(lookaside_allocate_ex),
        free: free.unwrap_or(lookaside_free_ex),
        list_entry: [0; 2],
        last_total_allocates: 0,
        last_allocate_misses: 0,
        future: [0; 2],
    };
    // SAFETY: the driver supplies the list's storage.
    unsafe { list.write(value) };
    status::SUCCESS
}

/// `ExFlushLookasideListEx`: gives the cached blocks back.
pub(super) extern "C" fn ExFlushLookasideListEx(list: *mut LookasideEx) {
    // SAFETY: an initialised list of the driver's; its head is an SLIST_HEADER.
    let mut block = unsafe { ffi::RtlInterlockedFlushSList(list.cast()) };
    while !block.is_null() {
        // SAFETY: a cached block begins with the link to the next.
        let next = unsafe { block.cast::<*mut c_void>().read() };
        // SAFETY: an initialised list of the driver's.
        let free = unsafe { (*list).free };
        // SAFETY: the list's own function for the list's own block.
        unsafe { free(block, list) };
        block = next;
    }
}

/// `ExDeleteLookasideListEx`.
pub(super) extern "C" fn ExDeleteLookasideListEx(list: *mut LookasideEx) {
    ExFlushLookasideListEx(list);
}

unsafe extern "C" fn lookaside_allocate_ex(
    pool_type: i32,
    size: usize,
    tag: ULONG,
    _list: *mut LookasideEx,
) -> PVOID {
    // SAFETY: same contract.
    unsafe { lookaside_allocate(pool_type, size, tag) }
}

unsafe extern "C" fn lookaside_free_ex(block: PVOID, _list: *mut LookasideEx) {
    // SAFETY: same contract.
    unsafe { lookaside_free(block) };
}

/// Called from inline code in the driver; the list's storage does not say whose it is, so the only driver, or whoever
/// has the block, is meant.
unsafe extern "C" fn lookaside_allocate(pool_type: i32, size: usize, tag: ULONG) -> PVOID {
    allocate("a lookaside list", Globals::only(), pool_type, size, tag)
}

unsafe extern "C" fn lookaside_free(block: PVOID) {
    free("a lookaside list", block, 0, 0);
}

macro_rules! lookaside_of_wine {
    ($($name:ident => $original:ident;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: Wine's, with counted default functions.")]
            pub(super) extern "C" fn $name(
                list: *mut c_void,
                allocate: Option<Allocate>,
                free: Option<Free>,
                flags: ULONG,
                size: usize,
                tag: ULONG,
                depth: u16,
            ) {
                let allocate = allocate.unwrap_or(lookaside_allocate);
                let free = free.unwrap_or(lookaside_free);
                // SAFETY: the driver's own arguments.
                unsafe { ffi::$original(list, allocate, free, flags, size, tag, depth) };
            }
        )*
    };
}

lookaside_of_wine! {
    ExInitializeNPagedLookasideList => ExInitializeNPagedLookasideList;
    ExInitializePagedLookasideList => ExInitializePagedLookasideList;
}
