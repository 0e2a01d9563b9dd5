//! WDFKEY: registry keys and their values.

use alloc::vec::Vec;

use wdk_sys::{
    ACCESS_MASK, HANDLE, NTSTATUS, PCUNICODE_STRING, POOL_TYPE, PULONG, PUNICODE_STRING, PUSHORT, PVOID,
    PWDF_OBJECT_ATTRIBUTES, PWDFMEMORY_OFFSET, ULONG, UNICODE_STRING, WDFCOLLECTION, WDFKEY, WDFMEMORY,
    WDFSTRING,
};

use crate::call::{self, Call, bytes, wdf};
use crate::collection::Collection;
use crate::memory::{self, Memory};
use crate::nt::registry::{Key, REG_DWORD};
use crate::nt::string::{self, Utf16};
use crate::nt::{check, status};
use crate::object::{self, Kind, Ref, Type};
use crate::string::WdfString;
use crate::table::entries;

/// `REG_SZ`.
const REG_SZ: u32 = 1;
/// `REG_MULTI_SZ`.
const REG_MULTI_SZ: u32 = 7;

/// The body of a WDFKEY.
pub(crate) struct WdfKey(Key);

impl Kind for WdfKey {
    const TYPE: Type = Type::Key;
}

fn name_of(name: PCUNICODE_STRING) -> Result<UNICODE_STRING, NTSTATUS> {
    call::read(name).ok_or(status::INVALID_PARAMETER)
}

/// Makes the WDFKEY of an opened key.
fn give(
    call: &Call,
    opened: Key,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    key: *mut WDFKEY,
) -> Result<(), NTSTATUS> {
    let attributes = call.attributes(attributes)?.without_constraints()?;
    let parent = call.parent_or_driver(&attributes);
    call::write(
        key,
        call.create(attributes, &parent, WdfKey(opened))?
            .header()
            .handle(),
    );
    Ok(())
}

/// Opens a key, creating it where it does not exist, and makes its WDFKEY.
///
/// # Errors
/// The registry's, and those of a create.
pub(crate) fn create_key(
    call: &Call,
    root: Option<&Key>,
    path: &Utf16,
    access: u32,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    key: *mut WDFKEY,
) -> Result<(), NTSTATUS> {
    let (opened, _) = Key::create(root, path.as_unicode(), access, 0)?;
    give(call, opened, attributes, key)
}

/// The value, if it is of this type.
fn typed(key: &Ref<WdfKey>, name: PCUNICODE_STRING, wanted: u32) -> Result<Vec<u8>, NTSTATUS> {
    let (kind, data) = key.0.query(name_of(name)?)?;
    if kind == wanted {
        Ok(data)
    } else {
        Err(status::OBJECT_TYPE_MISMATCH)
    }
}

