//! What an operator may write into `agents.toml`, and what is said about mistakes.

use relaymesh_io_tokio::agents::{Catalog, CatalogError};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn a_name_and_a_command_are_enough() {
    let catalog = Catalog::parse("[[agent]]\nname = 'a'\ncommand = 'cat'").unwrap();
    let agent = catalog.get("a").unwrap();
    assert_eq!((agent.timeout, agent.kill_grace), (Duration::from_secs(300), Duration::from_secs(2)));
    assert_eq!((agent.output_bytes_max, agent.stderr_bytes_max), (1 << 20, 16 << 10));
    assert_eq!((agent.success.as_slice(), agent.dead.as_slice()), (&[0][..], &[][..]));
    assert!(agent.args.is_empty() && agent.env.is_empty() && agent.set.is_empty() && agent.directory.is_none());
}

#[test]
fn built_in_agents_are_always_there() {
    assert_eq!(Catalog::default().names().collect::<Vec<_>>(), ["echo", "fail", "sleep"]);
    let catalog = Catalog::parse("[[agent]]\nname = 'a'\ncommand = 'cat'").unwrap();
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["echo", "fail", "sleep", "a"]);
}

#[test]
fn the_example_of_the_documentation_can_be_loaded() {
    let catalog = Catalog::load(&page("examples/agents.toml")).unwrap();
    assert_eq!(catalog.names().count(), 3 + 2);
    let agent = catalog.get("word-count").unwrap();
    assert_eq!(agent.dead, [65]);
}

#[test]
fn a_file_that_is_not_there_has_no_agents_and_one_that_cannot_be_read_is_named() {
    assert_eq!(Catalog::load(Path::new("/no/such/agents.toml")).unwrap(), Catalog::default());
    let folder = page("examples");
    let refused = Catalog::load(&folder).unwrap_err();
    assert!(refused.to_string().contains(folder.to_str().unwrap()), "{refused}");
}

/// The names of fields that the form itself gives when it meets one that it does not know.
fn fields(text: &str) -> Vec<String> {
    let refused = Catalog::parse(text).unwrap_err().to_string();
    // Behind that it says in which field.
    let list = refused.split("\nin ").next().unwrap();
    list.split('`').skip(5).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_field_is_documented() {
    let page = std::fs::read_to_string(page("agents.md")).unwrap();
    let agent = fields("[[agent]]\nname = 'a'\ncommand = 'cat'\nunheard-of = 1");
    let exit = fields("[[agent]]\nname = 'a'\ncommand = 'cat'\nexit = { unheard-of = 1 }");
    assert_eq!((agent.len(), exit.len()), (11, 2), "{agent:?} {exit:?}");
    for field in agent.iter().filter(|field| *field != "exit") {
        assert!(page.contains(&format!("| `{field}` |")), "{field}");
    }
    for field in exit {
        assert!(page.contains(&format!("| `exit.{field}` |")), "{field}");
    }
}

#[test]
fn each_mistake_names_the_agent_and_the_field() {
    let cases = [
        ("command = 'cat'\ntimeout_s = 3", &["`a`", "`timeout_s`", "`timeout_ms`"][..]),
        ("", &["`a`", "`command`"]),
        ("command = 'cat'\nargs = 'x'", &["`a`", "`args`"]),
        ("command = 'cat'\nexit = { dead = [256] }", &["`a`", "`exit.dead`", "256"]),
        ("command = 'cat'\nexit = { dead = [0] }", &["`a`", "`exit.dead`", "0"]),
        ("command = 'cat'\nexit = { success = [] }", &["`a`", "`exit.success`"]),
        ("command = ''", &["`a`", "`command`"]),
        ("command = './cat'", &["`a`", "`command`", "./cat"]),
        ("command = 'cat'\nargs = [\"a\\u0000b\"]", &["`a`", "`args`", "zero"]),
        ("command = 'cat'\ndirectory = 'here'", &["`a`", "`directory`", "here"]),
        ("command = 'cat'\nenv = ['A=B']", &["`a`", "`env`", "A=B"]),
        ("command = 'cat'\nenv = ['RELAYMESH_FENCE']", &["`a`", "`env`", "RELAYMESH_FENCE"]),
        ("command = 'cat'\nset = { TRACEPARENT = 'x' }", &["`a`", "`set`", "TRACEPARENT"]),
        ("command = 'cat'\nset = { 1A = 'x' }", &["`a`", "`set`", "1A"]),
        ("command = 'cat'\ntimeout_ms = 0", &["`a`", "`timeout_ms`", "1 to 86400000"]),
        ("command = 'cat'\ntimeout_ms = 86400001", &["`a`", "`timeout_ms`", "86400001"]),
        ("command = 'cat'\noutput_bytes_max = 10000001", &["`a`", "`output_bytes_max`", "10000000"]),
        ("command = 'cat'\nstderr_bytes_max = 1048577", &["`a`", "`stderr_bytes_max`", "1048576"]),
        ("command = 'cat'\nkill_grace_ms = 300001", &["`a`", "`kill_grace_ms`", "300000"]),
    ];
    for (fields, words) in cases {
        let refused = Catalog::parse(&format!("[[agent]]\nname = 'a'\n{fields}")).unwrap_err().to_string();
        for word in words {
            assert!(refused.contains(word), "{fields}\n{word} is not in: {refused}");
        }
    }
}

#[test]
fn names_are_checked_and_unique() {
    let refuse = |text: &str| Catalog::parse(text).unwrap_err();
    for name in ["", "a b", "ä", &"x".repeat(65)] {
        let refused = refuse(&format!("[[agent]]\nname = '{name}'\ncommand = 'cat'"));
        assert!(matches!(refused, CatalogError::Field { field: "name", .. }), "{refused}");
    }
    let refused = refuse("[[agent]]\nname = 'echo'\ncommand = 'cat'");
    assert!(matches!(&refused, CatalogError::BuiltIn(name) if name == "echo"), "{refused}");
    let refused = refuse("[[agent]]\nname = 'a'\ncommand = 'cat'\n[[agent]]\nname = 'a'\ncommand = 'sh'");
    assert!(matches!(&refused, CatalogError::Twice(name) if name == "a"), "{refused}");
    let refused = refuse("[[agent]]\nname = 'a'\ncommand = 'cat'\n[[agent]]\ncommand = 'sh'");
    assert!(matches!(refused, CatalogError::Nameless(2)), "{refused}");
    assert!(refuse("[agents]\n").to_string().contains("agents"));
    assert!(matches!(refuse(&"[[agent]]\n".repeat(257)), CatalogError::TooMany(257)));
}
