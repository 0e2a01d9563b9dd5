//! As much of Microsoft's `windows` crate as wdk-build names, for a host that has no registry.
//!
//! wdk-build looks in the registry for the Windows kits when no environment variable names them. The real crate does
//! not compile on Linux; here every look-up says that there is no such key, so that `WDKContentRoot` decides.
#![no_std]
#![allow(non_camel_case_types, non_snake_case, reason = "the names are those of the Windows API")]

/// The part of the API in use.
pub mod Win32 {
    /// System services.
    pub mod System {
        /// The registry: empty.
        pub mod Registry {
            use core::ffi::c_void;

            use crate::core::PCSTR;

            /// A handle to a key.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct HKEY(pub usize);

            /// The machine's part of the registry.
            pub const HKEY_LOCAL_MACHINE: HKEY = HKEY(0x8000_0002);

            /// Access rights to a key.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct REG_SAM_FLAGS(pub u32);

            /// The right to read a key.
            pub const KEY_READ: REG_SAM_FLAGS = REG_SAM_FLAGS(0x2_0019);

            /// Which types of value a look-up accepts.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct REG_ROUTINE_FLAGS(pub u32);

            /// Only strings.
            pub const RRF_RT_REG_SZ: REG_ROUTINE_FLAGS = REG_ROUTINE_FLAGS(2);

            /// What a look-up found.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct REG_VALUE_TYPE(pub u32);

            /// A Windows error code.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[must_use]
            pub struct WIN32_ERROR(pub u32);

            /// There is no such key or value.
            pub const ERROR_FILE_NOT_FOUND: WIN32_ERROR = WIN32_ERROR(2);

            impl WIN32_ERROR {
                /// Whether it stands for success.
                pub const fn is_ok(self) -> bool {
                    self.0 == 0
                }

                /// As a `Result`.
                ///
                /// # Errors
                ///
                /// The code itself, unless it stands for success.
                pub const fn ok(self) -> Result<(), Self> {
                    if self.is_ok() { Ok(()) } else { Err(self) }
                }
            }

            /// Opens a key: there is none.
            ///
            /// # Safety
            ///
            /// None of the pointers is used.
            pub unsafe fn RegOpenKeyExA(
                _key: HKEY,
                _sub_key: PCSTR,
                _options: Option<u32>,
                _access: REG_SAM_FLAGS,
                _result: *mut HKEY,
            ) -> WIN32_ERROR {
                ERROR_FILE_NOT_FOUND
            }

            /// Reads a value: there is none.
            ///
            /// # Safety
            ///
            /// None of the pointers is used.
            pub unsafe fn RegGetValueA(
                _key: HKEY,
                _sub_key: Option<PCSTR>,
                _value: PCSTR,
                _flags: REG_ROUTINE_FLAGS,
                _value_type: Option<*mut REG_VALUE_TYPE>,
                _data: Option<*mut c_void>,
                _size: Option<*mut u32>,
            ) -> WIN32_ERROR {
                ERROR_FILE_NOT_FOUND
            }

            /// Closes a key: none was ever open.
            ///
            /// # Safety
            ///
            /// None: it does nothing.
            pub unsafe fn RegCloseKey(_key: HKEY) -> WIN32_ERROR {
                WIN32_ERROR(0)
            }
        }
    }
}

/// Strings as the Windows API takes them.
pub mod core {
    /// A pointer to a NUL-terminated string of bytes.
    #[derive(Clone, Copy, Debug)]
    pub struct PCSTR(pub *const u8);

    pub use crate::s;
}

/// A string literal as a [`core::PCSTR`].
#[macro_export]
macro_rules! s {
    ($text:literal) => {
        $crate::core::PCSTR(concat!($text, "\0").as_ptr())
    };
}
