//! WDFSTRING: an owned UTF-16 string.

use wdk_sys::{NTSTATUS, PCUNICODE_STRING, PUNICODE_STRING, PWDF_OBJECT_ATTRIBUTES, WDFSTRING};

use crate::call::{self, wdf};
use crate::nt::string::{self, Utf16};
use crate::nt::sync::Lock;
use crate::object::{Kind, Type};
use crate::table::entries;

/// The body of a WDFSTRING.
pub(crate) struct WdfString(Lock<Utf16>);

impl Kind for WdfString {
    const TYPE: Type = Type::String;
}

impl WdfString {
    pub(crate) fn new(value: Utf16) -> Self {
        Self(Lock::new(value))
    }

    /// Replaces the value.
    pub(crate) fn set(&self, value: Utf16) {
        *self.0.lock() = value;
    }

    /// A copy of the value.
    pub(crate) fn value(&self) -> Utf16 {
        self.0.lock().clone()
    }
}

wdf! {
    /// WdfStringCreate. IRQL: PASSIVE_LEVEL. Null makes an empty string.
    fn WdfStringCreate(
        call,
        value: PCUNICODE_STRING,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        string: *mut WDFSTRING,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let parent = call.parent_or_driver(&attributes);
            let body = WdfString::new(string::copy(value).unwrap_or_default());
            call::write(string, call.create(attributes, &parent, body)?.header().handle());
            Ok(())
        })
    }

    /// WdfStringGetUnicodeString. IRQL: PASSIVE_LEVEL. The buffer is the object's.
    fn WdfStringGetUnicodeString(call, string: WDFSTRING, value: PUNICODE_STRING) {
        call.passive();
        let string = call.get::<WdfString>(string);
        call::write(value, string.0.lock().as_unicode());
    }
}

entries! {
    WdfStringCreateTableIndex: PFN_WDFSTRINGCREATE = WdfStringCreate;
    WdfStringGetUnicodeStringTableIndex: PFN_WDFSTRINGGETUNICODESTRING = WdfStringGetUnicodeString;
}
