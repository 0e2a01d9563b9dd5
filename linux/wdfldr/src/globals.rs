//! What the runtime keeps of each bound driver.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering};

use wdk_sys::{DRIVER_OBJECT, PDRIVER_OBJECT, PWDF_DRIVER_GLOBALS, UNICODE_STRING, WDF_DRIVER_GLOBALS};

use crate::nt::registry;
use crate::nt::string::Utf16;
use crate::nt::sync::Lock;
use crate::object::{AnyRef, Type};
use crate::pool::Pool;

const _: () = assert!(size_of::<WDF_DRIVER_GLOBALS>() == 56);

/// A bound driver. The driver sees the first field.
#[repr(C)]
pub(crate) struct Globals {
    public: UnsafeCell<WDF_DRIVER_GLOBALS>,
    name: String,
    driver_object: AtomicPtr<DRIVER_OBJECT>,
    root: Lock<Option<AnyRef>>,
    /// Live objects by type.
    objects: [AtomicI64; Type::COUNT],
    objects_created: AtomicU64,
    pool: Pool,
    /// Client-version minor, for messages.
    pub(crate) minor: u32,
}

// SAFETY: `public` is written before the driver sees it; the rest is made for sharing.
unsafe impl Sync for Globals {}
// SAFETY: as above.
unsafe impl Send for Globals {}

/// The bound drivers. Usually one: Wine gives most services a process of their own.
static BOUND: Lock<Vec<&'static Globals>> = Lock::new(Vec::new());

impl Globals {
    /// Registers a driver that is being bound.
    pub(crate) fn bind(
        driver_object: PDRIVER_OBJECT,
        registry_path: &UNICODE_STRING,
        minor: u32,
    ) -> &'static Self {
        let registry_path = Utf16::new(crate::nt::string::units(registry_path));
        let name = service_name(registry_path.units());
        let mut public = WDF_DRIVER_GLOBALS {
            Driver: core::ptr::null_mut(),
            DriverFlags: 0,
            DriverTag: tag(&name),
            DriverName: [0; 32],
            DisplaceDriverUnload: 1,
        };
        for (to, from) in public.DriverName.iter_mut().zip(name.bytes().take(31)) {
            *to = from.cast_signed();
        }
        let controls = registry::Controls::read(&registry_path);
        let globals: &'static Self = Box::leak(Box::new(Self {
            public: UnsafeCell::new(public),
            name,
            driver_object: AtomicPtr::new(driver_object),
            root: Lock::new(None),
            objects: [const { AtomicI64::new(0) }; Type::COUNT],
            objects_created: AtomicU64::new(0),
            pool: Pool::new(controls),
            minor,
        }));
        BOUND.lock().push(globals);
        globals
    }

    /// Forgets a driver. Nothing of it may be used afterwards; its objects are gone or leaked.
    pub(crate) fn unbind(&'static self) {
        BOUND.lock().retain(|bound| !core::ptr::eq(*bound, self));
        LAST.store(core::ptr::null_mut(), Ordering::Release);
        // The structure itself stays: a leaked object, or a thread that is just leaving, may still look at it.
    }

    /// The driver's own structure for the pointer that it passes to every function.
    pub(crate) fn from_public(public: PWDF_DRIVER_GLOBALS) -> Option<&'static Self> {
        let candidate = public.cast::<Self>().cast_const();
        let last = LAST.load(Ordering::Acquire);
        if !core::ptr::eq(last, candidate) {
            BOUND
                .lock()
                .iter()
                .find(|bound| core::ptr::eq(**bound, candidate))?;
            LAST.store(candidate.cast_mut(), Ordering::Release);
        }
        // SAFETY: it is in the list of bound drivers, whose structures are never freed.
        unsafe { candidate.as_ref() }
    }

    /// The bound driver, if there is just one: for messages about what cannot be attributed otherwise.
    pub(crate) fn only() -> Option<&'static Self> {
        match BOUND.lock().as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The driver whose image contains this address.
    pub(crate) fn of_address(address: usize) -> Option<&'static Self> {
        let bound = BOUND.lock();
        match bound.as_slice() {
            [one] => Some(*one),
            several => several.iter().copied().find(|bound| bound.contains(address)),
        }
    }

    fn contains(&self, address: usize) -> bool {
        let driver = self.driver_object();
        // SAFETY: the driver object lives while the driver is bound.
        let driver = unsafe { &*driver };
        address.wrapping_sub(driver.DriverStart.addr()) < driver.DriverSize as usize
    }

    /// The driver of this driver object.
    pub(crate) fn of_driver_object(driver: PDRIVER_OBJECT) -> Option<&'static Self> {
        BOUND
            .lock()
            .iter()
            .find(|bound| core::ptr::eq(bound.driver_object(), driver))
            .copied()
    }

    /// The pointer that the driver gets.
    pub(crate) fn public(&'static self) -> PWDF_DRIVER_GLOBALS {
        self.public.get()
    }

    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The driver's default pool tag: the configuration's, or made of its name.
    pub(crate) fn tag(&self) -> u32 {
        let public = self.public.get();
        // SAFETY: the field is written in WdfDriverCreate only, before anything that allocates.
        unsafe { (*public).DriverTag }
    }

    /// Sets the default pool tag; `DriverPoolTag` of WDF_DRIVER_CONFIG.
    pub(crate) fn set_tag(&self, tag: u32) {
        let public = self.public.get();
        // SAFETY: WdfDriverCreate runs before anything that allocates.
        unsafe { (*public).DriverTag = tag };
    }

    pub(crate) fn driver_object(&self) -> PDRIVER_OBJECT {
        self.driver_object.load(Ordering::Relaxed)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Keeps the WDFDRIVER's creation reference.
    pub(crate) fn keep_root(&self, driver: AnyRef) {
        let handle = driver.handle();
        *self.root.lock() = Some(driver);
        let public = self.public.get();
        // SAFETY: the structure lives as long as we; the driver reads this field after WdfDriverCreate, which is here.
        unsafe { (*public).Driver = handle };
    }

    /// Gives up the WDFDRIVER's creation reference.
    pub(crate) fn take_root(&self) -> Option<AnyRef> {
        self.root.lock().take()
    }

    /// The WDFDRIVER.
    pub(crate) fn root(&self) -> Option<AnyRef> {
        self.root.lock().clone()
    }

    pub(crate) fn object_created(&self, kind: Type) {
        self.objects[kind as usize].fetch_add(1, Ordering::Relaxed);
        self.objects_created.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn object_destroyed(&self, kind: Type) {
        self.objects[kind as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// How many objects of each type live.
    pub(crate) fn live_objects(&self) -> impl Iterator<Item = (&'static str, i64)> {
        Type::NAMES
            .iter()
            .zip(&self.objects)
            .map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
    }

    pub(crate) fn objects_created_count(&self) -> u64 {
        self.objects_created.load(Ordering::Relaxed)
    }
}

/// The globals that passed the check last: nearly always the answer.
static LAST: AtomicPtr<Globals> = AtomicPtr::new(core::ptr::null_mut());

/// The last component of the service's key.
fn service_name(path: &[u16]) -> String {
    let start = path
        .iter()
        .rposition(|unit| *unit == u16::from(b'\\'))
        .map_or(0, |at| at + 1);
    char::decode_utf16(path[start..].iter().copied())
        .map(|unit| unit.unwrap_or('?'))
        .collect()
}

/// The default pool tag: the name's first four characters, as KMDF.
fn tag(name: &str) -> u32 {
    let mut bytes = *b"FxDr";
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    u32::from_le_bytes(bytes)
}
