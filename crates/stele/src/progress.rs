//! A progress bar with rate on standard error; nothing where nobody watches.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that counts bytes.
pub(crate) fn bytes_bar(what: &'static str, wanted: bool) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    let template = "{prefix} {wide_bar} {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    bar(what, template)
}

/// A bar that counts things.
pub(crate) fn count_bar(what: &'static str, wanted: bool) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    bar(
        what,
        "{prefix} {wide_bar} {percent:>3} %  {human_pos} of {human_len}  {per_sec}  {eta} left",
    )
}

/// A counter of rows whose number is not known before.
pub(crate) fn rows_spinner(what: &'static str, wanted: bool) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    bar(
        what,
        "{prefix} {spinner} {human_pos} rows  {per_sec}  {elapsed}",
    )
}

fn bar(what: &'static str, template: &str) -> ProgressBar {
    // Draws nothing when standard error is not a terminal.
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar.set_prefix(what);
    bar
}
