//! This machine, as the command line sees it.

use std::{path::Path, time::Duration};

use super::{Installed, devices, elevation, install, interface, service};
use crate::{DRIVER, Error, cli::System, device::Transport};

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

impl System for Here {
    fn transport(&self, inf: Option<&Path>, timeout: Duration) -> Box<dyn Transport + '_> {
        // Without one, what needs it says so.
        let inf = install::inf(&DRIVER, inf).ok();
        Box::new(Installed::new(&DRIVER, inf, timeout))
    }

    fn install(
        &self,
        inf: Option<&Path>,
        timeout: Duration,
        say: &mut dyn FnMut(String),
    ) -> Result<(), Error> {
        let inf = install::inf(&DRIVER, inf)?;
        install::install(&DRIVER, &inf, timeout, say)
    }

    fn uninstall(&self, timeout: Duration, say: &mut dyn FnMut(String)) -> Result<(), Error> {
        let removed = install::uninstall(&DRIVER, timeout)?;
        for node in &removed.nodes {
            say(format!("removed {}", node.instance_id));
        }
        say(match (removed.nodes.is_empty(), removed.service) {
            (true, false) => "nothing was installed".into(),
            (_, true) => format!("removed the service {}", DRIVER.service),
            (false, false) => "there was no service".into(),
        });
        Ok(())
    }

    fn facts(&self) -> Result<Vec<(String, String)>, Error> {
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let elevated = if elevation::is_elevated() { "yes" } else { "no" };
        let state = format!("{}: {:?}", DRIVER.service, service::state(&DRIVER)?);
        let mut facts = vec![
            fact("elevated", elevated.into()),
            fact("service", state.to_lowercase()),
        ];
        for node in devices::list(&DRIVER)? {
            facts.push(fact(
                "device",
                match &node.published_inf {
                    Some(inf) => format!("{} ({inf})", node.instance_id),
                    None => node.instance_id.clone(),
                },
            ));
        }
        facts.extend(
            interface::paths(&DRIVER)?
                .into_iter()
                .map(|path| fact("interface", path)),
        );
        Ok(facts)
    }
}
