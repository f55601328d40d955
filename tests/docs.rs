//! The documentation says what the code does: generated tables are up to date, every field and invariant is named, and
//! every example runs.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes the generated tables anew.

use relaymesh_core::mesh::MeshObservation;
use relaymesh_core::node::NodeObservation;
use relaymesh_core::observe::{Descriptor, Observe};
use relaymesh_core::task::workflow::*;
use relaymesh_sim::example::node::ExampleObservation;
use relaymesh_sim::scenario::kind::Parameter;
use relaymesh_sim::scenario::{self, FaultKind};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Holds the lines between two markers of a page against what the code says.
fn generated(page: &str, marker: &str, table: &str) {
    let (begin, end) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->"));
    let text = read(page);
    let from = text.find(&begin).unwrap_or_else(|| panic!("{page} has no {begin}")) + begin.len();
    let until = from + text[from..].find(&end).unwrap_or_else(|| panic!("{page} has no {end}"));
    if text[from..until] == *table {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "{page} is out of date; run UPDATE_DOCS=1 cargo test --test docs"
    );
    std::fs::write(root().join(page), format!("{}{table}{}", &text[..from], &text[until..])).unwrap();
}

/// The script of `docs/examples/fenced.toml`, as two attempts at a step: a later one, and one before that wakes up late.
#[test]
fn the_fenced_example_takes_nothing_of_an_earlier_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let agents: toml::Value = toml::from_str(&read("docs/examples/fenced.toml")).unwrap();
    let script = agents["agent"][0]["args"][1].as_str().unwrap();
    let ledger = folder.path().join("task_step");
    let attempt = |fence: u128, input: &str| {
        std::fs::write(folder.path().join("input"), input).unwrap();
        let stdin = std::fs::File::open(folder.path().join("input")).unwrap();
        let (fence, path) = (format!("{fence:032x}"), folder.path().to_str().unwrap());
        let key = ("RELAYMESH_IDEMPOTENCY_KEY", "task/step");
        let variables = [("RELAYMESH_FENCE", fence.as_str()), ("LEDGERS", path), key];
        Command::new("sh").args(["-c", script]).envs(variables).stdin(stdin).output().unwrap()
    };
    let content = || std::fs::read_to_string(&ledger).unwrap();
    // Another cluster epoch counts for more than any place in the log.
    let (earlier, later) = (1 << 64 | 900, 2 << 64 | 30);
    assert!(attempt(earlier, "first").status.success());
    assert!(attempt(earlier, "again").status.success());
    assert!(attempt(later, "second").status.success());
    let refused = attempt(earlier, "late");
    assert_eq!((refused.status.code(), content().as_str()), (Some(1), "second"));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("a later attempt was here"));
}

#[test]
fn the_table_of_faults_is_up_to_date() {
    let mut table = String::from("| kind | needs | what happens |\n| --- | --- | --- |\n");
    for kind in FaultKind::ALL {
        let optional = kind.may_have().iter().map(|parameter| format!("[`{}`]", name_of(*parameter)));
        let needed = kind.needs().iter().map(|parameter| format!("`{}`", name_of(*parameter)));
        let parameters: Vec<String> = needed.chain(optional).collect();
        table += &format!("| `{}` | {} | {} |\n", kind.name(), parameters.join(" "), kind.help().trim());
    }
    generated("docs/scenarios.md", "kinds", &table);
}

#[test]
fn the_table_of_limits_of_workflows_is_up_to_date() {
    let rows = [
        ("bytes of the JSON", JSON_BYTES_MAX as u64),
        ("steps of a workflow", STEPS_MAX as u64),
        ("objects and lists around a value, those of the file included", u64::from(DEPTH_MAX)),
        ("steps that one step waits for", DEPENDENCIES_MAX as u64),
        ("references in one input", REFERENCES_MAX as u64),
        ("bytes of a name", Name::BYTES_MAX as u64),
        ("bytes of a path", Pointer::BYTES_MAX as u64),
        ("labels of a step", LABELS_MAX as u64),
        ("bytes of the text of a label", LABEL_BYTES_MAX as u64),
        ("bytes of the text of an approval", PROMPT_BYTES_MAX as u64),
        ("milliseconds of a delay, timeout or back-off", DURATION_MAX.as_nanos() / 1_000_000),
        ("attempts", u64::from(ATTEMPTS_MAX)),
        ("items of a list of `forEach`", u64::from(ITEMS_MAX)),
        ("bytes of an input, filled in, and of the list that a `forEach` gives", INPUT_BYTES_MAX as u64),
    ];
    let mut table = String::from("| what | at most |\n| --- | --- |\n");
    table.extend(rows.map(|(what, max)| format!("| {what} | {max} |\n")));
    generated("docs/workflows.md", "limits", &table);
}

