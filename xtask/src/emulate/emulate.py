"""Runs a KMDF driver's entry under speakeasy, an emulator of Windows that is not ours, and judges what it does.

Usage: emulate.py DRIVER.sys VERSION

speakeasy has its own idea of WdfVersionBind and of the framework's function table. What it lacks is hooked here:
WdfVersionUnbind, event tracing, and the failures. For each case a line `ok CASE` or `FAILED CASE: REASON`; the exit status is 0 only
if all are ok.
"""

import contextlib
import io
import json
import logging
import struct
import sys

import pefile
from speakeasy import Speakeasy

STATUS_SUCCESS = 0
STATUS_REFUSED = 0xC0000059  # STATUS_REVISION_MISMATCH
STATUS_NO_MEMORY = 0xC000009A  # STATUS_INSUFFICIENT_RESOURCES

# What a KMDF 1.15 client for 64 bits says of itself.
BIND_INFO_SIZE = 0x30
COMPONENT = "KmdfLibrary"
VERSION = (1, 15)
FUNCTIONS = 444
DRIVER_CONFIG_SIZE = 0x20

# Places in DRIVER_OBJECT and WDF_DRIVER_GLOBALS.
DRIVER_UNLOAD = 0x68
DISPLACE_DRIVER_UNLOAD = 0x30


class Run:
    """One run of the driver: what it called, what it handed over, and how its entry ended."""

    def __init__(self, driver, bind_status=STATUS_SUCCESS, create_status=STATUS_SUCCESS):
        self.calls = []
        self.bind = None
        self.config = None
        self.bind_status = bind_status
        self.create_status = create_status
        self.driver_object = None
        # Providers that are registered for event tracing: what is left of them outlives the image.
        self.providers = 0

        emulator = Speakeasy(logger=logging.getLogger("speakeasy"))
        self.emulator = emulator
        module = emulator.load_module(driver)
        self.image = (module.base, module.base + module.image_size)
        for name, hook, arguments in [
            ("WdfVersionBind", self.on_bind, 4),
            ("WdfVersionUnbind", self.on_unbind, 3),
            ("WdfDriverCreate", self.on_create, 6),
        ]:
            emulator.add_api_hook(hook, module="wdfldr", api_name=name, argc=arguments)
        for name, hook, arguments in [
            ("EtwRegister", self.on_register, 4),
            ("EtwUnregister", self.on_unregister, 1),
            ("EtwSetInformation", self.on_nothing, 4),
            ("EtwWriteTransfer", self.on_nothing, 6),
        ]:
            emulator.add_api_hook(hook, module="ntoskrnl", api_name=name, argc=arguments)
        emulator.run_module(module)
        self.ended("entry_point")

    def read(self, address, size):
        return bytes(self.emulator.mem_read(address, size))

    def on_bind(self, emulator, name, original, arguments):
        self.calls.append("bind")
        info = self.read(arguments[2], BIND_INFO_SIZE)
        size, _, component, major, minor, build, functions, table, module = struct.unpack("<IIQIIIIQQ", info)
        text = self.read(component, 2 * len(COMPONENT) + 2).decode("utf-16-le")
        self.bind = {
            "size": size,
            "component": text.rstrip("\0"),
            "version": (major, minor),
            "functions": functions,
            "table": table,
        }
        self.driver_object = arguments[0]
        if self.bind_status:
            return self.bind_status
        status = original(arguments)
        # As KMDF does for a driver that is no miniport: the client's unload routine is to come last.
        (driver_globals,) = struct.unpack("<Q", self.read(arguments[3], 8))
        self.emulator.mem_write(driver_globals + DISPLACE_DRIVER_UNLOAD, b"\1")
        return status

    def on_unbind(self, emulator, name, original, arguments):
        self.calls.append("unbind")
        return STATUS_SUCCESS

    def on_create(self, emulator, name, original, arguments):
        self.calls.append("create")
        size, _, device_add, _, _, _ = struct.unpack("<IIQQII", self.read(arguments[4], DRIVER_CONFIG_SIZE))
        self.config = {"size": size, "device_add": device_add}
        return self.create_status if self.create_status else original(arguments)

    def on_register(self, emulator, name, original, arguments):
        self.providers += 1
        self.emulator.mem_write(arguments[3], struct.pack("<Q", self.providers))
        return STATUS_SUCCESS

    def on_unregister(self, emulator, name, original, arguments):
        self.providers -= 1
        return STATUS_SUCCESS

    def on_nothing(self, emulator, name, original, arguments):
        return STATUS_SUCCESS

    def ended(self, point):
        """How the run of an entry point ended: what it returned."""
        report = json.loads(self.emulator.get_json_report())["entry_points"]
        found = [entry for entry in report if entry["ep_type"].startswith(point)]
        assert found, f"{point} did not run"
        assert not found[-1].get("error"), f"{point} was stopped: {found[-1]['error']}"
        return int(found[-1]["ret_val"], 16)

    def entry_status(self):
        return self.ended("entry_point")

    def unload(self):
        (routine,) = struct.unpack("<Q", self.read(self.driver_object + DRIVER_UNLOAD, 8))
        low, high = self.image
        assert low <= routine < high, f"the unload routine {routine:#x} is not in the image"
        self.emulator.call(routine, [self.driver_object])
        self.ended("call_")


