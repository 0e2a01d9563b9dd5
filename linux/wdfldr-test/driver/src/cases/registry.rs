//! The driver's Parameters key.

use alloc::string::String;
use alloc::vec::Vec;
use core::ptr;

use wdfldr_test_contract::SERVICE;
use wdk_sys::{
    KEY_ALL_ACCESS, PVOID, REG_BINARY, REG_OPTION_NON_VOLATILE, STATUS_BUFFER_OVERFLOW,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH, UNICODE_STRING, WDFDEVICE, WDFKEY, WDFMEMORY,
    WDFSTRING,
};

use crate::check::{Verdict, success};
use crate::entry::driver;
use crate::wdf::{Owned, attributes, text, unicode_string};

/// An open key, closed at the end.
struct Key(WDFKEY);

impl Drop for Key {
    fn drop(&mut self) {
        wdf!(WdfRegistryClose, self.0);
    }
}

fn parameters() -> Verdict<Key> {
    let mut key: WDFKEY = ptr::null_mut();
    let opened = wdf!(
        WdfDriverOpenParametersRegistryKey,
        driver(),
        KEY_ALL_ACCESS,
        ptr::null_mut(),
        &raw mut key
    );
    success("WdfDriverOpenParametersRegistryKey", opened)?;
    Ok(Key(key))
}

pub(super) fn numbers_are_written_and_read(_: WDFDEVICE) -> Verdict {
    let name = utf16!("TestNumber");
    let name = unicode_string(&name);
    for number in [0, 1, u32::MAX, 0x1234_5678] {
        let key = parameters()?;
        success(
            "WdfRegistryAssignULong",
            wdf!(WdfRegistryAssignULong, key.0, &raw const name, number),
        )?;
        drop(key);
        let key = parameters()?;
        let mut read = !number;
        success(
            "WdfRegistryQueryULong",
            wdf!(WdfRegistryQueryULong, key.0, &raw const name, &raw mut read),
        )?;
        equal!(read, number, "the number");
    }
    Ok(())
}

pub(super) fn strings_are_written_and_read(_: WDFDEVICE) -> Verdict {
    let key = parameters()?;
    let name = utf16!("TestString");
    let name = unicode_string(&name);
    let value = utf16!("a string with 29 characters!!");
    let value = unicode_string(&value);
    success(
        "WdfRegistryAssignUnicodeString",
        wdf!(
            WdfRegistryAssignUnicodeString,
            key.0,
            &raw const name,
            &raw const value
        ),
    )?;

    let mut units = [0_u16; 40];
    let mut read = UNICODE_STRING {
        Length: 0,
        MaximumLength: 80,
        Buffer: units.as_mut_ptr(),
    };
    let mut length = 0;
    let queried = wdf!(
        WdfRegistryQueryUnicodeString,
        key.0,
        &raw const name,
        &raw mut length,
        &raw mut read
    );
    success("WdfRegistryQueryUnicodeString", queried)?;
    equal!(text(&read), text(&value), "the string");

    let mut string: WDFSTRING = ptr::null_mut();
    let mut plain = attributes();
    success(
        "WdfStringCreate",
        wdf!(WdfStringCreate, ptr::null(), &raw mut plain, &raw mut string),
    )?;
    let string = Owned(string);
    success(
        "WdfRegistryQueryString",
        wdf!(WdfRegistryQueryString, key.0, &raw const name, string.0),
    )?;
    let mut read = UNICODE_STRING::default();
    wdf!(WdfStringGetUnicodeString, string.0, &raw mut read);
    equal!(text(&read), text(&value), "the string in an object");
    Ok(())
}

