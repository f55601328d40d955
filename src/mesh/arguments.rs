//! What can be typed for the mesh.

use super::placement::arguments::{PeersCommand, ShardsCommand, weight, zone};
use crate::cli::{duration, setting};
use clap::{Args, Subcommand};
use relaymesh_core::control::state::{Name, Scope};
use relaymesh_core::envelope::KeyId;
use relaymesh_core::epoch::{ClusterEpoch, Epoch};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum MeshCommand {
    /// Run one node of the mesh until it is told to stop (SIGTERM says good-bye first)
    #[command(after_help = "\
The first node of a new mesh makes the cluster's key; every other node is given a copy of it:
  relaymesh node --dir /tmp/mesh-a --name a --new-cluster
  relaymesh node --dir /tmp/mesh-b --name b --key-file /tmp/mesh-a/keyring --seed 127.0.0.1:PORT

Started again, a node needs neither: its folder keeps its identity, its keys and its journal. There is no encryption yet:
a node listens on this machine only, unless --allow-plaintext-network says otherwise.")]
    Node(Box<NodeArguments>),
    /// Show who is there, as a running node sees it
    #[command(after_help = "\
`counts` tells whether placement counts on a member: one that was dead, or suspected by several, must be healthy for a
while first, and longer after each relapse.

Examples:
  relaymesh members --dir /tmp/mesh-a
  relaymesh members --dir /tmp/mesh-a -o json
  relaymesh members --dir /tmp/mesh-a --watch 2s")]
    Members(MembersArguments),
    /// Let a running node say good-bye to the mesh
    Leave(FolderArguments),
    /// Show and rotate the keys of the mesh
    #[command(after_help = "\
To replace a key without stopping anything: make one, install it on every node, use it on every node, remove the old one.
  relaymesh keys --dir /tmp/mesh-a new > new-key
  relaymesh keys --dir /tmp/mesh-a install new-key       (and on every other node)
  relaymesh keys --dir /tmp/mesh-a list                  (shows who holds it)
  relaymesh keys --dir /tmp/mesh-a use 3fa1              (refused until every member holds it)
  relaymesh keys --dir /tmp/mesh-a remove 07bc           (refused while a member still seals with it)")]
    Keys(KeysArguments),
    /// Found the control group, which decides who leads and who owns what
    #[command(after_help = "\
Asked once, of one node: it votes alone until others are added, here or with `cluster-voters`. A group has 1, 3, 5 or 7
voters; with three, one may fail. Names are those that `relaymesh members` shows.

Examples:
  relaymesh cluster-init --dir /tmp/mesh-a --with b --with c
  relaymesh cluster-state --dir /tmp/mesh-a")]
    ClusterInit(ClusterInitArguments),
    /// Show what the cluster has agreed on, as a running node knows it
    ClusterState(FolderArguments),
    /// Let nodes vote, or vote no more, while everything runs
    #[command(after_help = "\
Examples:
  relaymesh cluster-voters --dir /tmp/mesh-a --add d --add e
  relaymesh cluster-voters --dir /tmp/mesh-a --add d --remove b")]
    ClusterVoters(ClusterVotersArguments),
    /// Fence whatever was granted before: from then on no write under an older epoch is accepted anywhere
    #[command(after_help = "\
Whoever holds something goes on under a new token. The command returns once every holder knows the new epoch, or has
ended.

Example:
  relaymesh cluster-epoch-bump --dir /tmp/mesh-a --reason 'disk of b was restored from a backup'")]
    ClusterEpochBump(EpochBumpArguments),
    /// Let commands of a newer version be used, once every member runs a build that understands them
    #[command(after_help = "\
Refused, and harmless, while a member of the control group runs an older build or has not been heard of lately: the answer
names it. There is no way back: a node that is started with an older build afterwards takes no part until it is upgraded.

Version 2 adds `mesh leaders retire`.

Example, once all nodes are upgraded:
  relaymesh cluster-activate 2 --dir /tmp/mesh-a")]
    ClusterActivate(ClusterActivateArguments),
    /// Write what the cluster has agreed on, as a running node knows it, to a file
    #[command(after_help = "\
Any node that follows the group will do. Sessions and leases in it mean nothing any more when it is used.

Example:
  relaymesh cluster-backup --dir /tmp/mesh-a --to cluster.backup")]
    ClusterBackup(ClusterBackupArguments),
    /// Begin another history of the cluster: where its quorum is lost, or from a backup
    #[command(after_help = "\
Of a group that has lost its quorum the node goes on with all it has of the log; if another one has more, it says so. The
new epoch is above every one that any reachable member knows, so that nothing granted before is accepted any more; nothing
is granted until whoever held something must have stopped (`--span-max` of cluster-init). The node votes alone at first.

If the voters that were taken for lost run on or come back, two nodes may act at once until they hear of the new history
and give theirs up; fence tokens keep the older one out wherever they are checked.

Examples:
  relaymesh cluster-recover --dir /tmp/mesh-c --quorum-is-lost --reason 'rack 2 burnt'
  relaymesh cluster-recover --dir /tmp/mesh-c --quorum-is-lost --reason 'all disks lost' --backup cluster.backup
  relaymesh cluster-voters --dir /tmp/mesh-c --add d --add e")]
    ClusterRecover(ClusterRecoverArguments),
    /// Show the stale writes that a running node has refused
    LeaseConflicts(FolderArguments),
    /// Ask a running node whether a write under a fence token still counts; if so, none under an older one does any more
    #[command(after_help = "\
Exit code 0: it counts, and the node remembers that. Exit code 1: it is stale, and on record as a conflict.

Example, in a script that only one node at a time may run:
  token=$(relaymesh mesh leaders act nightly-job --dir /tmp/mesh-a) &&
  relaymesh lease-accept --dir /tmp/mesh-b --scope nightly-job --token $token --writer a")]
    LeaseAccept(LeaseAcceptArguments),
    /// Look at the mesh, and steer it
    #[command(subcommand)]
    Mesh(MeshTopic),
}

