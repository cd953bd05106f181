//! Databases named on the command line: URLs, passwords, other names for tables.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use stele_sinks::Target;

use crate::login::password_of_file;

/// A target as it is written, a file's name made whole: the node may run elsewhere.
pub(crate) fn target(text: &str) -> Result<Target> {
    let target: Target = text.parse()?;
    Ok(match target {
        Target::Sqlite(path) => Target::Sqlite(
            std::path::absolute(&path)
                .with_context(|| format!("{} is no name of a file", path.display()))?,
        ),
        other => other,
    })
}

/// The password of a target's user: of the file given, else asked for at a terminal, else none.
pub(crate) fn password_for(target: &Target, file: Option<&Path>) -> Result<Option<String>> {
    match (file, target) {
        (Some(file), _) => Ok(Some(password_of_file(file)?)),
        (None, Target::Sqlite(_) | Target::Plugin(_)) => Ok(None),
        (None, _) if std::io::stdin().is_terminal() => {
            let prompt = format!("Password for {target} (empty for none): ");
            let given = rpassword::prompt_password(prompt)?;
            Ok(Some(given).filter(|password| !password.is_empty()))
        }
        (None, _) => Ok(None),
    }
}

/// Other names for tables, given as `SCHEMA.TABLE=NAME`.
pub(crate) fn names(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for pair in pairs {
        let Some((table, name)) = pair.split_once('=') else {
            bail!("--map {pair:?} names no pair: write --map SCHEMA.TABLE=NAME");
        };
        let table = match table.contains('.') {
            true => table.to_owned(),
            false => format!("public.{table}"),
        };
        map.insert(table, name.to_owned());
    }
    Ok(map)
}
