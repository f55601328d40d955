//! How inputs are made.

use super::reading::{EXAMPLE, read};
use crate::task::workflow::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

fn input(json: &str) -> Template {
    let json = format!(r#"{{"steps":[{{"id":"a","agent":"x","input":{json}}}]}}"#);
    read(&json).steps[0].input().unwrap().clone()
}

/// What an agent gets for this input, when the workflow was given `given`.
fn made(json: &str, given: &[u8]) -> Result<String, String> {
    let output = Output::of(given);
    let made = input(json).resolve(|_| Some(&output)).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(made).unwrap())
}

const WHOLE: &str = r#"{"$from":"workflow.input"}"#;

fn at(path: &str) -> String {
    format!(r#"{{"$from":"workflow.input","path":"{path}"}}"#)
}

fn pointer(text: &str) -> Pointer {
    Pointer::new(text).unwrap()
}

#[test]
fn the_example_of_the_documentation_gets_the_inputs_it_says() {
    let workflow = read(EXAMPLE);
    let list = Output::of(br#"{"files": [{"name": "a.log"}, {"name": "b.log"}]}"#);
    let source = workflow.steps[1].each.as_ref().unwrap();
    assert_eq!(count_items(&list, &source.pointer), Ok(2));
    let instance = |index| {
        let item = item(&list, &source.pointer, index).unwrap();
        workflow.steps[1].input().unwrap().resolve(|_| Some(&item)).unwrap()
    };
    assert_eq!(instance(0), br#"{"file":"a.log","level":9}"#);
    assert_eq!(instance(1), br#"{"file":"b.log","level":9}"#);
    let compressed = Output::of_instances([&b"a.gz\n"[..], br#"{"name":"b.gz"}"#]).unwrap();
    let checksum = workflow.steps[2].input().unwrap().resolve(|_| Some(&compressed)).unwrap();
    assert_eq!(checksum, br#"["a.gz\n",{"name":"b.gz"}]"#);
}

#[test]
fn one_string_is_given_as_its_text() {
    assert_eq!(made(r#""say \"hi\"\n""#, b""), Ok("say \"hi\"\n".into()));
    assert_eq!(made(r#"["say"]"#, b""), Ok(r#"["say"]"#.into()));
    assert_eq!(made(WHOLE, br#" "a\u00e9" "#), Ok("aé".into()));
    assert_eq!(made(WHOLE, b"plain text\n"), Ok("plain text\n".into()));
    assert_eq!(made(&at("/a"), br#"{"a":"b"}"#), Ok("b".into()));
    assert_eq!(made(r#""""#, b""), Ok(String::new()));
}

#[test]
fn what_is_filled_in_keeps_its_digits_and_its_order() {
    let given = br#" {"z": 12345678901234567890.10, "a": 1} "#;
    assert_eq!(
        made(&format!("[{WHOLE},{}]", at("/z")), given).unwrap(),
        r#"[{"z": 12345678901234567890.10, "a": 1},12345678901234567890.10]"#
    );
    assert_eq!(
        made(&format!(r#"{{"t":{WHOLE}}}"#), "no JSON, \"é\"\u{1}\n".as_bytes()).unwrap(),
        "{\"t\":\"no JSON, \\\"é\\\"\\u0001\\n\"}"
    );
    assert_eq!(made(&format!("[{WHOLE}]"), b""), Ok(r#"[""]"#.into()));
}

#[test]
fn paths_lead_where_rfc_6901_says() {
    let given = br#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"~1":9,"\u006b":10,"d":1,"d":2,"l":[[1,2],[3]]}"#;
    for (path, found) in [
        ("/foo", r#"["bar","baz"]"#),
        ("/foo/0", "bar"),
        ("/", "0"),
        ("/a~1b", "1"),
        ("/m~0n", "8"),
        ("/~01", "9"),
        ("/k", "10"),
        ("/d", "2"),
        ("/l/1/0", "3"),
    ] {
        assert_eq!(made(&at(path), given).as_deref(), Ok(found), "{path}");
    }
    for (path, said) in [
        ("/x", "there is nothing at `/x`: no `x` in an object"),
        ("/foo/2", "there is nothing at `/foo/2`: no `2` in a list"),
        ("/foo/-", "there is nothing at `/foo/-`: no `-` in a list"),
        ("/foo/00", "there is nothing at `/foo/00`: no `00` in a list"),
        ("/foo/+1", "there is nothing at `/foo/+1`: no `+1` in a list"),
        ("/foo/0/x", "there is nothing at `/foo/0/x`: no `x` in a text"),
        ("/d/x", "there is nothing at `/d/x`: no `x` in a number"),
    ] {
        assert_eq!(made(&at(path), given), Err(said.into()), "{path}");
    }
}

#[test]
fn bytes_that_are_no_text_are_passed_on_whole_or_not_at_all() {
    let output = Output::of(b"\xff\x00");
    assert_eq!(input(WHOLE).resolve(|_| Some(&output)).unwrap(), b"\xff\x00");
    assert_eq!(input(&at("/a")).resolve(|_| Some(&output)), Err(ResolveError::NotText));
    assert_eq!(input(&format!("[{WHOLE}]")).resolve(|_| Some(&output)), Err(ResolveError::NotText));
    assert_eq!(Output::of_instances([&b"\xff"[..]]), Err(ResolveError::NotText));
    assert_eq!(count_items(&output, &pointer("")), Err(ResolveError::NotText));
}

#[test]
fn what_is_not_there_is_named() {
    let said = input(WHOLE).resolve(|_| None).unwrap_err().to_string();
    assert_eq!(said, "the input of the workflow is not there");
    assert_eq!(made(&format!("[{WHOLE}]"), br#""\ud800""#), Ok(r#"["\ud800"]"#.into()));
    assert_eq!(made(WHOLE, br#""\ud800""#), Err("a text with an escape that stands for no character".into()));
}

#[test]
fn an_input_is_bounded_while_it_is_made() {
    let third = vec![b'7'; INPUT_BYTES_MAX / 3];
    let output = Output::of(&third);
    let of = |count: usize| input(&format!("[{}]", vec![WHOLE; count].join(","))).resolve(|_| Some(&output));
    assert_eq!(of(2).map(|bytes| bytes.len()), Ok(INPUT_BYTES_MAX / 3 * 2 + 3));
    assert_eq!(of(3), Err(ResolveError::TooLarge));
    let whole = vec![b'7'; INPUT_BYTES_MAX + 1];
    for (bytes, fits) in [(&whole[1..], true), (&whole[..], false)] {
        let output = Output::of(bytes);
        assert_eq!(input(WHOLE).resolve(|_| Some(&output)).is_ok(), fits);
    }
    let opaque = vec![0xff; INPUT_BYTES_MAX + 1];
    let opaque = Output::of(&opaque);
    assert_eq!(input(WHOLE).resolve(|_| Some(&opaque)), Err(ResolveError::TooLarge));
    assert_eq!(Output::of_instances([&third[..]; 3]), Err(ResolveError::TooLarge));
    assert!(Output::of_instances([&third[..]; 2]).is_ok());
}

#[test]
fn lists_are_counted_and_cut() {
    let of = |json: &str, path: &str| {
        count_items(&Output::of(json.as_bytes()), &pointer(path)).map_err(|error| error.to_string())
    };
    assert_eq!(of("[]", ""), Ok(0));
    assert_eq!(of(r#"{"l":[1,[2,3],{"a":[4]}]}"#, "/l"), Ok(3));
    assert_eq!(
        of(r#"{"l":7}"#, "/l"),
        Err("what `forEach` takes from `/l` is a number, where a list is expected".into())
    );
    assert_eq!(of("{}", "/l"), Err("there is nothing at `/l`: no `l` in an object".into()));
    assert_eq!(of("no list", ""), Err("what `forEach` takes from `` is a text, where a list is expected".into()));
    let long = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert_eq!(of(&long(10_000), ""), Ok(10_000));
    assert_eq!(of(&long(10_001), ""), Err("a list of more than 10000 items; have one item stand for several".into()));
    let list = Output::of(br#"{"l":[1, {"a" : 2}]}"#);
    assert_eq!(item(&list, &pointer("/l"), 1), Ok(Output::of(br#"{"a" : 2}"#)));
    assert_eq!(item(&list, &pointer("/l"), 2), Err(ResolveError::NoItem { index: 2 }));
    assert_eq!(Output::of_instances([]), Ok(Output::of(b"[]")));
    let deep = [&[b'['; 100_000][..], &[b']'; 100_000]].concat();
    let deep: Vec<&[u8]> = vec![&deep, b"1"];
    assert_eq!(count_items(&Output::of_instances(deep).unwrap(), &pointer("")), Ok(2));
}
