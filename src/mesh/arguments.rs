//! What can be typed for the mesh.

use crate::cli::{duration, setting};
use clap::{Args, Subcommand};
use relaymesh_core::envelope::KeyId;
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
    /// Its zone
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// A label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) label: Vec<(String, String)>,
    /// The network it is set up for
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = ["local", "lan", "wan"])]
    pub(crate) profile: String,
    /// Listen and speak beyond this machine, although nothing is encrypted yet
    #[arg(long)]
    pub(crate) allow_plaintext_network: bool,
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

fn key_id(text: &str) -> Result<KeyId, String> {
    let is_name = text.len() == 4;
    let id = u16::from_str_radix(text, 16).ok().filter(|_| is_name);
    id.map(KeyId).ok_or_else(|| "a key is called by four hexadecimal digits, as `keys list` shows them".into())
}
