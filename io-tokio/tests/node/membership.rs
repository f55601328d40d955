//! The production node's own machines on the production driver: the same code as in the simulator, and real sockets.

use crate::stage::{Machine, soon};
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::settings::Profile;
use relaymesh_core::membership::{Identity, Reply as MembershipReply, Request as MembershipRequest, Status};
use relaymesh_core::mesh::{MeshNode, NEWEST_VERSION, Reply, Request, Settings as MeshSettings};
use relaymesh_io_tokio::folder::Folder;
use relaymesh_io_tokio::settings::{Seeds, Settings};
use relaymesh_io_tokio::{Handle, Observations, start};
use std::collections::BTreeMap;

struct Member {
    handle: Handle<MeshNode>,
    observations: Observations<MeshNode>,
}

impl Member {
    async fn start(machine: &Machine, name: &str, seeds: Vec<String>) -> Self {
        let settings = Settings { seeds: Seeds { places: seeds, file: None }, ..Settings::default() };
        let folder = Folder::open(machine.path()).unwrap();
        let compose = |seat: &relaymesh_core::node::Seat, endpoint| {
            let mesh = MeshSettings { membership: Profile::Local.into() };
            let (node, speaks, name) = (seat.node, NEWEST_VERSION.0, name.into());
            MeshNode::new(seat, mesh, Identity { node, endpoint, speaks, name, profile: Default::default() })
        };
        let handle = start(folder, settings, compose).await.unwrap();
        let observations = handle.observations();
        Self { handle, observations }
    }

    async fn ask(&self, request: MembershipRequest) -> Option<MembershipReply> {
        let Reply::Membership(reply) = self.handle.request(Request::Membership(request)).await.ok()?;
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

#[test]
#[ignore = "scratch"]
fn scratch_idle() {
    fn cpu() -> f64 {
        let s = std::fs::read_to_string("/proc/self/stat").unwrap();
        let f: Vec<&str> = s.rsplit(") ").next().unwrap().split(' ').collect();
        (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
    }
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let machines: [Machine; 3] = std::array::from_fn(|_| Machine::new());
        let mut one = Member::start(&machines[0], "one", vec![]).await;
        let seed = vec![one.handle.endpoint().to_string()];
        let two = Member::start(&machines[1], "two", seed.clone()).await;
        let three = Member::start(&machines[2], "three", seed).await;
        let ids = [&one, &two, &three].map(|member| member.handle.node());
        one.sees(&ids.map(|id| (id, Status::Alive))).await;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let (c, t) = (cpu(), std::time::Instant::now());
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        eprintln!("3 nodes, local profile: {:.2} % of a core together", (cpu() - c) / t.elapsed().as_secs_f64() * 100.0);
    });
}

#[test]
#[ignore = "scratch"]
fn scratch_speed() {
    use crate::ledger::{Request as R, Reply as P};
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let machine = Machine::new();
        let node = machine.start().await;
        let t = std::time::Instant::now();
        for _ in 0..200 { node.handle.request(R::Add(1)).await.unwrap(); }
        eprintln!("one at a time: {:.2} ms each", t.elapsed().as_secs_f64() * 5.0);
        let t = std::time::Instant::now();
        for _ in 0..20000 { node.handle.request(R::Count).await.unwrap(); }
        eprintln!("reads one at a time: {:.0}/s", 20000.0/t.elapsed().as_secs_f64());
        let t = std::time::Instant::now();
        let tasks: Vec<_> = (0..500).map(|_| { let h = node.handle.clone(); tokio::spawn(async move { for _ in 0..40 { h.request(R::Add(1)).await.unwrap(); } }) }).collect();
        for task in tasks { task.await.unwrap(); }
        eprintln!("500 clients: {:.0} durable/s", 20000.0/t.elapsed().as_secs_f64());
        let _ = P::Done;
        let (_m, one, two) = crate::stage::pair().await;
        let t = std::time::Instant::now();
        let n = 50_000;
        let h = one.handle.clone(); let to = two.node();
        let mut o = two.handle.observations();
        let sender = tokio::spawn(async move { for number in 0..n { h.request(R::Tell { to, class: relaymesh_core::envelope::Class::Bulk, number, padding: 100, gated: false }).await.unwrap(); } });
        let mut heard = 0;
        while heard < n { match tokio::time::timeout(std::time::Duration::from_secs(3), o.next()).await { Ok(Some(relaymesh_io_tokio::Sighting::Noticed(_))) => heard += 1, Ok(Some(relaymesh_io_tokio::Sighting::Missed(k))) => heard += k, _ => break } }
        sender.await.unwrap();
        eprintln!("messages: {heard} of {n}, {:.0}/s {:?}", heard as f64/t.elapsed().as_secs_f64(), one.counts());
    });
}
