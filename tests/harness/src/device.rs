//! The seam between what is verified and what carries it.
//!
//! A scenario needs a few things of Windows: to open the device more than once, to have many control codes pending, to
//! wait for one with a bound, to cancel one, to close a handle under one, and to see the device vanish. These traits are
//! that list. `windows` gives it for an installed driver; the tests give it in memory.

use std::time::Duration;

use crate::{Error, NtStatus};

/// What a handle is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `GENERIC_READ`: look, change nothing.
    Read,
    /// `GENERIC_READ | GENERIC_WRITE`
    ReadWrite,
}

/// A way to the driver.
pub trait Transport: Sync {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::AccessDenied`], or what the system said.
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error>;

    /// Takes the device away while handles are open, as a cable that is pulled.
    ///
    /// # Errors
    /// [`Error::NotSupported`] where that cannot be done, with the reason; nothing was removed then.
    fn surprise_remove(&self) -> Result<(), Error>;

    /// Brings the device back after [`Transport::surprise_remove`].
    ///
    /// # Errors
    /// What the system said.
    fn restore(&self) -> Result<(), Error>;

    /// Unloads the driver, whose device was removed: it has to account for what it took. Nothing where the device is all
    /// that there is to unload.
    ///
    /// # Errors
    /// What the system said.
    fn unload(&self) -> Result<(), Error>;

    /// One more device of the same driver, which goes when the result is dropped.
    ///
    /// # Errors
    /// [`Error::NotSupported`] where that cannot be done, with the reason; what the system said.
    fn second(&self) -> Result<Box<dyn Transport + '_>, Error>;

    /// Another process, which [loads](crate::load) the driver from now on until it is killed. It is under way when this
    /// returns.
    ///
    /// # Errors
    /// What the system said.
    fn process(&self) -> Result<Box<dyn Process + '_>, Error>;
}

impl<T: Transport + ?Sized> Transport for &T {
    fn open(&self, access: Access) -> Result<Box<dyn Device>, Error> {
        (**self).open(access)
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        (**self).surprise_remove()
    }

    fn restore(&self) -> Result<(), Error> {
        (**self).restore()
    }

    fn unload(&self) -> Result<(), Error> {
        (**self).unload()
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        (**self).second()
    }

    fn process(&self) -> Result<Box<dyn Process + '_>, Error> {
        (**self).process()
    }
}

/// A process under way.
pub trait Process {
    /// Ends it as a task manager does: none of its code runs any more, and the system closes its handles.
    ///
    /// # Errors
    /// What the system said.
    fn kill(self: Box<Self>) -> Result<(), Error>;
}

/// An open handle. Dropping it closes it, also under requests that are pending: they live on and complete as the driver
/// decides.
pub trait Device: Send + Sync {
    /// Sends a control code. The driver has not necessarily finished when it returns, nor even succeeded.
    ///
    /// # Errors
    /// Only what kept the request from being sent; what the driver says of it is in its [`Completion`].
    fn submit(&self, code: u32, input: &[u8], output: usize) -> Result<Box<dyn Request>, Error>;
}

/// A control code on its way. Dropping it cancels it.
pub trait Request: Send {
    /// Waits for its completion; `None` when `timeout` ended first, and it may be waited for again.
    /// A completion is handed out once.
    ///
    /// # Errors
    /// Only what kept it from being waited for.
    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, Error>;

    /// Asks for its cancellation; nothing happens if it is complete or its handle closed. The completion still comes.
    ///
    /// # Errors
    /// What the system said.
    fn cancel(&self) -> Result<(), Error>;
}

/// How a control code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What the IRP was completed with.
    pub status: NtStatus,
    /// As much of the output as the driver filled; empty when the status is an error.
    pub output: Vec<u8>,
}