def expect(what, found, wanted):
    assert found == wanted, f"{what} is {found!r}, not {wanted!r}"


def loads_and_unloads(driver, _version):
    run = Run(driver)
    expect("the entry's status", run.entry_status(), STATUS_SUCCESS)
    bind = run.bind
    expect("the bind information's size", bind["size"], BIND_INFO_SIZE)
    expect("its component", bind["component"], COMPONENT)
    expect("its version", bind["version"], VERSION)
    expect("its number of functions", bind["functions"], FUNCTIONS)
    low, high = run.image
    assert low <= bind["table"] < high, "the place for the function table is not in the image"
    expect("the driver configuration's size", run.config["size"], DRIVER_CONFIG_SIZE)
    assert low <= run.config["device_add"] < high, "EvtDriverDeviceAdd is not in the image"
    expect("the order of calls", run.calls, ["bind", "create"])
    expect("the number of event providers", run.providers, 1)
    run.unload()
    # It is the framework that calls EvtDriverUnload, where the provider's registration ends; the emulator's does not.
    expect("the order of calls", run.calls, ["bind", "create", "unbind"])


def a_refused_bind_ends_the_entry(driver, _version):
    run = Run(driver, bind_status=STATUS_REFUSED)
    expect("the entry's status", run.entry_status(), STATUS_REFUSED)
    expect("the order of calls", run.calls, ["bind"])


def a_refused_driver_object_is_unbound(driver, _version):
    run = Run(driver, create_status=STATUS_NO_MEMORY)
    expect("the entry's status", run.entry_status(), STATUS_NO_MEMORY)
    expect("the order of calls", run.calls, ["bind", "create", "unbind"])
    expect("the number of event providers", run.providers, 0)


def the_version_resource_says_the_version(driver, version):
    image = pefile.PE(driver)
    assert image.verify_checksum(), "the checksum is wrong"
    fixed = image.VS_FIXEDFILEINFO[0]
    numbers = [fixed.FileVersionMS >> 16, fixed.FileVersionMS & 0xFFFF]
    numbers += [fixed.FileVersionLS >> 16, fixed.FileVersionLS & 0xFFFF]
    expect("the file version", ".".join(map(str, numbers)), version)
    strings = {
        key: value
        for info in image.FileInfo[0]
        for table in getattr(info, "StringTable", [])
        for key, value in table.entries.items()
    }
    expect("the original file name", strings[b"OriginalFilename"].decode(), driver.rsplit("/")[-1])


CASES = [
    loads_and_unloads,
    a_refused_bind_ends_the_entry,
    a_refused_driver_object_is_unbound,
    the_version_resource_says_the_version,
]


def main(driver, version):
    failed = 0
    for case in CASES:
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                case(driver, version)
            print(f"ok {case.__name__}")
        except Exception as error:  # whatever it is, it is this case's verdict
            failed += 1
            print(f"FAILED {case.__name__}: {error!r}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
