//! Drawn definitions, as people would write them, and what is to be read from them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use proptest::collection::{btree_map, vec as list_of};
use proptest::prelude::*;

/// A step before it is written. Steps are named by rank, and use only lower ranks.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) rank: usize,
    pub(super) depends_on: BTreeSet<usize>,
    pub(super) each: Option<usize>,
    pub(super) input: Json,
    pub(super) fields: Vec<String>,
    pub(super) is_approval: bool,
}

/// JSON with references to steps.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Literal(&'static str),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
    /// A lower rank, or the workflow's input where there is none, and a path.
    Reference(prop::sample::Index, &'static str),
    Item,
}

pub(super) fn id(rank: usize) -> String {
    format!("s-{rank}")
}

impl Json {
    /// The text, with some white space, inside of the step of that rank.
    pub(super) fn write(&self, rank: usize, is_repeated: bool) -> String {
        let inner = |json: &Json| json.write(rank, is_repeated);
        match self {
            Self::Literal(text) => text.to_string(),
            Self::Text(text) => serde_json::to_string(text).unwrap(),
            Self::List(items) => format!("[{} ]", items.iter().map(inner).collect::<Vec<_>>().join(", ")),
            Self::Object(entries) => {
                let field =
                    |(key, json): (&String, &Json)| format!("{}: {}", serde_json::to_string(key).unwrap(), inner(json));
                format!("{{\n{}}}", entries.iter().map(field).collect::<Vec<_>>().join(",\n\t"))
            }
            Self::Reference(..) if rank == 0 => r#"{"$from":"workflow.input"}"#.into(),
            Self::Reference(of, path) => format!(r#"{{"path":"{path}", "$from":"{}"}}"#, id(of.index(rank))),
            Self::Item if is_repeated => r#"{"$from" : "item" }"#.into(),
            Self::Item => "null".into(),
        }
    }

    /// The ranks it refers to.
    pub(super) fn uses(&self, rank: usize, into: &mut BTreeSet<usize>) {
        match self {
            Self::Reference(of, _) if rank > 0 => _ = into.insert(of.index(rank)),
            Self::List(items) => items.iter().for_each(|item| item.uses(rank, into)),
            Self::Object(entries) => entries.values().for_each(|value| value.uses(rank, into)),
            Self::Reference(..) | Self::Literal(_) | Self::Text(_) | Self::Item => {}
        }
    }
}

impl Draft {
    pub(super) fn write(&self) -> String {
        let mut fields = vec![format!(r#""id": "{}""#, id(self.rank))];
        let ids: Vec<_> = self.depends_on.iter().rev().map(|rank| format!(r#""{}""#, id(*rank))).collect();
        fields.push(format!(r#""dependsOn": [{}]"#, ids.join(",")));
        if self.is_approval {
            fields.push(r#""approval": "Go on?\n""#.into());
        } else {
            fields.push(format!(r#""input": {}"#, self.input.write(self.rank, self.each.is_some())));
            fields.push(r#""agent": "x""#.into());
            fields.extend(self.each.map(|rank| format!(r#""forEach": {{"$from": "{}", "path": "/a/0"}}"#, id(rank))));
            fields.extend(self.fields.iter().cloned());
        }
        format!("{{{}}}", fields.join(", "))
    }

    /// The ranks it waits for.
    pub(super) fn waits(&self) -> BTreeSet<usize> {
        let mut waits = self.depends_on.clone();
        if !self.is_approval {
            waits.extend(self.each);
            self.input.uses(self.rank, &mut waits);
        }
        waits
    }
}

/// The definition of these steps, in this order.
pub(super) fn write(drafts: &[Draft]) -> String {
    let steps: Vec<_> = drafts.iter().map(Draft::write).collect();
    format!("{{\"steps\": [\n{}\n]}}\n", steps.join(",\n"))
}

pub(super) fn json() -> impl Strategy<Value = Json> {
    let literals = prop::sample::select(vec![
        "null",
        "true",
        "12345678901234567890",
        "-0.50e+7",
        r#""\u00e9\n""#,
        "0",
        "{ }",
        "[]",
    ]);
    let paths = prop::sample::select(vec!["", "/a", "/a/0", "/~0~1/x"]);
    let leaf = prop_oneof![
        literals.prop_map(Json::Literal),
        any::<String>().prop_map(Json::Text),
        (any::<prop::sample::Index>(), paths).prop_map(|(of, path)| Json::Reference(of, path)),
        Just(Json::Item),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            list_of(inner.clone(), 0..4).prop_map(Json::List),
            btree_map("[a-z/~\"é]{0,3}", inner, 0..4).prop_map(Json::Object),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<String>> {
    let one = |fields: &[&str]| {
        prop::option::of(prop::sample::select(fields.iter().map(ToString::to_string).collect::<Vec<_>>()))
    };
    let drawn = (
        one(&[r#""priority":"high""#, r#""priority":"low""#]),
        one(&[r#""timeoutMs":1"#, r#""timeoutMs":31622400000"#]),
        one(&[r#""retry":{}"#, r#""retry":{"maxAttempts":100,"baseBackoffMs":0}"#, r#""retry":{"maxBackoffMs":7}"#]),
        one(&[r#""labels":{}"#, r#""labels":{"gpu":"yes","a":"\"\u0001"}"#]),
        one(&[r#""concurrencyKey":"k""#]),
        one(&[r#""delayMs":0"#, r#""delayMs":1500"#]),
    );
    drawn.prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].into_iter().flatten().collect())
}

/// Steps without a cycle, in any order.
pub(super) fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let index = any::<prop::sample::Index>;
    let draft = (list_of(index(), 0..4), prop::option::of(index()), json(), fields(), prop::bool::weighted(0.1));
    list_of(draft, 1..12)
        .prop_map(|drafts| {
            let ranked = drafts.into_iter().enumerate().map(|(rank, (on, each, input, fields, is_approval))| {
                let lower = |of: prop::sample::Index| (rank > 0).then(|| of.index(rank));
                let (depends_on, each) = (on.into_iter().filter_map(lower).collect(), each.and_then(lower));
                Draft { rank, depends_on, each, input, fields, is_approval }
            });
            ranked.collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// What an agent may print: JSON, text, or neither.
pub(super) fn printed() -> impl Strategy<Value = Box<[u8]>> {
    let value = json().prop_map(|json| json.write(0, false).into_bytes());
    let known =
        prop::sample::select(vec![r#" {"a":[[1],{"x":2}],"~/":{"x":"t"}} "#, r#"{"a":"b"}"#, "[[]]", "\"t\"", "7"]);
    let known = known.prop_map(|text| text.as_bytes().to_vec());
    let text = any::<String>().prop_map(String::into_bytes);
    prop_oneof![2 => value, 3 => known, 1 => text, 1 => list_of(any::<u8>(), 0..8)].prop_map(Vec::into_boxed_slice)
}
