//! What can be written in a scenario file. Every field is documented here and in `docs/scenarios.md`.

use super::control::ControlLoad;
use super::kind::FaultKind;
use super::mesh::MeshLoad;
use super::objects::ObjectLoad;
use super::placement::PlacementLoad;
use super::section::Section;
use super::shards::ShardLoad;
use super::tasks::TaskLoad;
use super::units::{Rate, Share, Span, SpanRange};
use crate::subjects::SubjectName;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::limits::Limits;
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// One story: what is there, what goes wrong, and what must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name: lower case, digits and hyphens; the file is called the same.
    pub name: String,
    /// The story in one or two sentences.
    pub about: String,
    /// Sets it belongs to; `quick` is run on each change.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What is simulated.
    #[serde(default)]
    pub subject: SubjectName,
    /// Number of nodes, 1 to 2,000.
    pub nodes: u32,
    /// Newest body version that the nodes' build understands at the start; the newest there is unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// Whether each `[[fault]]` is switched on or off by the seed (swarm testing).
    #[serde(default)]
    pub swarm: bool,
    /// How long faults happen, and how soon after them everything must be well again.
    pub phases: Phases,
    /// The network without faults.
    #[serde(default)]
    pub network: NetworkSettings,
    /// The disks without faults.
    #[serde(default)]
    pub disk: DiskSettings,
    /// The clocks without faults.
    #[serde(default)]
    pub clocks: Clocks,
    /// What the echo machines of the example do.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub echo: Section<EchoLoad>,
    /// What clients ask of the example's journals.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub journal: Section<JournalLoad>,
    /// What clients ask of the example's shelves.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub objects: Section<ObjectLoad>,
    /// Who takes part in the mesh.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub mesh: Section<MeshLoad>,
    /// What is asked of the mesh's control group.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub control: Section<ControlLoad>,
    /// What is asked of the mesh's replicated logs.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub shards: Section<ShardLoad>,
    /// Where they ought to be, and what operators ask about that.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub placement: Section<PlacementLoad>,
    /// Which tasks are submitted to them.
    #[serde(default, skip_serializing_if = "Section::is_absent")]
    pub tasks: Section<TaskLoad>,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// What must hold besides every invariant.
    #[serde(default)]
    pub expect: Expect,
}

impl Scenario {
    /// Fills in what follows from the subject, so that what is written down leaves nothing to a later build.
    pub(super) fn spell_out(&mut self) {
        let terms = self.subject.terms();
        self.version.get_or_insert(terms.newest.0);
        for section in terms.sections {
            match *section {
                "echo" => self.echo.spell_out(),
                "journal" => self.journal.spell_out(),
                "objects" => self.objects.spell_out(),
                "mesh" => self.mesh.spell_out(),
                "control" => self.control.spell_out(),
                "shards" => self.shards.spell_out(),
                // Absent it changes nothing, and older builds do not know it.
                "placement" => {}
                "tasks" => self.tasks.spell_out(),
                unknown => panic!("a scenario has no section `{unknown}`"),
            }
        }
    }

    /// The sections that belong to a subject, each with whether it is given.
    pub(super) fn sections(&self) -> [(&'static str, bool); 8] {
        [
            ("echo", self.echo.is_given()),
            ("journal", self.journal.is_given()),
            ("objects", self.objects.is_given()),
            ("mesh", self.mesh.is_given()),
            ("control", self.control.is_given()),
            ("shards", self.shards.is_given()),
            ("placement", self.placement.is_given()),
            ("tasks", self.tasks.is_given()),
        ]
    }
}

/// The two phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Faults happen and load is offered in this time; safety is checked throughout.
    pub safety: Span,
    /// After that everything is healed, and all that was asked must be answered within this time.
    pub liveness: Span,
}

/// The network when nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// One-way delay of a packet; each packet draws its own, so packets may overtake one another.
    pub delay: SpanRange,
    /// Share of packets whose delay is drawn from ten times that range.
    pub tail: Share,
    /// Bytes that wait for a link of limited bandwidth before the sender is told that it is full.
    pub queue_bytes: u64,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        let delay = SpanRange { from: Duration::from_micros(200), to: Duration::from_millis(1) };
        Self { delay, tail: Share(10_000), queue_bytes: 64 << 10 }
    }
}

/// The disks when nothing is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSettings {
    /// Time a sync takes.
    pub sync: SpanRange,
    /// Time a read takes.
    pub read: SpanRange,
    /// Share of unsynced writes that a power loss tears, of those it does not lose.
    pub torn: Share,
    /// Records by which a node's journal grows before it is trimmed.
    pub trim_records: u64,
    /// Bytes by which it grows before it is trimmed.
    pub trim_bytes: u64,
    /// Slots that are emptied with one sync.
    pub trim_slots: u64,
}

