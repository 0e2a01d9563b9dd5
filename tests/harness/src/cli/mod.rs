//! The command line: what can be asked, and what is said.
//!
//! It is a part of the library and speaks to the driver through a [`System`], so that its tests run the very commands
//! over a device in memory, and the program is nothing but the Windows one handed to [`run`].

mod arguments;
mod bench;
mod commands;
mod judge;
mod loads;
mod output;
mod print;
mod table;
mod watch;

use std::{path::Path, process::ExitCode, time::Duration};

pub use arguments::Arguments;

use crate::{Error, device::Transport};

/// What commands need of the system beyond a way to the driver.
pub trait System {
    /// The way to the driver. `inf` brings a removed device back.
    fn transport(&self, inf: Option<&Path>, timeout: Duration) -> Box<dyn Transport + '_>;

    /// Installs the driver, saying what it does.
    ///
    /// # Errors
    /// What the system said.
    fn install(
        &self,
        inf: Option<&Path>,
        timeout: Duration,
        say: &mut dyn FnMut(String),
    ) -> Result<(), Error>;

    /// Removes the driver, saying what it does.
    ///
    /// # Errors
    /// What the system said.
    fn uninstall(&self, timeout: Duration, say: &mut dyn FnMut(String)) -> Result<(), Error>;

    /// What is installed, as names and values.
    ///
    /// # Errors
    /// What the system said.
    fn facts(&self) -> Result<Vec<(String, String)>, Error>;
}

/// Does what was asked, and says why if it cannot.
#[must_use]
pub fn run(arguments: &Arguments, system: &dyn System) -> ExitCode {
    commands::run(arguments, system).unwrap_or_else(|error| print::failure(&error))
}

/// A machine without Windows: there is no driver to talk to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl Nowhere {
    fn not_here<T>() -> Result<T, Error> {
        let name = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
        Err(Error::NotSupported(format!(
            "this build of the harness has no Windows driver to talk to: `cargo xtask harness {name}` runs the \
             Windows one"
        )))
    }
}

impl System for Nowhere {
    fn transport(&self, _: Option<&Path>, _: Duration) -> Box<dyn Transport + '_> {
        Box::new(*self)
    }

    fn install(&self, _: Option<&Path>, _: Duration, _: &mut dyn FnMut(String)) -> Result<(), Error> {
        Self::not_here()
    }

    fn uninstall(&self, _: Duration, _: &mut dyn FnMut(String)) -> Result<(), Error> {
        Self::not_here()
    }

    fn facts(&self) -> Result<Vec<(String, String)>, Error> {
        Self::not_here()
    }
}

impl Transport for Nowhere {
    fn open(&self, _: crate::device::Access) -> Result<Box<dyn crate::device::Device>, Error> {
        Self::not_here()
    }

    fn surprise_remove(&self) -> Result<(), Error> {
        Self::not_here()
    }

    fn restore(&self) -> Result<(), Error> {
        Self::not_here()
    }

    fn unload(&self) -> Result<(), Error> {
        Self::not_here()
    }

    fn second(&self) -> Result<Box<dyn Transport + '_>, Error> {
        Self::not_here()
    }

    fn process(&self) -> Result<Box<dyn crate::device::Process + '_>, Error> {
        Self::not_here()
    }
}
