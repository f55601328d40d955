//! Where scenarios come from: a folder that is searched for upwards, or a path.

use crate::cli::Selection;
use crate::error::Error;
use relaymesh_sim::scenario::{self, Scenario};
use std::fs;
use std::path::{Path, PathBuf};

/// A scenario and where it was found.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file.
    pub(crate) path: PathBuf,
    /// What stands in it, with `--set` applied.
    pub(crate) scenario: Scenario,
    /// How the command line names it, so that the same words find it again.
    pub(crate) spelled: String,
}

/// The folder of scenarios.
#[derive(Debug)]
pub(crate) struct Library {
    given: Option<PathBuf>,
}

impl Library {
    /// The folder given, or the one that is found when it is needed.
    pub(crate) fn new(given: Option<&Path>) -> Self {
        Self { given: given.map(Into::into) }
    }

    /// The folder that had to be named, if it had.
    pub(crate) fn given(&self) -> Option<&Path> {
        self.given.as_deref()
    }

    /// The folder.
    pub(crate) fn folder(&self) -> Result<PathBuf, Error> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let here = current_folder()?;
        let found = here.ancestors().map(|folder| folder.join("scenarios")).find(|folder| folder.is_dir());
        found.ok_or(Error::NoScenarioFolder { from: here })
    }

    /// The scenario of that name or at that path, with values replaced.
    pub(crate) fn find(&self, spelled: &str, replacements: &[(String, String)]) -> Result<Source, Error> {
        let is_path = spelled.ends_with(".toml") || spelled.contains(std::path::MAIN_SEPARATOR);
        let path = if is_path { spelled.into() } else { self.path_of(spelled)? };
        load(&path, spelled, replacements)
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.folder()?;
        let path = folder.join(format!("{name}.toml"));
        if path.is_file() {
            return Ok(path);
        }
        let names = toml_files(&folder)?.into_iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_string()));
        let distance = |other: &String| strsim::damerau_levenshtein(name, other);
        let suggestion = names.filter(|other| distance(other) <= 1 + name.len() / 2).min_by_key(distance);
        Err(Error::UnknownScenario { name: name.into(), folder, suggestion })
    }

    /// Every scenario of the folder, in the order of the names.
    pub(crate) fn all(&self) -> Result<Vec<Source>, Error> {
        toml_files(&self.folder()?)?.iter().map(|path| load_named(path)).collect()
    }

    /// Those that are asked for; at least one.
    pub(crate) fn select(&self, selection: &Selection) -> Result<Vec<Source>, Error> {
        let mut sources = self.all()?;
        sources.retain(|it| selection.tag.as_ref().is_none_or(|tag| it.scenario.tags.contains(tag)));
        sources.retain(|it| selection.scenario.as_ref().is_none_or(|glob| matches(glob, &it.scenario.name)));
        if sources.is_empty() {
            let tagged = selection.tag.as_ref().map(|tag| format!("has the tag `{tag}`"));
            let named = selection.scenario.as_ref().map(|glob| format!("is called `{glob}`"));
            let filter: Vec<String> = tagged.into_iter().chain(named).collect();
            let filter = if filter.is_empty() { "was found".into() } else { filter.join(" and ") };
            return Err(Error::NothingSelected { folder: self.folder()?, filter });
        }
        Ok(sources)
    }
}

/// The folder this process works in.
pub(crate) fn current_folder() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|problem| Error::Read { path: ".".into(), problem })
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |problem| Error::Read { path: folder.into(), problem };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort_by(|one, other| one.file_stem().cmp(&other.file_stem()));
    Ok(paths)
}

fn load(path: &Path, spelled: &str, replacements: &[(String, String)]) -> Result<Source, Error> {
    let text = fs::read_to_string(path).map_err(|problem| Error::Read { path: path.into(), problem })?;
    // First as it stands, so that a mistake of the file is not blamed on --set.
    scenario::parse(&text).map_err(|problem| Error::BadScenario { path: path.into(), problem })?;
    let scenario = scenario::parse_with(&text, replacements).map_err(|problem| Error::BadSetting { problem })?;
    Ok(Source { path: path.into(), scenario, spelled: spelled.into() })
}

fn load_named(path: &Path) -> Result<Source, Error> {
    let source = load(path, "", &[])?;
    let name = source.scenario.name.clone();
    if path.file_stem().is_none_or(|stem| stem != name.as_str()) {
        return Err(Error::NameDiffers { path: path.into(), name });
    }
    Ok(Source { spelled: name, ..source })
}

/// Whether `name` is as `glob` says: `*` stands for any characters, `?` for one.
fn matches(glob: &str, name: &str) -> bool {
    let Some(first) = glob.chars().next() else { return name.is_empty() };
    let rest = &glob[first.len_utf8()..];
    let mut characters = name.chars();
    match first {
        '*' => matches(rest, name) || (characters.next().is_some() && matches(glob, characters.as_str())),
        '?' => characters.next().is_some() && matches(rest, characters.as_str()),
        _ => characters.next() == Some(first) && matches(rest, characters.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_glob_matches_names_as_in_a_shell() {
        for (glob, name) in [("swarm*", "swarm-2"), ("*", ""), ("*-*", "a-b"), ("ca?m", "calm"), ("calm", "calm")] {
            assert!(matches(glob, name), "{glob} {name}");
        }
        for (glob, name) in [("swarm", "swarm-2"), ("?", ""), ("*-*", "ab"), ("c", "calm"), ("", "calm")] {
            assert!(!matches(glob, name), "{glob} {name}");
        }
    }
}