fn name_of(parameter: Parameter) -> String {
    format!("{parameter:?}").to_lowercase()
}

#[test]
fn the_table_of_observations_is_up_to_date() {
    let mut table =
        String::from("| name | kind | concern | unit | fields | meaning |\n| --- | --- | --- | --- | --- | --- |\n");
    let row = |it: &Descriptor| {
        let fields = it.fields.join(", ");
        let help = it.help.trim();
        format!("| `{}` | {:?} | {:?} | {:?} | {fields} | {help} |\n", it.name, it.metric, it.concern, it.unit)
    };
    table.extend(NodeObservation::ALL.iter().map(row));
    generated("docs/observations.md", "node", &table);
    let header = || table.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    let mut mesh = header();
    mesh.extend(MeshObservation::ALL.iter().map(row));
    generated("docs/observations.md", "mesh", &mesh);
    let mut example = header();
    example.extend(ExampleObservation::ALL.iter().map(row));
    generated("docs/observations.md", "example", &example);
}

#[test]
fn every_field_of_a_scenario_is_documented() {
    let page = read("docs/scenarios.md");
    for path in scenario_files() {
        let scenario = scenario::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        for line in scenario::to_toml(&scenario).lines() {
            let Some((key, _)) = line.split_once(" = ").filter(|(_, value)| *value != "[]") else { continue };
            let documented = page.contains(&format!("`{key}`")) || page.contains(&format!(".{key}`"));
            assert!(documented, "docs/scenarios.md does not document `{key}`");
        }
    }
}

#[test]
fn every_invariant_is_documented() {
    let page = read("docs/invariants.md");
    let options = relaymesh_sim::world::Options::default();
    let load = |name| scenario::parse(&read(name)).unwrap();
    let example =
        relaymesh_sim::world::run::<relaymesh_sim::example::Example>(&load("scenarios/calm.toml"), 1, options);
    let mesh = relaymesh_sim::world::run::<relaymesh_sim::mesh::Mesh>(&load("scenarios/mesh-start.toml"), 1, options);
    for invariant in example.exercised.keys().chain(mesh.exercised.keys()) {
        assert!(page.contains(&format!("| {invariant} |")), "docs/invariants.md does not mention {invariant}");
    }
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let pages = ["README.md", "docs/guide.md", "docs/architecture.md", "docs/invariants.md", "docs/scenarios.md"];
    for page in pages.into_iter().chain(["docs/agents.md", "docs/workflows.md"]) {
        let text = read(page);
        let folder = root().join(page).parent().map(Path::to_path_buf).unwrap_or_default();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { root().join(page) } else { folder.join(file) };
            assert!(path.exists(), "{page} links to {target}, which does not exist");
            let leads = heading.is_empty() || anchors(&std::fs::read_to_string(path).unwrap()).any(|it| it == heading);
            assert!(leads, "{page} links to {target}, but {file} has no such heading");
        }
    }
}

/// What a link to each heading of a page is called, by the rule of the usual renderers: lower case, spaces as hyphens,
/// without other punctuation.
fn anchors(page: &str) -> impl Iterator<Item = String> + '_ {
    let kept = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    };
    let headings =
        page.lines().filter_map(|line| line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim()));
    headings.map(move |heading| heading.to_lowercase().chars().filter_map(kept).collect())
}

/// Runs each `$ relaymesh …` of the guide, and each `cargo run --release -- …` of the README but the long ones.
#[test]
fn every_example_in_the_documentation_runs() {
    let guide = read("docs/guide.md");
    let readme = read("README.md");
    let of_guide = guide.lines().filter_map(|line| line.strip_prefix("$ relaymesh "));
    let of_readme = readme.lines().filter_map(|line| line.strip_prefix("cargo run --release -- "));
    let examples: Vec<&str> = of_guide.chain(of_readme).map(|line| line.split(" #").next().unwrap_or(line)).collect();
    assert!(examples.len() > 8, "the examples were not found");
    let folder = std::env::temp_dir().join(format!("relaymesh-docs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for example in examples {
        // What CI runs as steps of its own, and what tests/dev.rs runs, is only checked to be understood here.
        let is_mesh = example.starts_with("dev");
        let is_long = is_mesh || example.contains("--seeds 20") || example.contains("check-determinism");
        let mut command = Command::new(env!("CARGO_BIN_EXE_relaymesh"));
        let arguments = example.split_whitespace().map(|word| word.trim_matches('\''));
        command.args(arguments).current_dir(&folder);
        if !is_mesh {
            command.arg("--scenarios").arg(root().join("scenarios"));
        }
        if is_long {
            command.arg("--help");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

fn scenario_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("scenarios")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
