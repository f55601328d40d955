//! What can be typed for a mesh on one machine.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Folder of the mesh [default: `relaymesh-dev` here; of a demo one in the temporary folder, which goes with it]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Nodes of a new mesh, 1 to 7 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) nodes: Option<u8>,
    /// Run a workflow, kill the node that works on it, and see it finished by the others
    #[arg(long)]
    pub(crate) demo: bool,
}

/// What `--help` ends with.
pub(crate) const HELP: &str = "\
Each node is a process of its own with a folder of its own, `a`, `b`, `c` and so on; logs stand in `logs`. Ctrl-C ends them
all, and so does the death of this command. Started again on the same folder, the mesh goes on with its data. A node that
ends, because you have killed it, say, is started again a little later. `agents.toml` in the folder says which agents they
run; each start gives every node a copy.

Examples:
  relaymesh dev
  relaymesh dev --dir my-mesh --nodes 5
  relaymesh dev --demo

Exit codes: 0 stopped by Ctrl-C, or the demo went as promised; 1 not, or it could not start; 64 not understood.";
