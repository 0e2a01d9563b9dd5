//! `WDF_REQUEST_PARAMETERS`, filled in from the IRP.

use wdk_sys::{
    _WDF_REQUEST_PARAMETERS__bindgen_ty_1 as Parameters, WDF_REQUEST_PARAMETERS, WDF_REQUEST_TYPE,
};

use super::Request;
use crate::io::irp;

#[allow(clippy::cast_possible_truncation, reason = "40 bytes")]
const SIZE: u16 = size_of::<WDF_REQUEST_PARAMETERS>() as u16;
const _: () = assert!(SIZE == 40);

/// The parameters of a request.
pub(crate) fn of(request: &Request) -> WDF_REQUEST_PARAMETERS {
    let irp = request.irp();
    // SAFETY: all-zero is valid for a structure of numbers and pointers.
    let mut parameters: Parameters = unsafe { core::mem::zeroed() };
    match request.major {
        irp::CREATE => {
            let given = irp.create();
            parameters.Create.SecurityContext = given.SecurityContext;
            parameters.Create.Options = given.Options;
            parameters.Create.FileAttributes = given.FileAttributes;
            parameters.Create.ShareAccess = given.ShareAccess;
            parameters.Create.EaLength = given.EaLength;
        }
        irp::READ | irp::WRITE => {
            // Read and Write have one layout.
            let span = irp.span();
            parameters.Read.Length = span.length;
            parameters.Read.Key = span.key;
            parameters.Read.DeviceOffset = span.offset;
        }
        irp::DEVICE_CONTROL => {
            let ioctl = irp.ioctl();
            parameters.DeviceIoControl.OutputBufferLength = ioctl.output;
            parameters.DeviceIoControl.InputBufferLength = ioctl.input;
            parameters.DeviceIoControl.IoControlCode = ioctl.code;
            parameters.DeviceIoControl.Type3InputBuffer = ioctl.type3_input;
        }
        _ => {
            let [one, two, _, four] = irp.others();
            parameters.Others.Arg1 = one;
            parameters.Others.Arg2 = two;
            parameters.Others.IoControlCode = irp.ioctl().code;
            parameters.Others.Arg4 = four;
        }
    }
    WDF_REQUEST_PARAMETERS {
        Size: SIZE,
        MinorFunction: irp.minor(),
        Type: WDF_REQUEST_TYPE::from(request.major),
        Parameters: parameters,
    }
}
