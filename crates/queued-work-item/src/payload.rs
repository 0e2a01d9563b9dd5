//! What can travel through a queue: a value of some type, or bytes whose length is known at run time.

use core::alloc::Layout;

use crate::{Config, CreateError};

mod sealed {
    /// Closes [`Payload`](super::Payload) to other crates: the queue's soundness rests on its implementations.
    pub trait Sealed {}
    impl<T: Send + 'static> Sealed for T {}
    impl Sealed for [u8] {}
}

/// A payload: any `T: Send + 'static`, which is moved in, or `[u8]`, which is copied in.
///
/// # Safety
/// Sealed. `layout` has room for whatever `view` and `clear` touch.
pub unsafe trait Payload: Send + sealed::Sealed + 'static {
    /// The size and alignment of a payload's place.
    ///
    /// # Errors
    /// [`CreateError::InvalidConfig`] when the configured size is none.
    #[doc(hidden)]
    fn layout(config: &Config) -> Result<Layout, CreateError>;

    /// The payload in its place.
    ///
    /// # Safety
    /// `place` holds a payload of `length` bytes (if it is bytes), for the caller alone, as long as `'a`.
    #[doc(hidden)]
    unsafe fn view<'a>(place: *mut u8, length: u32) -> &'a mut Self;

    /// Ends the payload: drops a value, zeroes bytes.
    ///
    /// # Safety
    /// As for `view`; the place holds no payload afterwards.
    #[doc(hidden)]
    unsafe fn clear(place: *mut u8, length: u32);
}

// SAFETY: a place is a `T`'s, by its layout.
unsafe impl<T: Send + 'static> Payload for T {
    fn layout(_: &Config) -> Result<Layout, CreateError> {
        Ok(Layout::new::<T>())
    }

    unsafe fn view<'a>(place: *mut u8, _: u32) -> &'a mut Self {
        // SAFETY: the place holds a `T` for the caller alone, by its promise.
        unsafe { &mut *place.cast::<T>() }
    }

    unsafe fn clear(place: *mut u8, _: u32) {
        // SAFETY: the place holds a `T`, by the caller's promise, which ends here.
        unsafe { place.cast::<T>().drop_in_place() };
    }
}

// SAFETY: a place has `buffer_size` bytes, and lengths are checked against that before anything is copied in.
unsafe impl Payload for [u8] {
    fn layout(config: &Config) -> Result<Layout, CreateError> {
        // Lengths are kept in 32 bits.
        if u32::try_from(config.buffer_size).is_err() {
            return Err(CreateError::InvalidConfig);
        }
        Layout::from_size_align(config.buffer_size, 1).map_err(|_| CreateError::InvalidConfig)
    }

    unsafe fn view<'a>(place: *mut u8, length: u32) -> &'a mut Self {
        // SAFETY: the place has `length` initialised bytes for the caller alone, by its promise.
        unsafe { core::slice::from_raw_parts_mut(place, length as usize) }
    }

    unsafe fn clear(place: *mut u8, length: u32) {
        // SAFETY: as above.
        unsafe { place.write_bytes(0, length as usize) };
    }
}
