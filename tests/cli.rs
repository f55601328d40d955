//! The command line as its users meet it: what it prints, what it leaves behind, and how it ends.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SMALL: &str = r#"
name = "small"
about = "Two nodes lose power."
tags = ["quick"]
nodes = 2

[phases]
safety = "400ms"
liveness = "400ms"

[[fault]]
kind = "crash"
at = "50ms..350ms"
lasts = "10ms"
times = 2

[expect]
exercised = ["DUR-1"]
"#;

/// Clients that still wait when the run ends: liveness cannot hold.
const HASTY: &str = r#"
name = "hasty"
about = "Everything is to be answered at once, which it is not."
nodes = 3

[phases]
safety = "300ms"
liveness = "1us"

[[fault]]
kind = "pause"
at = "50ms..200ms"
lasts = "10ms"
times = 3

[[fault]]
kind = "crash"
at = "50ms..200ms"
lasts = "10ms"
"#;

/// A folder of its own for one test, with scenarios in it.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("scenarios")).unwrap();
        let place = Self { folder };
        place.write("scenarios/small.toml", SMALL);
        place.write("scenarios/hasty.toml", HASTY);
        place
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.join(path)).unwrap()
    }

    fn run(&self, line: &str) -> Done {
        let words = ["sim"].into_iter().chain(line.split_whitespace());
        Done(Command::new(env!("CARGO_BIN_EXE_relaymesh")).args(words).current_dir(&self.folder).output().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Done(Output);

impl Done {
    fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stderr()))
    }
}

