//! The commented configuration file, written from the settings themselves.

use std::fmt::Write as _;

use super::{Config, SETTINGS, replica};

/// A complete configuration file with every setting at its default.
pub(crate) fn template() -> String {
    let mut config = Config::default();
    let mut text = String::from(
        "# Configuration of a Stele node. Every setting is here with its default; delete what you do not change.\n\
         # Read from stele.toml where the command runs, or from the file `--config` names.\n\
         # An environment variable STELE_<SECTION>_<KEY> goes before the file, such as STELE_HTTP_LISTEN.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            section = setting.section;
            let _ = write!(text, "\n[{section}]\n");
        }
        for line in setting.doc.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(
            text,
            "{} = {}",
            setting.key,
            (setting.slot)(&mut config).to_toml()
        );
    }
    text.push_str(replica::EXAMPLE);
    text
}
