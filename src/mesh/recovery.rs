//! `relaymesh cluster-backup` and `cluster-recover`: the state carried out of a node, and another history begun.
//!
//! A backup is a file: a line that says what it is, then each piece behind its length. Pieces carry checksums.

use super::arguments::{ClusterBackupArguments, ClusterRecoverArguments};
use super::cluster::text;
use super::members::members;
use super::names::Names;
use super::{ask_control, block_on};
use crate::error::{Error, Exit};
use crate::output::{Output, counted, grouped, note};
use crate::whole::write_whole;
use relaymesh_core::control::group::wire::Blob;
use relaymesh_core::control::node::{Recovery, Refusal, Reply, Request, Source};
use relaymesh_core::control::state::state_of_snapshot;
use relaymesh_core::epoch::ClusterEpoch;
use serde::Serialize;
use std::path::Path;

/// What a backup begins with.
const HEAD: &[u8] = b"RELAYMESH BACKUP 1\n";

/// A backup that was written, or a history that was begun, as people and programs see it.
#[derive(Debug, Serialize)]
struct Done {
    epoch: u64,
    recovery: String,
    /// The last entry in it.
    applied: u64,
    /// Bytes of the file, of a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Members whose epochs were asked for, and are older, of a recovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<Vec<String>>,
}

pub(super) fn back_up(arguments: &ClusterBackupArguments, output: &Output) -> Result<Exit, Error> {
    let file = block_on(async {
        let mut file = HEAD.to_vec();
        for number in 0.. {
            let request = Request::Backup { number };
            let Reply::Piece { piece, .. } = ask_control(&arguments.folder.dir, request).await? else {
                return Err(Error::OtherAnswer);
            };
            let Some(piece) = piece else { break };
            file.extend_from_slice(&(piece.0.len() as u32).to_le_bytes());
            file.extend_from_slice(&piece.0);
        }
        Ok(file)
    })?;
    let state = state_of_snapshot(&file[HEAD.len()..]).map_err(|_| Error::ControlRefused(Refusal::OtherPiece))?;
    write_whole(&arguments.to, &file)?;
    let (lineage, bytes) = (state.lineage(), file.len() as u64);
    let done = Done {
        epoch: lineage.epoch.0,
        recovery: lineage.recovery.to_string(),
        applied: state.applied(),
        bytes: Some(bytes),
        answered: None,
    };
    if output.is_json() {
        output.json(&done)?;
    }
    note(format_args!(
        "{} holds the state up to entry {}, of epoch {}: {} bytes",
        arguments.to.display(),
        grouped(done.applied),
        done.epoch,
        grouped(bytes)
    ));
    Ok(Exit::Held)
}

pub(super) fn recover(arguments: &ClusterRecoverArguments, output: &Output) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    let actor = arguments.actor.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "operator".into());
    let (reason, actor) = (text(&arguments.reason), text(&actor));
    let pieces = arguments.backup.as_deref().map(read).transpose()?;
    let source = if pieces.is_some() { Source::Backup } else { Source::Own };
    let above = ClusterEpoch(arguments.above.unwrap_or(0));
    let (names, reply) = block_on(async {
        let names = Names::of(members(dir).await?);
        for (number, bytes) in (0..).zip(pieces.unwrap_or_default()) {
            ask_control(dir, Request::Restore { number, bytes }).await?;
        }
        Ok((names, ask_control(dir, Request::Recover(Recovery { source, above, reason, actor })).await?))
    })?;
    let Reply::Recovered { lineage, at, answered } = reply else { return Err(Error::OtherAnswer) };
    let answered: Vec<String> = answered.into_iter().map(|node| names.name(node)).collect();
    note(format_args!(
        "another history begins, under epoch {}, which is above that of {}; this node votes alone until others are added\n  \
         with `relaymesh cluster-voters --add`, and nothing is granted until whoever held something before must have stopped",
        lineage.epoch.0,
        counted(answered.len() as u64, "other node")
    ));
    let done = Done {
        epoch: lineage.epoch.0,
        recovery: lineage.recovery.to_string(),
        applied: at,
        bytes: None,
        answered: Some(answered),
    };
    if output.is_json() {
        output.json(&done)?
    } else {
        output.print(&format!("{}\n", done.epoch))?
    }
    Ok(Exit::Held)
}

/// The pieces of a backup, all of them sound.
fn read(path: &Path) -> Result<Vec<Blob>, Error> {
    let file = std::fs::read(path).map_err(|problem| Error::Read { path: path.into(), problem })?;
    pieces(&file).ok_or_else(|| Error::BadBackup { path: path.into() })
}

fn pieces(file: &[u8]) -> Option<Vec<Blob>> {
    let mut rest = file.strip_prefix(HEAD)?;
    state_of_snapshot(rest).ok()?;
    let mut pieces = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (piece, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        pieces.push(Blob(piece.into()));
        rest = behind;
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relaymesh_core::control::state::{Genesis, State, snapshot_bytes};

    fn file() -> Vec<u8> {
        let genesis = Genesis { lineage: Default::default(), span_max: relaymesh_core::time::Duration::from_secs(30) };
        [HEAD, &snapshot_bytes(&State::new(genesis))].concat()
    }

    #[test]
    fn a_backup_is_read_as_it_was_written() {
        assert_eq!(pieces(&file()).map(|pieces| pieces.len()), Some(1));
    }

    #[test]
    fn what_is_no_whole_backup_is_refused() {
        let file = file();
        for end in 0..file.len() {
            assert_eq!(pieces(&file[..end]), None, "cut at {end}");
        }
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert_eq!(pieces(&changed), None, "byte {at}");
        }
        assert_eq!(pieces(&[&file[..], b"x"].concat()), None);
    }
}