#[test]
fn the_list_shows_every_scenario_with_its_faults() {
    let place = Place::new("list");
    let list = place.run("list").stdout();
    insta::assert_snapshot!(list, @r"
     scenario  tags   nodes  faults        about
     ──────────────────────────────────────────────────────────────────────────────────────────────
     hasty                3  pause, crash  Everything is to be answered at once, which it is not.
     small     quick      2  crash         Two nodes lose power.
    ");
    assert_eq!(place.run("list --json").json()[1]["faults"][0], "crash");
}

#[test]
fn a_run_that_holds_ends_with_0_and_a_card() {
    let place = Place::new("card");
    let done = place.run("run small --seed 7");
    assert_eq!(done.code(), 0);
    let card = done.stdout();
    let head: Vec<String> = card.lines().take(5).map(without_numbers).collect();
    insta::assert_snapshot!(head.join("\n"), @r"
     small seed #  HELD
     trace   HASH
     events  # in # s (# k/s), # s simulated

     invariant  exercised    fault or consequence                count
    ");
    assert!(card.contains("DUR-1") && card.contains("crash"), "{card}");
    assert!(!card.contains('\u{1b}'), "no colours where no terminal is");
}

/// The line with hashes and numbers replaced: what they are is not the command line's business.
fn without_numbers(line: &str) -> String {
    let word = |word: &str| match word.trim_matches(['(', ')', ',']) {
        hash if hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()) => "HASH".into(),
        number if number.starts_with(|c: char| c.is_ascii_digit()) => word.replace(number, "#"),
        _ => word.to_string(),
    };
    line.trim_end().split(' ').map(word).collect::<Vec<String>>().join(" ")
}

#[test]
fn a_run_as_json_has_every_promised_key() {
    let report = Place::new("json").run("run small --seed 7 -o json").json();
    assert_eq!(
        (&report["scenario"], &report["seed"], &report["verdict"]),
        (&"small".into(), &7.into(), &"held".into())
    );
    assert_eq!(report["trace_hash"].as_str().unwrap().len(), 64);
    assert!(report["events"].as_u64() > Some(0) && report["simulated_seconds"] == 0.8);
    assert!(report["wall_seconds"].as_f64() > Some(0.0));
    assert_eq!(report["faults"]["crash"], 2);
    assert!(report["exercised"]["DUR-1"].as_u64() > Some(0));
    assert_eq!(report["violations"], Value::Array(Vec::new()));
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let place = Place::new("seed");
    let hash = |line| place.run(line).json()["trace_hash"].clone();
    assert_eq!(hash("run small --seed 7 --json"), hash("run scenarios/small.toml --seed 7 --json"));
    assert_ne!(hash("run small --seed 7 --json"), hash("run small --seed 8 --json"));
}

#[test]
fn a_liveness_failure_ends_with_3_and_explains_itself() {
    let place = Place::new("liveness");
    let failed = place.run("run hasty --seed 1 --set journal.clients=2");
    assert_eq!(failed.code(), 3);
    let card = failed.stdout();
    for shown in ["LIVENESS VIOLATED", "LIVE-1 at 0.300001s", "drawn by the seed", "how it came to event"] {
        assert!(card.contains(shown), "{shown}: {card}");
    }
    assert!(card.trim_end().ends_with("sim run hasty --seed 1 --set journal.clients=2"), "{card}");
    let json = place.run("run hasty --seed 1 --json").json();
    let violation = &json["violations"][0];
    for key in ["invariant", "at_seconds", "nodes", "detail", "event"] {
        assert!(!violation[key].is_null(), "{key}");
    }
    assert_eq!(json["causes"].as_array().unwrap().last().unwrap()["event"], violation["event"]);
}

#[test]
fn the_causes_of_an_event_come_first_cause_first() {
    let place = Place::new("why");
    let why = place.run("run small --seed 7 --why 60 --json").json()["why"].clone();
    let chain: Vec<(u64, u64)> =
        why.as_array().unwrap().iter().map(|line| (number(line, "event"), number(line, "cause"))).collect();
    assert_eq!(chain.last().unwrap().0, 60);
    assert!(chain.windows(2).all(|pair| pair[1].1 == pair[0].0), "{chain:?}");
    let beyond = place.run("run small --seed 7 --why 99999999");
    assert_eq!(beyond.code(), 64);
    assert!(beyond.stderr().contains("event 99999999 does not exist"), "{}", beyond.stderr());
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_trace_has_a_line_for_each_event() {
    let place = Place::new("trace");
    let report = place.run("run small --seed 7 --trace lines.txt --json").json();
    assert_eq!(place.read("lines.txt").lines().count() as u64, number(&report, "events"));
    let to_stdout = place.run("run small --seed 7 --trace -");
    assert_eq!(to_stdout.stdout(), place.read("lines.txt"));
    assert!(to_stdout.stderr().contains("HELD"), "the report goes elsewhere");
}

#[test]
fn what_is_not_understood_ends_with_64_and_says_what_to_do() {
    let place = Place::new("usage");
    place.write("scenarios/typo.txt", &SMALL.replace("liveness", "livness"));
    std::fs::copy(place.folder.join("scenarios/typo.txt"), place.folder.join("typo.toml")).unwrap();
    let cases = [
        ("run smal --seed 1", "did you mean `small`?"),
        ("run typo.toml --seed 1", "typo.toml: line 9, column 1: unknown field `livness`"),
        ("run typo.toml --seed 1", "did you mean `liveness`?"),
        ("run small --seed 1 --set nodez=3", "cannot set `nodez`"),
        ("run small --seed 1 --set phase.safety=1s", "there is no `phase`"),
        ("run small --seed 1 --set nodes", "write KEY=VALUE"),
        ("run small", "--seed <N>"),
        ("chaos --budget 10", "write a number and a unit"),
        ("chaos --scenario big*", "is called `big*`"),
        ("chaos --tag slow", "has the tag `slow`"),
        ("chaos --jobs 0", "0 is not in 1..=1024"),
        ("measure membership", "--nodes <N,…>"),
        ("measure membership --nodes 3", "3 is not in 4..=2000"),
        ("measure membership --nodes 8 --experiment noise", "changes, quiet, lossy-node, flip-flop"),
        ("measure membership --nodes 8 --profile moon", "local, lan, wan"),
    ];
    for (line, said) in cases {
        let done = place.run(line);
        assert_eq!((done.code(), done.stdout().as_str()), (64, ""), "{line}");
        assert!(done.stderr().contains(said), "{line}: {}", done.stderr());
    }
}

#[test]
fn a_matrix_adds_up_and_names_its_failures() {
    let place = Place::new("chaos");
    let done = place.run("chaos --seeds 3 --jobs 2 --json");
    assert_eq!(done.code(), 3);
    let matrix = done.json();
    assert_eq!((&matrix["runs"], &matrix["verdict"]), (&6.into(), &"liveness".into()));
    let seeds: Vec<u64> = matrix["failed"].as_array().unwrap().iter().map(|it| number(it, "seed")).collect();
    assert_eq!(seeds, [1, 2, 3], "in the order of the seeds, whichever thread was first");
    assert_eq!(matrix["failed"][0]["invariant"], "LIVE-1");
    assert!(matrix["failed"][0]["replay"].as_str().unwrap().ends_with("sim run hasty --seed 1"));
    assert_eq!((&matrix["by_scenario"][1]["held"], &matrix["by_scenario"][1]["failed"]), (&3.into(), &0.into()));
    let table = place.run("chaos --seeds 3 --from-seed 10 --tag quick");
    assert_eq!(table.code(), 0, "{}", table.stdout());
    assert!(table.stdout().contains("HELD  3 runs of 1 scenario"), "{}", table.stdout());
}

#[test]
fn a_matrix_in_which_something_never_came_about_fails() {
    let place = Place::new("zero");
    let never = SMALL.replace("\"DUR-1\"", "\"WIRE-1\"");
    place.write("scenarios/small.toml", &never);
    let done = place.run("chaos --scenario small --seeds 20");
    assert_eq!(done.code(), 1, "{}", done.stdout());
    assert!(done.stdout().contains("invariant WIRE-1 was never exercised in small"), "{}", done.stdout());
    assert_eq!(place.run("chaos --scenario small --seeds 20 --allow-zero").code(), 0);
    assert_eq!(place.run("chaos --scenario small --seeds 2").code(), 0, "few seeds prove little either way");
}

#[test]
fn the_junit_file_has_a_suite_for_each_scenario_and_a_case_for_each_seed() {
    let place = Place::new("junit");
    place.run("chaos --seeds 2 --junit results.xml");
    let xml = place.read("results.xml");
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    assert!(xml.contains("<testsuite name=\"hasty\" tests=\"4\" failures=\"2\""), "{xml}");
    assert!(xml.contains("<testsuite name=\"small\" tests=\"4\" failures=\"0\""), "{xml}");
    assert_eq!(xml.matches("name=\"seed ").count(), 4);
    assert_eq!(xml.matches("<failure type=\"LIVE-1\"").count(), 2);
}

#[test]
fn a_failure_is_shrunk_to_a_file_that_fails_the_same_way() {
    let place = Place::new("shrink");
    let shrunk = place.run("shrink hasty --seed 1 --json");
    assert_eq!(shrunk.code(), 0, "{}", shrunk.stderr());
    let result = shrunk.json();
    assert_eq!((&result["before"]["faults"], &result["after"]["faults"]), (&4.into(), &0.into()));
    assert_eq!(result["file"], "hasty-seed1-shrunk.toml");
    let again = place.run("run hasty-seed1-shrunk.toml --seed 1 --json");
    assert_eq!((again.code(), &again.json()["violations"][0]["invariant"]), (3, &result["invariant"]));
    let holds = place.run("shrink small --seed 7");
    assert_eq!(holds.code(), 1);
    assert!(holds.stderr().contains("nothing to shrink"), "{}", holds.stderr());
}

#[test]
fn a_campaign_goes_on_where_it_was() {
    let place = Place::new("campaign");
    let campaign = |seeds: u64| place.run(&format!("campaign --out results --scenario small --seeds {seeds}"));
    assert_eq!(campaign(2).code(), 0);
    let first: Value = serde_json::from_str(&place.read("results/small.json")).unwrap();
    assert_eq!(campaign(4).code(), 0);
    assert_eq!(campaign(4).code(), 0, "nothing is left to do");
    let summary: Value = serde_json::from_str(&place.read("results/small.json")).unwrap();
    assert_eq!((number(&first["total"], "seeds"), number(&summary["total"], "seeds")), (2, 4));
    assert_eq!(summary["total"]["faults"]["crash"], 8, "no seed ran twice");
    let range = &summary["ranges"][0];
    assert_eq!((&range["first_seed"], &range["last_seed"]), (&1.into(), &4.into()));
    let head = place.read("results/campaign.toml");
    assert_eq!(head.matches("[[session]]").count(), 3);
    assert!(place.read("results/summary.md").contains("| small | 4 | 4 | 0 | 0 |"));

    place.run("campaign --out at-once --scenario small --seeds 4");
    let at_once: Value = serde_json::from_str(&place.read("at-once/small.json")).unwrap();
    assert_eq!(at_once["ranges"], summary["ranges"], "in two sessions or in one: the same hash of hashes");
}

#[test]
fn a_campaign_of_another_revision_is_not_continued_by_mistake() {
    let place = Place::new("revision");
    place.run("campaign --out results --scenario small --seeds 1");
    let head = place.read("results/campaign.toml");
    let line = head.lines().find(|line| line.starts_with("revision")).unwrap();
    place.write("results/campaign.toml", &head.replace(line, "revision = \"another\""));
    let refused = place.run("campaign --out results --scenario small --seeds 2");
    assert_eq!(refused.code(), 64);
    assert!(refused.stderr().contains("revision another"), "{}", refused.stderr());
    assert_eq!(place.run("campaign --out results --scenario small --seeds 2 --new-revision").code(), 0);
}

/// A small mesh in which one thing after another changes, from two seeds.
const CHANGES: &str = "measure membership --nodes 8 --seeds 2 --experiment changes --jobs 2";

#[test]
fn a_measurement_has_a_row_for_each_figure() {
    let done = Place::new("measure").run(CHANGES);
    assert_eq!(done.code(), 0, "{}", done.stderr());
    let lines: Vec<String> = done.stdout().lines().map(without_values).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    # nodes, # bytes of metadata profile lan, seeds # to #

    experiment figure unit runs median p99 max total

    changes formed ms
    changes join_known_to_95_percent ms
    changes join_known_to_all ms
    changes leave_known_to_95_percent ms
    changes crash_known_to_first ms
    changes crash_known_to_half ms
    changes crash_known_to_all ms
    changes last_death_in_the_partition ms
    changes heal_to_agreement ms

    HELD # runs in # s on # cores
    ");
}

/// A line of a measurement up to its unit, without rules and blanks: what was measured is not the command line's business.
fn without_values(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["changes", figure, unit, came_about, "of", runs, ..] => {
            assert_eq!((came_about, runs), ("2", "2"), "{line}");
            format!("changes {figure} {unit}")
        }
        _ => without_numbers(words.join(" ").trim_matches('─')),
    }
}

#[test]
fn a_measurement_as_json_has_the_same_figures() {
    let place = Place::new("measure-json");
    let measured = place.run(&format!("{CHANGES} --metadata 40,300 --from-seed 5 --json")).json();
    assert_eq!(
        (&measured["verdict"], &measured["runs"], &measured["first_seed"]),
        (&"held".into(), &4.into(), &5.into())
    );
    assert_eq!((&measured["profile"], &measured["broken"]), (&"lan".into(), &Value::Array(Vec::new())));
    let sizes: Vec<(u64, u64)> = measured["sizes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (number(it, "nodes"), number(it, "metadata_bytes")))
        .collect();
    assert_eq!(sizes, [(8, 40), (8, 300)]);
    let figure = &measured["sizes"][1]["figures"][0];
    assert_eq!(
        (&figure["experiment"], &figure["figure"], &figure["unit"]),
        (&"changes".into(), &"formed".into(), &"ms".into())
    );
    assert_eq!((number(figure, "runs"), number(figure, "came_about")), (2, 2));
    assert!(figure["median"].as_f64() <= figure["max"].as_f64() && figure["p99"] == figure["max"], "{figure}");
    let one_by_one = place.run(&format!("{CHANGES} --from-seed 5 --json").replace("--jobs 2", "--jobs 1")).json();
    assert_eq!(one_by_one["sizes"][0], measured["sizes"][0], "however many run at once");
}

#[test]
fn determinism_is_checked_as_far_as_there_are_means_and_the_rest_is_named() {
    let place = Place::new("determinism");
    // A folder that is no workspace hides the source tree above it.
    let outside = std::env::temp_dir();
    let done = Command::new(env!("CARGO_BIN_EXE_relaymesh"))
        .args(["sim", "check-determinism", "--scenario", "small", "--json", "--scenarios"])
        .arg(place.folder.join("scenarios"))
        .current_dir(outside)
        .output()
        .unwrap();
    let done = Done(done);
    assert_eq!(done.code(), 0, "{}", done.stderr());
    assert!(done.stderr().contains("SKIPPED wasm: no source tree"), "{}", done.stderr());
    let json = done.json();
    assert_eq!((&json["deterministic"], &json["scenarios"][0]["same"]["twice"]), (&true.into(), &true.into()));
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let place = Place::new("help");
    let help = place.run("chaos --help");
    assert_eq!(help.code(), 0);
    assert!(help.stdout().contains("A zero proves nothing") && help.stdout().contains("Examples:"));
    assert!(place.run("--help").stdout().contains("4   two runs of one seed differ"));
}
