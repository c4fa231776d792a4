//! `actiond backup`: has a server write a backup, on its own disk.

use std::time::Duration;

use super::args::{ConnectionArgs, FormArgs};
use super::exit::Exit;
use super::failure::Failure;
use super::session::{Form, Session, print, print_elements};
use super::show::{counted, grouped, line};
use crate::aci::client::tree::{first, text_of, value};
use crate::aci::element::Element;
use crate::aci::request::Pairs;

/// Time that a backup may take at least: it is as long as copying the database and reading it again.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The options of `actiond backup`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct BackupArgs {
    /// Directory on the server, below its data directory or one of `[Server] BackupDirectories`
    pub(crate) path: String,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<BackupArgs>) -> Result<Exit, Failure> {
    let BackupArgs { path, form, mut connection } = *args;
    connection.timeout = connection.timeout.max(PATIENCE);
    let session = Session::new(&connection, None)?;
    let reply = session.client.send("BackupServer", Pairs::from([("Path", path)])).await?;
    match Form::from(form) {
        Form::Text => print(&text(&reply.data))?,
        form => print_elements("responsedata", &reply.data, form)?,
    }
    Ok(Exit::Success)
}

fn text(data: &[Element]) -> String {
    let file = first(data, "filename").map(text_of).unwrap_or_default();
    let number = |name| value::<u64>(data, name).unwrap_or_default();
    format!(
        "{}\n{} in {} bytes\n",
        line(file),
        counted(number("actions"), "action"),
        grouped(number("size"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_told_by_its_file() {
        let data = [
            Element::text("filename", "/srv/backups/x.zip"),
            Element::text("size", "1234"),
            Element::text("actions", "1"),
        ];
        assert_eq!(text(&data), "/srv/backups/x.zip\n1 action in 1,234 bytes\n");
    }
}
