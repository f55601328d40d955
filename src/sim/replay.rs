//! The one command that shows a failure again.

use super::files::{Library, Source};
use relaymesh_sim::mesh::measure::{Experiment, Setting};
use std::path::Path;

/// The command that runs `source` from `seed`, as it can be typed here and now.
pub(crate) fn command(library: &Library, source: &Source, set: &[(String, String)], seed: u64) -> String {
    let mut words =
        vec![program(), "sim".into(), "run".into(), quoted(&source.spelled), "--seed".into(), seed.to_string()];
    for (key, value) in set {
        words.extend(["--set".into(), quoted(&format!("{key}={value}"))]);
    }
    if let Some(folder) = library.given().filter(|_| !source.spelled.ends_with(".toml")) {
        words.extend(["--scenarios".into(), quoted(&folder.display().to_string())]);
    }
    words.join(" ")
}

/// The command that runs one seed of an experiment of `sim measure`.
pub(crate) fn measurement(experiment: Experiment, setting: Setting, seed: u64) -> String {
    let Setting { nodes, metadata_bytes, profile } = setting;
    if Experiment::FAILOVER.contains(&experiment) {
        return format!(
            "{} sim measure failover --nodes {nodes} --profile {profile} --from-seed {seed} --seeds 1",
            program()
        );
    }
    if Experiment::TAKEOVER.contains(&experiment) {
        let (program, experiment) = (program(), experiment.name());
        return format!(
            "{program} sim measure takeover --experiment {experiment} --profile {profile} --from-seed {seed} --seeds 1"
        );
    }
    format!(
        "{} sim measure membership --experiment {} --nodes {nodes} --metadata {metadata_bytes} --profile {profile} \
         --from-seed {seed} --seeds 1",
        program(),
        experiment.name(),
    )
}

/// This program as it was called; inside the current folder as a relative path.
fn program() -> String {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let called = called.filter(|path| path.file_name().is_some()).unwrap_or_else(|| "relaymesh".into());
    let here = std::env::current_dir().unwrap_or_default();
    let shown: &Path = called.strip_prefix(&here).unwrap_or(&called);
    quoted(&shown.display().to_string())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(quoted("phases.safety=5s"), "phases.safety=5s");
        assert_eq!(quoted("fault[0].times=3"), "'fault[0].times=3'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
