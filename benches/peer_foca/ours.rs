//! RelayMesh's side.

use crate::figures::Figures;
use crate::schedule::Schedule;

/// Runs the mesh through `schedule`, telling a [`Watch`](crate::watch::Watch) of what every node lists and sends.
///
/// `None` as long as there is no mesh to run: then the table has no column for it.
pub(crate) fn relaymesh(_schedule: &Schedule) -> Option<Figures> {
    None
}