impl Default for DiskSettings {
    fn default() -> Self {
        let Limits { trim_records, trim_bytes, trim_slots, .. } = Limits::default();
        Self {
            trim_records,
            trim_bytes,
            trim_slots,
            sync: SpanRange { from: Duration::from_micros(100), to: Duration::from_millis(2) },
            read: SpanRange { from: Duration::from_micros(10), to: Duration::from_micros(100) },
            torn: Share(300_000),
        }
    }
}

/// The clocks when nothing is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clocks {
    /// Each wall clock is off by up to this, either way.
    pub offset: Span,
    /// Each pair of clocks is fast or slow by up to this rate.
    pub rate: Rate,
}

/// What the echo machine of each node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EchoLoad {
    /// Pings under way at once; zero switches the echo mesh off.
    pub window: u16,
    /// Bytes of payload in each ping, at most 192.
    pub payload_bytes: u16,
    /// Pause between an answer and the next ping.
    pub pause: Span,
    /// Time after which a ping is sent again.
    pub timeout: Span,
    /// Times a ping is sent again before another peer is tried.
    pub retries: u8,
    /// Time within which the answer must leave the peer.
    pub answer_within: Span,
}

impl Default for EchoLoad {
    fn default() -> Self {
        Self {
            window: 2,
            payload_bytes: 64,
            pause: Span(Duration::from_millis(20)),
            timeout: Span(Duration::from_millis(100)),
            retries: 3,
            answer_within: Span(Duration::from_millis(50)),
        }
    }
}

/// What clients ask of the journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalLoad {
    /// Clients, each with one request under way; zero switches the load off.
    pub clients: u32,
    /// Pause between an answer and the client's next request.
    pub think: SpanRange,
    /// Time after which a client sends a request again.
    pub timeout: Span,
    /// Bytes of an entry, at most this many.
    pub entry_bytes: u32,
    /// Share of requests that read.
    pub reads: Share,
    /// Share of appends whose entry carries its hash, which the node checks outside the machine.
    pub hashed: Share,
    /// When an operator lets every node write the newest record version, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activate_at: Option<Span>,
}

impl Default for JournalLoad {
    fn default() -> Self {
        Self {
            clients: 8,
            think: SpanRange { from: Duration::from_millis(1), to: Duration::from_millis(20) },
            timeout: Span(Duration::from_millis(300)),
            entry_bytes: 300,
            reads: Share(300_000),
            hashed: Share(200_000),
            activate_at: None,
        }
    }
}

/// One thing that goes wrong, once or several times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// A name for reports; the kind and a number unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// To whom: a list of nodes, a number of nodes to be drawn, or `"all"`.
    #[serde(default)]
    pub nodes: Nodes,
    /// When, counted from the start of the run.
    pub at: SpanRange,
    /// How long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<SpanRange>,
    /// How often; times and nodes are drawn anew each time.
    #[serde(default = "once")]
    pub times: u32,
    /// Which packets a fault of the network concerns: those from the nodes (`out`), to them (`in`), or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The share of packets, writes, syncs, reads or links affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Extra delay, time an event takes, size of a clock step, or length of a phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Span>,
    /// Whether a clock step goes back; drawn unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<bool>,
    /// Rate of a clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Slow-down of a disk, bytes per second of a link, version of a build, or number of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// The links cut, as pairs of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<(u32, u32)>>,
    /// Whether the monotonic clock counts suspended time; it does unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<bool>,
}

/// Which packets a fault of the network concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the nodes and to them.
    #[default]
    Both,
    /// From the nodes.
    Out,
    /// To the nodes.
    In,
}

fn once() -> u32 {
    1
}

/// Which nodes a fault concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a list of node numbers, a number of nodes to draw, or \"all\"")]
pub enum Nodes {
    /// That many, drawn.
    Some(u32),
    /// These.
    These(Vec<u32>),
    /// Every one.
    All(All),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum All {
    /// Every node.
    #[serde(rename = "all")]
    All,
}

impl Default for Nodes {
    fn default() -> Self {
        Self::Some(1)
    }
}

/// What must hold besides every invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Stores that may be given up in one run, because more was broken than one disk can survive.
    pub excuses_max: u32,
    /// Invariants that must have been exercised at least once over the seeds of a matrix.
    pub exercised: Vec<String>,
    /// Consequences (such as `torn_write`) that must have come about at least once over the seeds of a matrix, besides
    /// every kind of fault that the file names.
    pub fired: Vec<String>,
}