fn to_units(data: &[u8]) -> Vec<u16> {
    data.chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// A REG_SZ's characters, without the terminating zero.
fn characters(data: &[u8]) -> Vec<u16> {
    let mut units = to_units(data);
    while units.last() == Some(&0) {
        units.pop();
    }
    units
}

fn to_bytes(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

fn zero_terminated(string: &[u16]) -> Vec<u8> {
    let mut data = to_bytes(string);
    data.extend([0, 0]);
    data
}

fn assign(key: &Ref<WdfKey>, name: PCUNICODE_STRING, kind: u32, data: &[u8]) -> Result<(), NTSTATUS> {
    check(key.0.set(name_of(name)?, kind, data)).map(|_| ())
}

wdf! {
    /// WdfRegistryOpenKey. IRQL: PASSIVE_LEVEL. Without a parent key the name is a full path.
    fn WdfRegistryOpenKey(
        call,
        parent: WDFKEY,
        name: PCUNICODE_STRING,
        access: ACCESS_MASK,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        key: *mut WDFKEY,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let parent = call.get_optional::<WdfKey>(parent);
            let opened = Key::open(parent.as_ref().map(|parent| &parent.0), name_of(name)?, access)?;
            give(call, opened, attributes, key)
        })
    }

    /// WdfRegistryCreateKey. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryCreateKey(
        call,
        parent: WDFKEY,
        name: PCUNICODE_STRING,
        access: ACCESS_MASK,
        options: ULONG,
        disposition: PULONG,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        key: *mut WDFKEY,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let parent = call.get_optional::<WdfKey>(parent);
            let root = parent.as_ref().map(|parent| &parent.0);
            let (opened, what) = Key::create(root, name_of(name)?, access, options)?;
            call::write(disposition, what);
            give(call, opened, attributes, key)
        })
    }

    /// WdfRegistryClose. IRQL: PASSIVE_LEVEL. Deletes the object.
    fn WdfRegistryClose(call, key: WDFKEY) {
        call.passive();
        object::delete(call.get::<WdfKey>(key).into_any());
    }

    /// WdfRegistryWdmGetHandle. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryWdmGetHandle(call, key: WDFKEY) -> HANDLE {
        call.get::<WdfKey>(key).0.handle()
    }

    /// WdfRegistryRemoveKey. IRQL: PASSIVE_LEVEL. Deletes key and object.
    fn WdfRegistryRemoveKey(call, key: WDFKEY) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let key = call.get::<WdfKey>(key);
            check(key.0.delete())?;
            object::delete(key.into_any());
            Ok(())
        })
    }

    /// WdfRegistryRemoveValue. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryRemoveValue(call, key: WDFKEY, name: PCUNICODE_STRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            check(call.get::<WdfKey>(key).0.remove(name_of(name)?)).map(|_| ())
        })
    }

    /// WdfRegistryQueryValue. IRQL: PASSIVE_LEVEL. STATUS_BUFFER_OVERFLOW, with the length, if the buffer is too short.
    fn WdfRegistryQueryValue(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        length: ULONG,
        value: PVOID,
        queried: PULONG,
        kind: PULONG,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let (found, data) = call.get::<WdfKey>(key).0.query(name_of(name)?)?;
            call::write(queried, u32::try_from(data.len()).unwrap_or(u32::MAX));
            call::write(kind, found);
            if data.len() > length as usize {
                return Err(status::BUFFER_OVERFLOW);
            }
            call::copy(value, data.as_ptr().cast(), data.len());
            Ok(())
        })
    }

    /// WdfRegistryQueryMemory. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryQueryMemory(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        pool_type: POOL_TYPE,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        memory: *mut WDFMEMORY,
        kind: PULONG,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let (found, data) = call.get::<WdfKey>(key).0.query(name_of(name)?)?;
            let parent = call.parent_or_driver(&attributes);
            let created = memory::create(call.globals, attributes, &parent, || {
                Memory::allocate(call.globals, pool_type, 0, data.len())
            })?;
            call::copy(created.buffer().0, data.as_ptr().cast(), data.len());
            call::write(kind, found);
            call::write(memory, created.header().handle());
            Ok(())
        })
    }

    /// WdfRegistryQueryMultiString. IRQL: PASSIVE_LEVEL. STATUS_OBJECT_TYPE_MISMATCH unless it is a REG_MULTI_SZ.
    fn WdfRegistryQueryMultiString(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        attributes: PWDF_OBJECT_ATTRIBUTES,
        collection: WDFCOLLECTION,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let attributes = call.attributes(attributes)?.without_constraints()?;
            let collection = call.get::<Collection>(collection);
            let data = typed(&call.get::<WdfKey>(key), name, REG_MULTI_SZ)?;
            let parent = call.parent(&attributes).unwrap_or_else(|| collection.any().clone());
            for part in to_units(&data).split(|unit| *unit == 0).filter(|part| !part.is_empty()) {
                let string = call.create(attributes, &parent, WdfString::new(Utf16::new(part)))?;
                collection.add(string.into_any());
            }
            Ok(())
        })
    }

    /// WdfRegistryQueryUnicodeString. IRQL: PASSIVE_LEVEL. STATUS_OBJECT_TYPE_MISMATCH unless it is a REG_SZ,
    /// STATUS_BUFFER_OVERFLOW, with the length, if the string's buffer is too short.
    fn WdfRegistryQueryUnicodeString(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        length: PUSHORT,
        value: PUNICODE_STRING,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let units = characters(&typed(&call.get::<WdfKey>(key), name, REG_SZ)?);
            let needed = u16::try_from(units.len() * 2).map_err(|_| status::INTEGER_OVERFLOW)?;
            call::write(length, needed);
            let Some(mut room) = call::read(value.cast_const()) else { return Ok(()) };
            if room.MaximumLength < needed {
                return Err(status::BUFFER_OVERFLOW);
            }
            call::copy(room.Buffer.cast(), units.as_ptr().cast(), needed.into());
            room.Length = needed;
            call::write(value, room);
            Ok(())
        })
    }

    /// WdfRegistryQueryString. IRQL: PASSIVE_LEVEL. STATUS_OBJECT_TYPE_MISMATCH unless it is a REG_SZ.
    fn WdfRegistryQueryString(call, key: WDFKEY, name: PCUNICODE_STRING, string: WDFSTRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let string = call.get::<WdfString>(string);
            let units = characters(&typed(&call.get::<WdfKey>(key), name, REG_SZ)?);
            call.may_allocate()?;
            string.set(Utf16::new(&units));
            Ok(())
        })
    }

    /// WdfRegistryQueryULong. IRQL: PASSIVE_LEVEL. STATUS_OBJECT_TYPE_MISMATCH unless it is a REG_DWORD.
    fn WdfRegistryQueryULong(call, key: WDFKEY, name: PCUNICODE_STRING, value: PULONG) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let data = typed(&call.get::<WdfKey>(key), name, REG_DWORD)?;
            let data = data.try_into().map_err(|_| status::OBJECT_TYPE_MISMATCH)?;
            call::write(value, u32::from_le_bytes(data));
            Ok(())
        })
    }

    /// WdfRegistryAssignValue. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryAssignValue(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        kind: ULONG,
        length: ULONG,
        value: PVOID,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            assign(&call.get::<WdfKey>(key), name, kind, bytes(value, length as usize))
        })
    }

    /// WdfRegistryAssignMemory. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryAssignMemory(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        kind: ULONG,
        memory: WDFMEMORY,
        offsets: PWDFMEMORY_OFFSET,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let key = call.get::<WdfKey>(key);
            let memory = call.get::<Memory>(memory);
            let size = memory.buffer().1;
            let (offset, length) = match call::read(offsets.cast_const()) {
                Some(part) if part.BufferLength != 0 => (part.BufferOffset, part.BufferLength),
                Some(part) => (part.BufferOffset, size.saturating_sub(part.BufferOffset)),
                None => (0, size),
            };
            assign(&key, name, kind, bytes(memory.range(offset, length)?, length))
        })
    }

    /// WdfRegistryAssignMultiString. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryAssignMultiString(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        strings: WDFCOLLECTION,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let key = call.get::<WdfKey>(key);
            let mut data = Vec::new();
            for item in call.get::<Collection>(strings).items() {
                let string = item.downcast::<WdfString>().ok_or(status::INVALID_PARAMETER)?;
                data.extend(zero_terminated(string.value().units()));
            }
            data.extend([0, 0]);
            assign(&key, name, REG_MULTI_SZ, &data)
        })
    }

    /// WdfRegistryAssignUnicodeString. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryAssignUnicodeString(
        call,
        key: WDFKEY,
        name: PCUNICODE_STRING,
        value: PCUNICODE_STRING,
    ) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let value = string::copy(value).ok_or(status::INVALID_PARAMETER)?;
            assign(&call.get::<WdfKey>(key), name, REG_SZ, &zero_terminated(value.units()))
        })
    }

    /// WdfRegistryAssignString. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryAssignString(call, key: WDFKEY, name: PCUNICODE_STRING, string: WDFSTRING) -> NTSTATUS {
        call.run(|| {
            call.passive();
            let value = call.get::<WdfString>(string).value();
            assign(&call.get::<WdfKey>(key), name, REG_SZ, &zero_terminated(value.units()))
        })
    }

    /// WdfRegistryAssignULong. IRQL: PASSIVE_LEVEL.
    fn WdfRegistryAssignULong(call, key: WDFKEY, name: PCUNICODE_STRING, value: ULONG) -> NTSTATUS {
        call.run(|| {
            call.passive();
            assign(&call.get::<WdfKey>(key), name, REG_DWORD, &value.to_le_bytes())
        })
    }
}