pub(super) fn values_are_checked_for_type_and_length(_: WDFDEVICE) -> Verdict {
    let key = parameters()?;
    let name = utf16!("TestBytes");
    let name = unicode_string(&name);
    let mut bytes: Vec<u8> = (0..100).collect();
    let assigned = wdf!(
        WdfRegistryAssignValue,
        key.0,
        &raw const name,
        REG_BINARY,
        100,
        bytes.as_mut_ptr().cast()
    );
    success("WdfRegistryAssignValue", assigned)?;
    let mut buffer = [0_u8; 100];
    let (mut length, mut kind) = (0, 0);
    let mut query = |room: u32| {
        let status = wdf!(
            WdfRegistryQueryValue,
            key.0,
            &raw const name,
            room,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
            &raw mut kind
        );
        (status, length, kind)
    };
    let (status, needed, _) = query(99);
    status!(status, STATUS_BUFFER_OVERFLOW, "99 bytes for 100");
    equal!(needed, 100, "the length that is needed");
    let (status, read, kind) = query(100);
    success("WdfRegistryQueryValue", status)?;
    equal!((read, kind), (100, REG_BINARY), "length and type");
    equal!(buffer.as_slice(), bytes.as_slice(), "the bytes");

    let mut memory: WDFMEMORY = ptr::null_mut();
    let mut plain = attributes();
    let mut kind = 0;
    let queried = wdf!(
        WdfRegistryQueryMemory,
        key.0,
        &raw const name,
        wdk_sys::_POOL_TYPE::NonPagedPoolNx,
        &raw mut plain,
        &raw mut memory,
        &raw mut kind
    );
    success("WdfRegistryQueryMemory", queried)?;
    let memory = Owned(memory);
    let mut length = 0;
    let start: PVOID = wdf!(WdfMemoryGetBuffer, memory.0, &raw mut length);
    // SAFETY: the memory object says that so many bytes are there.
    let read = unsafe { core::slice::from_raw_parts(start.cast::<u8>(), length) };
    equal!(read, bytes.as_slice(), "the bytes in a memory object");

    let mut number = 0;
    let queried = wdf!(WdfRegistryQueryULong, key.0, &raw const name, &raw mut number);
    status!(queried, STATUS_OBJECT_TYPE_MISMATCH, "bytes as a number");
    let absent = utf16!("TestNothing");
    let absent = unicode_string(&absent);
    let queried = wdf!(WdfRegistryQueryULong, key.0, &raw const absent, &raw mut number);
    status!(queried, STATUS_OBJECT_NAME_NOT_FOUND, "a value that is not there");
    Ok(())
}

pub(super) fn values_and_keys_are_removed(_: WDFDEVICE) -> Verdict {
    let parent = parameters()?;
    let name = utf16!("TestKey");
    let name = unicode_string(&name);
    let mut key: WDFKEY = ptr::null_mut();
    let created = wdf!(
        WdfRegistryCreateKey,
        parent.0,
        &raw const name,
        KEY_ALL_ACCESS,
        REG_OPTION_NON_VOLATILE,
        ptr::null_mut(),
        ptr::null_mut(),
        &raw mut key
    );
    success("WdfRegistryCreateKey", created)?;
    let value = utf16!("Value");
    let value = unicode_string(&value);
    success(
        "WdfRegistryAssignULong",
        wdf!(WdfRegistryAssignULong, key, &raw const value, 1),
    )?;
    success(
        "WdfRegistryRemoveValue",
        wdf!(WdfRegistryRemoveValue, key, &raw const value),
    )?;
    let mut number = 0;
    let queried = wdf!(WdfRegistryQueryULong, key, &raw const value, &raw mut number);
    status!(
        queried,
        STATUS_OBJECT_NAME_NOT_FOUND,
        "the value that was removed"
    );
    success("WdfRegistryRemoveKey", wdf!(WdfRegistryRemoveKey, key))?;
    let mut again: WDFKEY = ptr::null_mut();
    let opened = wdf!(
        WdfRegistryOpenKey,
        parent.0,
        &raw const name,
        KEY_ALL_ACCESS,
        ptr::null_mut(),
        &raw mut again
    );
    status!(opened, STATUS_OBJECT_NAME_NOT_FOUND, "the key that was removed");
    Ok(())
}

pub(super) fn the_registry_path_is_the_services(_: WDFDEVICE) -> Verdict {
    let path = wdf!(WdfDriverGetRegistryPath, driver());
    check!(!path.is_null(), "there is no registry path");
    let mut units = Vec::new();
    loop {
        // SAFETY: the path ends with a NUL, and is read up to it.
        let unit = unsafe { path.add(units.len()) };
        // SAFETY: as above.
        let unit = unsafe { unit.read() };
        if unit == 0 || units.len() > 512 {
            break;
        }
        units.push(unit);
    }
    let path = String::from_utf16_lossy(&units).to_ascii_lowercase();
    check!(
        path.starts_with(r"\registry\machine\") && path.ends_with(&alloc::format!(r"\services\{SERVICE}")),
        "the registry path is {path}"
    );
    Ok(())
}
