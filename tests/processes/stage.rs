//! Nodes as processes of their own, each with a folder that outlives them.

use relaymesh_core::membership::{self, Link, MemberView, Status};
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_io_tokio::control;
use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a story waits for what must come. Far longer than it takes on a machine that does nothing else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_relaymesh");

/// What a node holds its mesh to be, by id.
pub(crate) type View = BTreeMap<String, MemberView>;

/// Looks until there is what the story waits for; fails with `otherwise` when it does not come.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F, otherwise: impl Fn() -> String) -> T {
    let found = timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(PAUSE).await;
        }
    });
    match found.await {
        Ok(found) => found,
        Err(_) => panic!("never came about: {}", otherwise()),
    }
}

/// A folder of its own, which goes when the story ends. Its path is short: that of a socket in it may not be long.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rm-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process, which goes when the story ends.
struct Process(Child);

impl Process {
    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a folder gets its first key from.
#[derive(Clone, Copy)]
pub(crate) enum FirstKey<'a> {
    New,
    File(&'a Path),
    /// It has one.
    Kept,
}

/// A node that runs, or has run and may run again.
pub(crate) struct Node {
    // Before its folder, so that it ends first.
    process: Option<Process>,
    place: Place,
    name: String,
    profile: &'static str,
    id: String,
    endpoint: String,
}

impl Node {
    /// Starts a node in a folder of its own, and waits until it says where it is.
    pub(crate) async fn start(name: &str, profile: &'static str, key: FirstKey<'_>, seeds: &[String]) -> Self {
        let (place, name) = (Place::new(), name.to_owned());
        let mut node = Self { process: None, place, name, profile, id: String::new(), endpoint: String::new() };
        node.run("127.0.0.1:0", key, seeds).await;
        node
    }

    /// Starts it again, at another port.
    pub(crate) async fn restart(&mut self, seeds: &[String]) {
        self.run("127.0.0.1:0", FirstKey::Kept, seeds).await;
    }

    /// Starts it again where it was, without a word on where the others are.
    pub(crate) async fn restart_in_place(&mut self) {
        let endpoint = self.endpoint.clone();
        self.run(&endpoint, FirstKey::Kept, &[]).await;
        assert_eq!(self.endpoint, endpoint);
    }

