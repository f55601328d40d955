//! The production node's own machines on the production driver: the same code as in the simulator, and real sockets.

use crate::stage::{Machine, soon};
use relaymesh_core::identity::NodeId;
use relaymesh_core::limits::Limits;
use relaymesh_core::membership::settings::Profile;
use relaymesh_core::membership::{Identity, Reply as MembershipReply, Request as MembershipRequest, Status};
use relaymesh_core::mesh::{MeshNode, NEWEST_VERSION, Reply, Request, Settings as MeshSettings};
use relaymesh_core::node::{NodeObservation, Observed};
use relaymesh_io_tokio::folder::Folder;
use relaymesh_io_tokio::settings::{Seeds, Settings};
use relaymesh_io_tokio::{Handle, Observations, Sighting, start};
use std::collections::BTreeMap;

struct Member {
    handle: Handle<MeshNode>,
    observations: Observations<MeshNode>,
}

impl Member {
    async fn start(machine: &Machine, name: &str, seeds: Vec<String>) -> Self {
        let settings = Settings { seeds: Seeds { places: seeds, file: None }, ..Settings::default() };
        Self::start_with(machine, name, settings).await
    }

    async fn start_with(machine: &Machine, name: &str, settings: Settings) -> Self {
        let folder = Folder::open(machine.path()).unwrap();
        let compose = |seat: &relaymesh_core::node::Seat, endpoint| {
            let mesh = MeshSettings::from(Profile::Local);
            let (node, speaks, name) = (seat.node, NEWEST_VERSION.0, name.into());
            MeshNode::new(seat, mesh, Identity { node, endpoint, speaks, name, profile: Default::default() })
        };
        let handle = start(folder, settings, compose).await.unwrap();
        let observations = handle.observations();
        Self { handle, observations }
    }

    async fn ask(&self, request: MembershipRequest) -> Option<MembershipReply> {
        let Ok(Reply::Membership(reply)) = self.handle.request(Request::Membership(request)).await else { return None };
        Some(reply)
    }

    /// Waits until this is what the node holds the members to be. Looks again whenever the node observes something.
    async fn sees(&mut self, expected: &[(NodeId, Status)]) {
        let expected: BTreeMap<NodeId, Status> = expected.iter().copied().collect();
        soon(async {
            loop {
                if let Some(MembershipReply::Members(members)) = self.ask(MembershipRequest::Members).await
                    && expected == members.iter().map(|member| (member.node, member.status)).collect()
                {
                    return;
                }
                assert!(self.observations.next().await.is_some(), "the node stopped");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_journal_is_trimmed_in_the_store_and_a_restart_reads_only_what_is_left() {
    let machine = Machine::new();
    let limits = Limits { trim_records: 2, trim_slots: 2, ..Limits::default() };
    for _ in 0..8 {
        let settings = Settings { limits: limits.clone(), ..Settings::default() };
        let mut node = Member::start_with(&machine, "one", settings).await;
        soon(async {
            loop {
                let Some(Sighting::Noticed(noticed)) = node.observations.next().await else {
                    panic!("the node stopped")
                };
                match noticed.what {
                    Observed::Node(NodeObservation::JournalRecovered { records, .. }) => assert!(records <= 6),
                    Observed::Node(NodeObservation::JournalTrimmed { .. }) => return,
                    _ => {}
                }
            }
        })
        .await;
        node.handle.stop();
        soon(node.handle.stopped()).await.unwrap();
    }
}

#[tokio::test]
async fn three_nodes_find_one_another_by_a_seed_and_notice_who_leaves_and_who_dies() {
    let machines: [Machine; 3] = std::array::from_fn(|_| Machine::new());
    let mut one = Member::start(&machines[0], "one", vec![]).await;
    let seed = vec![one.handle.endpoint().to_string()];
    let mut two = Member::start(&machines[1], "two", seed.clone()).await;
    let mut three = Member::start(&machines[2], "three", seed).await;
    let ids = [&one, &two, &three].map(|member| member.handle.node());

    let all_alive = ids.map(|id| (id, Status::Alive));
    for member in [&mut one, &mut two, &mut three] {
        member.sees(&all_alive).await;
    }

    assert_eq!(soon(three.ask(MembershipRequest::Leave)).await, Some(MembershipReply::Left));
    three.handle.stop();
    let one_left = [(ids[0], Status::Alive), (ids[1], Status::Alive), (ids[2], Status::Left)];
    one.sees(&one_left).await;
    two.sees(&one_left).await;

    two.handle.stop();
    one.sees(&[(ids[0], Status::Alive), (ids[1], Status::Dead), (ids[2], Status::Left)]).await;
}
