//! `sslmode=verify-full` against a server that speaks TLS: its certificate counts, and nobody else's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration::offshoot::{Offshoot, Options, Server};

use crate::world::{LIMIT, World};

fn openssl(directory: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl").current_dir(directory).args(arguments.split(' ')).output();
    let output = output.context("run openssl; it is part of every distribution")?;
    ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// An authority's certificate, in a file of its own.
fn authority(directory: &Path, name: &str) -> Result<PathBuf> {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        directory,
        &format!("req -x509 {key} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
    )?;
    Ok(directory.join(format!("{name}.pem")))
}

/// A server's certificate for `localhost` alone, by the authority `ours`.
fn certify(directory: &Path) -> Result<()> {
    fs::write(directory.join("names"), "subjectAltName=DNS:localhost\n")?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req {key} -subj /CN=server -keyout server.key -out server.csr"))?;
    openssl(
        directory,
        "x509 -req -in server.csr -CA ours.pem -CAkey ours.key -CAcreateserial -days 2 -extfile names -out server.crt",
    )
}

/// Lets a world's server speak TLS with that certificate.
async fn turn_on_tls(world: &World, certificates: &Path) -> Result<()> {
    let data = world.offshoot.data_dir().join("embedded/pgdata");
    let owner = fs::metadata(&data)?;
    for file in ["server.key", "server.crt"] {
        let to = data.join(file);
        fs::copy(certificates.join(file), &to)?;
        fs::set_permissions(&to, Permissions::from_mode(0o600))?;
        std::os::unix::fs::chown(&to, Some(owner.uid()), Some(owner.gid()))?;
    }
    let client = world.offshoot.administrator().await?;
    client.batch_execute("alter system set ssl = on").await?;
    client.batch_execute("create database elsewhere").await?;
    client.batch_execute("select pg_reload_conf()").await?;
    world.until("select setting = 'on' from pg_settings where name = 'ssl'").await
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_alone() -> Result<()> {
    let world = World::start().await?;
    let directory = tempfile::tempdir()?;
    let (ours, theirs) = (authority(directory.path(), "ours")?, authority(directory.path(), "theirs")?);
    certify(directory.path())?;
    turn_on_tls(&world, directory.path()).await?;
    let plain = world.offshoot.administrator_url()?;
    let url = |host: &str, authority: &Path| {
        let server = plain.trim_end_matches("/postgres").replace("127.0.0.1", host);
        format!("{server}/elsewhere?sslmode=verify-full&sslrootcert={}", authority.display())
    };

    for (host, authority, why) in [
        ("localhost", &theirs, "UnknownIssuer"),
        ("127.0.0.1", &ours, "not valid for name"),
        ("localhost", &directory.path().join("missing.pem"), "missing.pem"),
    ] {
        let mut doctor = world.offshoot.command(&["doctor"]);
        doctor.env("OFFSHOOT_DATABASE_URL", url(host, authority)).env("OFFSHOOT_SECRET_KEY", "0".repeat(64));
        let output = doctor.output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line =
            said.lines().find(|line| line.contains("databases")).context("nothing of the databases")?;
        ensure!(output.status.code() == Some(1) && line.contains("not ok"), "{host} {authority:?}: {said}");
        ensure!(line.contains(why) && line.contains("ertificate"), "{host} {authority:?}: {line}");
        world.offshoot.secrets().ensure_absent("the doctor's findings", &said)?;
    }

    let mut options = Options::new(env!("CARGO_BIN_EXE_offshoot"));
    options.server = Server::At(url("localhost", &ours));
    let mut served = Offshoot::start(options, world.github.url()).await?;
    let encrypted = "select count(*) > 0 and bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) \
                     where application_name = 'offshoot' and datname = 'elsewhere'";
    tokio::time::timeout(LIMIT, world.until(encrypted)).await.context("no session uses TLS")??;
    served.terminate().await?;
    let client = world.offshoot.administrator().await?;
    client.batch_execute("drop database elsewhere").await?;
    drop(client);
    world.finish().await
}
