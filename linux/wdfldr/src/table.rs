//! The function table that a client calls through.
//!
//! Every entry is filled: with the function if some family of the runtime has it, else with a stub of that very index
//! that stops the driver with the function's name. Names and indices come from the header's `_WDFFUNCENUM` (build.rs).

use core::ffi::c_void;

use wdk_sys::PWDF_DRIVER_GLOBALS;

use crate::globals::Globals;
use crate::stop::{Code, halt};

/// One entry: the address of a function.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Entry(pub(crate) *const ());

// SAFETY: code addresses are constant.
unsafe impl Sync for Entry {}

mod functions {
    use super::{Entry, absent};
    include!(concat!(env!("OUT_DIR"), "/functions.rs"));
}

/// How many functions KMDF 1.15 has.
pub(crate) const COUNT: usize = functions::NAMES.len();
const _: () = assert!(COUNT == 444);

/// Lists a family's functions: index in `_WDFFUNCENUM`, the type that wdf.h gives the function, ours.
/// The type is checked by the compiler.
macro_rules! entries {
    ($($index:ident: $pfn:ident = $function:path;)*) => {
        /// This family's part of the function table.
        pub(crate) const ENTRIES: &[(usize, $crate::table::Entry)] = &[
            $({
                const _: wdk_sys::$pfn = Some($function);
                (wdk_sys::_WDFFUNCENUM::$index as usize, $crate::table::Entry($function as *const ()))
            },)*
        ];
    };
}
pub(crate) use entries;

/// The families, each with an `ENTRIES` list.
const FAMILIES: &[&[(usize, Entry)]] = &[
    crate::collection::ENTRIES,
    crate::device::control::ENTRIES,
    crate::device::create::ENTRIES,
    crate::device::init::ENTRIES,
    crate::device::interface::ENTRIES,
    crate::device::query::ENTRIES,
    crate::device::resources::ENTRIES,
    crate::dpc::ENTRIES,
    crate::driver::ENTRIES,
    crate::io::ENTRIES,
    crate::lock::ENTRIES,
    crate::lookaside::ENTRIES,
    crate::memory::ENTRIES,
    crate::object::api::ENTRIES,
    crate::registry::ENTRIES,
    crate::string::ENTRIES,
    crate::timer::ENTRIES,
    crate::workitem::ENTRIES,
];

const fn build() -> [Entry; COUNT] {
    let mut table = functions::ABSENT;
    let mut family = 0;
    while family < FAMILIES.len() {
        let entries = FAMILIES[family];
        let mut at = 0;
        while at < entries.len() {
            table[entries[at].0] = entries[at].1;
            at += 1;
        }
        family += 1;
    }
    table
}

/// The table. Clients read it through the address that they are given at bind.
static TABLE: [Entry; COUNT] = build();

/// The table's address, for a client that takes a pointer.
pub(crate) fn address() -> *const c_void {
    (&raw const TABLE).cast()
}

/// The first entries, for an older client that takes a copy.
pub(crate) fn first(count: usize) -> &'static [Entry] {
    &TABLE[..count.min(COUNT)]
}

/// The function's name at this index.
pub(crate) const fn name(index: usize) -> &'static str {
    functions::NAMES[index]
}

/// Stands at an index whose function the runtime does not have.
extern "C" fn absent<const INDEX: usize>(globals: PWDF_DRIVER_GLOBALS) -> ! {
    let driver = Globals::from_public(globals).map_or_else(crate::stop::anonymous, Globals::name);
    halt(
        driver,
        Code::Absent,
        format_args!("{} (index {INDEX}) is not in this KMDF runtime", name(INDEX)),
    )
}