/// What of the mesh.
#[derive(Debug, Subcommand)]
pub(crate) enum MeshTopic {
    /// Who leads what: at most one node each scope at a time
    #[command(subcommand)]
    Leaders(LeadersCommand),
    /// Where shards are and ought to be, what would move, and plans that move it
    #[command(subcommand)]
    Shards(ShardsCommand),
    /// Nodes as places for shards: keep them from being given anything, or have them give all away
    #[command(subcommand)]
    Peers(PeersCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeadersCommand {
    /// Show every scope, who holds it and under which token
    Status(LeadersStatusArguments),
    /// Let a running node hold a scope, now or when its turn comes, until it is told otherwise or ends
    Hold(ScopeArguments),
    /// Let it hold a scope no more; the next in line gets it
    Drop(ScopeArguments),
    /// Take a scope out of the list that nobody holds or waits for; needs `cluster-activate 2`
    Retire(ScopeArguments),
    /// Let it hand a scope to another node
    Transfer {
        #[command(flatten)]
        scope: ScopeArguments,
        /// Name or id of that node
        #[arg(long, value_name = "NODE")]
        to: String,
    },
    /// Print the fence token under which it may act for a scope; exit code 1 if it may not
    Act(ScopeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct LeadersStatusArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Show it again and again, with this pause
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, default_missing_value = "1s")]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ScopeArguments {
    /// `global`, or a name of 1 to 64 visible characters
    #[arg(value_parser = scope)]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterInitArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Name or id of another node that is to vote, too; may be repeated
    #[arg(long, value_name = "NODE")]
    pub(crate) with: Vec<String>,
    /// The longest time that any holder may stay without being heard of; fixed for good
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(crate) span_max: Duration,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true, args = ["add", "remove"])]
pub(crate) struct ClusterVotersArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Name or id of a node that is to vote; may be repeated
    #[arg(long, value_name = "NODE")]
    pub(crate) add: Vec<String>,
    /// Name or id of a node that is to vote no more; may be repeated
    #[arg(long, value_name = "NODE")]
    pub(crate) remove: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EpochBumpArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who, for the record [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// The epoch that it must have now [default: the one that the node knows]
    #[arg(long, value_name = "EPOCH")]
    pub(crate) expected: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterActivateArguments {
    /// The version after the one in use
    #[arg(value_name = "VERSION", value_parser = clap::value_parser!(u8).range(2..))]
    pub(crate) version: u8,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterBackupArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterRecoverArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// You have seen to it that no majority of the old voters runs, or will run again
    #[arg(long, required = true)]
    pub(crate) quorum_is_lost: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who, for the record [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// A backup to begin with, instead of what the node has
    #[arg(long, value_name = "FILE")]
    pub(crate) backup: Option<PathBuf>,
    /// An epoch that was seen somewhere out of reach; the new one will be above it
    #[arg(long, value_name = "EPOCH")]
    pub(crate) above: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct LeaseAcceptArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// The scope that the write is for
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub(crate) scope: Scope,
    /// The token that the writer came with, such as 1.42
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    pub(crate) token: Epoch,
    /// Name or id of the node that writes
    #[arg(long, value_name = "NODE")]
    pub(crate) writer: String,
}

#[derive(Debug, Args)]
pub(crate) struct FolderArguments {
    /// Folder of the node
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// Folder of the node: its identity, keys and journal; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Agents that it runs at once; 0 for none. What they are stands in `agents.toml` in its folder
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) capacity: u16,
    /// A label that tasks may ask a worker for; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = crate::tasks::arguments::label)]
    pub(crate) offers: Vec<(relaymesh_core::task::workflow::Name, String)>,
    /// Where it listens, for datagrams and streams alike; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// What others are told, where that is another address; port 0 stands for the port listened on
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) advertise: Option<SocketAddr>,
    /// Where others may be found; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) seed: Vec<String>,
    /// File with one such place a line, read anew at each search
    #[arg(long, value_name = "FILE")]
    pub(crate) seeds_file: Option<PathBuf>,
    /// Key of the cluster, for a folder that has none; another node's keyring will do
    #[arg(long, value_name = "FILE", conflicts_with = "new_cluster")]
    pub(crate) key_file: Option<PathBuf>,
    /// Begin a new cluster, with a new key, unless the folder has one
    #[arg(long)]
    pub(crate) new_cluster: bool,
    /// What people call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// What it does, such as `worker`
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Its region
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Its zone: what fails together; copies of a shard are put into different ones
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(crate) zone: Option<Name>,
    /// What it can carry of shards, against the others: 1 to 1024
    #[arg(long, value_name = "N", default_value = "100", value_parser = weight)]
    pub(crate) weight: u16,
    /// A label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) label: Vec<(String, String)>,
    /// The network it is set up for
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = ["local", "lan", "wan"])]
    pub(crate) profile: String,
    /// Listen and speak beyond this machine, although nothing is encrypted yet
    #[arg(long)]
    pub(crate) allow_plaintext_network: bool,
    /// End once standard input has ended: whoever held its other end is gone
    #[arg(long, hide = true)]
    pub(crate) end_with_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MembersArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Show it again and again, with this pause
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, default_missing_value = "1s")]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show every key, and who holds it
    List,
    /// Print a new key for the cluster of this node; it is a secret
    New,
    /// Give the running node a key; it opens packets with it from then on
    Install {
        /// File with the key
        file: PathBuf,
    },
    /// Let the running node seal with a key
    Use {
        /// The key's name
        #[arg(value_parser = key_id)]
        key: KeyId,
        /// Also when some members do not hold it: they are lost
        #[arg(long)]
        force: bool,
    },
    /// Let the running node forget a key
    Remove {
        /// The key's name
        #[arg(value_parser = key_id)]
        key: KeyId,
        /// Also when some members still seal with it: they are lost
        #[arg(long)]
        force: bool,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    match text.strip_prefix("named:").unwrap_or(text) {
        "global" if text == "global" => Ok(Scope::Global),
        name => Name::new(name).map(Scope::Named).map_err(|problem| format!("not a scope: {problem}")),
    }
}

fn token(text: &str) -> Result<Epoch, String> {
    let parts = text.split_once('.').and_then(|(cluster, lease)| Some((cluster.parse().ok()?, lease.parse().ok()?)));
    let (cluster, lease) = parts.ok_or("a fence token is written as epoch and number, such as 1.42")?;
    Ok(Epoch { cluster: ClusterEpoch(cluster), lease })
}

fn key_id(text: &str) -> Result<KeyId, String> {
    let is_name = text.len() == 4;
    let id = u16::from_str_radix(text, 16).ok().filter(|_| is_name);
    id.map(KeyId).ok_or_else(|| "a key is called by four hexadecimal digits, as `keys list` shows them".into())
}