    async fn run(&mut self, listen: &str, key: FirstKey<'_>, seeds: &[String]) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let mut command = Command::new(PROGRAM);
        command.arg("node").arg("--dir").arg(self.folder());
        command.args(["--name", &self.name, "--profile", self.profile, "--listen", listen]);
        match key {
            FirstKey::New => drop(command.arg("--new-cluster")),
            FirstKey::File(file) => drop(command.arg("--key-file").arg(file)),
            FirstKey::Kept => {}
        }
        command.args(seeds.iter().flat_map(|seed| ["--seed", seed]));
        let file = |name| File::create(self.place.0.join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        self.process = Some(Process(command.spawn().unwrap()));
        let line = until(
            || async { self.said("stdout").split_once('\n').map(|(line, _)| line.to_owned()) },
            || format!("{} says where it is: {}", self.name, self.said("stderr")),
        )
        .await;
        let words: Vec<&str> = line.split(' ').collect();
        let ["node", id, "of", "cluster", _, "at", endpoint] = words[..] else { panic!("{line}") };
        assert!(self.id.is_empty() || self.id == id, "{} has become {id}", self.id);
        (self.id, self.endpoint) = (id.to_owned(), endpoint.to_owned());
    }

    fn said(&self, stream: &str) -> String {
        std::fs::read_to_string(self.place.0.join(stream)).unwrap()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.place.0.join("node")
    }

    pub(crate) fn keyring(&self) -> PathBuf {
        self.folder().join("keyring")
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.as_ref().unwrap().signal(name);
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Tells it to end, and waits until it has: with which code, and what it said to people.
    pub(crate) async fn terminate(&mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let process = std::cell::RefCell::new(self.process.take().unwrap());
        let ended = until(
            || async { process.borrow_mut().0.try_wait().unwrap() },
            || format!("{} ends: {}", self.name, self.said("stderr")),
        )
        .await;
        (ended.code(), self.said("stderr"))
    }

    /// Runs a command on this node: `words`, `--dir`, and `rest`.
    pub(crate) fn command(&self, words: &[&str], rest: &[&str]) -> Output {
        Command::new(PROGRAM).args(words).arg("--dir").arg(self.folder()).args(rest).output().unwrap()
    }

    /// What it holds the mesh to be; `None` while it cannot say.
    pub(crate) async fn view(&self) -> Option<View> {
        let request = Request::Membership(membership::Request::Members);
        match control::ask(&self.folder(), &request).await {
            Ok(Reply::Membership(membership::Reply::Members(members))) => {
                Some(members.into_iter().map(|member| (member.node.to_string(), member)).collect())
            }
            _ => None,
        }
    }

    /// What it knows of itself.
    pub(crate) async fn itself(&self) -> MemberView {
        let view = until(|| self.view(), || format!("{} answers", self.name)).await;
        view.into_values().find(|member| member.link == Link::Own).unwrap()
    }
}

/// Nodes of one cluster. The first one has made its key.
pub(crate) struct Mesh(pub(crate) Vec<Node>);

impl Mesh {
    /// Starts `count` nodes that seek the first one, and waits until all agree.
    pub(crate) async fn of(count: usize) -> Self {
        Self::with_profile(count, "local").await
    }

    pub(crate) async fn with_profile(count: usize, profile: &'static str) -> Self {
        let mut mesh = Self(vec![Node::start("n0", profile, FirstKey::New, &[]).await]);
        for at in 1..count {
            mesh.add(&format!("n{at}"), profile).await;
        }
        mesh.all_alive().await;
        mesh
    }

    pub(crate) async fn add(&mut self, name: &str, profile: &'static str) {
        let first = &self.0[0];
        let node = Node::start(name, profile, FirstKey::File(&first.keyring()), &[first.endpoint()]).await;
        self.0.push(node);
    }

    /// Where those are that run.
    pub(crate) fn seeds(&self) -> Vec<String> {
        self.0.iter().filter(|node| node.runs()).map(Node::endpoint).collect()
    }

    pub(crate) async fn restart(&mut self, at: usize) {
        let seeds = self.seeds();
        self.0[at].restart(&seeds).await;
    }

    /// Waits until all hold all to be alive, and are of one mind about each.
    pub(crate) async fn all_alive(&self) -> View {
        let everyone: Vec<usize> = (0..self.0.len()).collect();
        self.agree(&everyone, &[]).await
    }

    /// Waits until `observers` are of one mind: these `others` are what they are said to be, everyone else is alive, and
    /// nobody else is known. Returns the view of the first.
    pub(crate) async fn agree(&self, observers: &[usize], others: &[(usize, Status)]) -> View {
        let status = |at| others.iter().find(|(other, _)| *other == at).map_or(Status::Alive, |(_, status)| *status);
        let expected: BTreeMap<&str, Status> =
            self.0.iter().enumerate().map(|(at, it)| (it.id(), status(at))).collect();
        let last = std::cell::RefCell::new(String::new());
        until(
            || async {
                let mut views = Vec::new();
                for at in observers {
                    views.push(self.0[*at].view().await?);
                }
                last.replace(views.iter().map(picture).collect::<Vec<_>>().join("\n"));
                let held = |view: &View| view.iter().map(|(id, it)| (id.clone(), it.status)).collect::<Vec<_>>();
                let wanted = expected.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect::<Vec<_>>();
                let agreed = views.iter().all(|view| held(view) == wanted && essence(view) == essence(&views[0]));
                agreed.then(|| views.swap_remove(0))
            },
            || format!("{observers:?} agree on {expected:?}; they hold:\n{}", last.borrow()),
        )
        .await
    }
}

/// What members of one mind agree on.
fn essence(view: &View) -> Vec<(String, u64, u64, Option<String>)> {
    let row = |(id, it): (&String, &MemberView)| {
        let description = it.description.as_ref();
        let version = description.map_or(0, |it| it.version);
        (id.clone(), it.incarnation.0, version, description.map(|it| it.endpoint.to_string()))
    };
    view.iter().map(row).collect()
}

fn picture(view: &View) -> String {
    let row = |(id, it): (&String, &MemberView)| format!("{} {} {}", &id[..6], it.status.name(), it.incarnation.0);
    view.iter().map(row).collect::<Vec<_>>().join(", ")
}