entries! {
    WdfRegistryOpenKeyTableIndex: PFN_WDFREGISTRYOPENKEY = WdfRegistryOpenKey;
    WdfRegistryCreateKeyTableIndex: PFN_WDFREGISTRYCREATEKEY = WdfRegistryCreateKey;
    WdfRegistryCloseTableIndex: PFN_WDFREGISTRYCLOSE = WdfRegistryClose;
    WdfRegistryWdmGetHandleTableIndex: PFN_WDFREGISTRYWDMGETHANDLE = WdfRegistryWdmGetHandle;
    WdfRegistryRemoveKeyTableIndex: PFN_WDFREGISTRYREMOVEKEY = WdfRegistryRemoveKey;
    WdfRegistryRemoveValueTableIndex: PFN_WDFREGISTRYREMOVEVALUE = WdfRegistryRemoveValue;
    WdfRegistryQueryValueTableIndex: PFN_WDFREGISTRYQUERYVALUE = WdfRegistryQueryValue;
    WdfRegistryQueryMemoryTableIndex: PFN_WDFREGISTRYQUERYMEMORY = WdfRegistryQueryMemory;
    WdfRegistryQueryMultiStringTableIndex: PFN_WDFREGISTRYQUERYMULTISTRING = WdfRegistryQueryMultiString;
    WdfRegistryQueryUnicodeStringTableIndex: PFN_WDFREGISTRYQUERYUNICODESTRING = WdfRegistryQueryUnicodeString;
    WdfRegistryQueryStringTableIndex: PFN_WDFREGISTRYQUERYSTRING = WdfRegistryQueryString;
    WdfRegistryQueryULongTableIndex: PFN_WDFREGISTRYQUERYULONG = WdfRegistryQueryULong;
    WdfRegistryAssignValueTableIndex: PFN_WDFREGISTRYASSIGNVALUE = WdfRegistryAssignValue;
    WdfRegistryAssignMemoryTableIndex: PFN_WDFREGISTRYASSIGNMEMORY = WdfRegistryAssignMemory;
    WdfRegistryAssignMultiStringTableIndex: PFN_WDFREGISTRYASSIGNMULTISTRING = WdfRegistryAssignMultiString;
    WdfRegistryAssignUnicodeStringTableIndex: PFN_WDFREGISTRYASSIGNUNICODESTRING = WdfRegistryAssignUnicodeString;
    WdfRegistryAssignStringTableIndex: PFN_WDFREGISTRYASSIGNSTRING = WdfRegistryAssignString;
    WdfRegistryAssignULongTableIndex: PFN_WDFREGISTRYASSIGNULONG = WdfRegistryAssignULong;
}
