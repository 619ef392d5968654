//! What everybody on the machine can read of its processes.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::Secrets;

/// Neither a service nor its server has a secret among its arguments, and the server has none in its environment either.
pub(super) fn ensure_discreet(secrets: &Secrets, data: &Path) -> Result<()> {
    let read = |path: &Path| {
        // A process that ended in between has nothing to hide.
        let bytes = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let mut processes = 0;
    for process in fs::read_dir("/proc")?.flatten().map(|entry| entry.path()) {
        // The service works in its directory, and the server in its own below; entries that are no process have none.
        let working = fs::read_link(process.join("cwd")).unwrap_or_default();
        if !working.starts_with(data) {
            continue;
        }
        processes += 1;
        let arguments = read(&process.join("cmdline"));
        secrets.ensure_absent(&format!("the arguments of {}", process.display()), &arguments)?;
        if working.starts_with(data.join("embedded")) {
            let environment = read(&process.join("environ"));
            secrets.ensure_absent(&format!("the environment of {arguments}"), &environment)?;
        }
    }
    ensure!(processes > 0, "the service is not shown in /proc");
    Ok(())
}
