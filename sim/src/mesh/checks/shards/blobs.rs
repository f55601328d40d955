//! Blobs: BLOB-1, what clients read of what they were told that it is referred to; and at the end, with BLOB-2, what is on the
//! disks.
//!
//! An object that rot has taken from a disk is not missed there in the end, since only a read makes it good: but a client
//! that reads it gets it, as long as one member's disk has it.

use super::super::super::clients::shards::Contents;
use super::super::{BLOB_1, BLOB_2, MeshChecks};
use crate::check::Findings;
use crate::disk::Bytes;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::blob::{BlobAddress, BlobObject, PIECE_BYTES, object};
use relaymesh_core::codec::decode_value;
use relaymesh_core::object::{ObjectId, open};
use relaymesh_core::replication::blobs::BlobTable;
use relaymesh_core::replication::registers::{Answer as Told, Command};
use relaymesh_core::shards::host::{Refusal, Reply, Request, object_id};
use relaymesh_core::shards::{ReplicaId, ShardId, ShardRecord};

/// A blob that a register refers to, as a client was told.
#[derive(Clone, Debug)]
struct Held {
    address: BlobAddress,
    value: u64,
}

/// A replica's table, as it was found.
#[derive(Debug)]
struct Found {
    host: u32,
    is_member: bool,
    /// Blobs, their objects, and whether anything refers to them.
    rows: Vec<(BlobAddress, u32, bool)>,
}

/// What clients know, and what there is.
#[derive(Debug, Default)]
pub(in super::super) struct Blobs {
    /// By shard and register.
    held: BTreeMap<(ShardId, u64), Held>,
    /// Objects that hosts have lost since by more than disks can help.
    lost: BTreeMap<ObjectId, BTreeSet<u32>>,
    /// What stands on the disks of hosts, and whether it is whole.
    disks: BTreeMap<u32, BTreeMap<ObjectId, bool>>,
    found: BTreeMap<ShardId, Vec<Found>>,
    contents: Contents,
    is_used: bool,
}

impl Blobs {
    /// A client asks something: whatever writes a register may take its blob.
    pub(super) fn asked(&mut self, request: &Request) {
        let Request::Submit { shard, command } = request else { return };
        if let Ok(Command::Write { register, .. } | Command::Refer { register, .. }) = decode_value(&command.0) {
            self.held.remove(&(*shard, register));
        }
    }

    pub(in super::super) fn objects_lost(&mut self, host: u32, objects: &[ObjectId]) {
        for object in objects {
            self.lost.entry(*object).or_default().insert(host);
        }
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        for hosts in self.lost.values_mut() {
            hosts.remove(&host);
        }
    }

    /// What is on a host's disk.
    pub(in super::super) fn stored<'a>(&mut self, host: u32, objects: impl Iterator<Item = (ObjectId, &'a Bytes)>) {
        let judged = objects.map(|(id, frame)| (id, open(id, frame).is_ok()));
        self.disks.insert(host, judged.collect());
    }

    /// What a replica says that there is.
    pub(super) fn found(
        &mut self,
        host: u32,
        shard: ShardId,
        id: ReplicaId,
        record: Option<&ShardRecord>,
        table: &BlobTable,
    ) {
        let is_member = record.is_some_and(|record| record.in_sync.contains(&id));
        let objects = |length: u64| length.div_ceil(PIECE_BYTES as u64) as u32 + 1;
        let rows = table.rows().map(|(address, row)| (*address, objects(row.length), row.references > 0)).collect();
        self.found.entry(shard).or_default().push(Found { host, is_member, rows });
    }

    /// Whether so many hosts have lost an object that it may be gone for good.
    fn may_be_lost(&self, id: &ObjectId, copies: usize) -> bool {
        self.lost.get(id).is_some_and(|hosts| hosts.len() >= copies)
    }

    /// What is wrong with the disks of one shard's replicas.
    fn missing(&self, shard: &ShardId, found: &Found) -> Option<alloc::string::String> {
        let disk = self.disks.get(&found.host)?;
        for (address, objects, _) in found.rows.iter().filter(|_| found.is_member) {
            for number in 0..*objects {
                let id = object_id(shard, BlobObject { address: *address, number });
                let is_excused = self.lost.get(&id).is_some_and(|hosts| hosts.contains(&found.host));
                if disk.get(&id) != Some(&true) && !is_excused {
                    return Some(format!("object {number} of {address:?} is not whole on n{}", found.host));
                }
            }
        }
        None
    }
}

impl MeshChecks {
    /// A client is told something of a blob, or of a register that refers to one.
    pub(super) fn blob_answered(
        &mut self,
        (client, host): (u32, u32),
        request: &Request,
        answer: &Reply,
        found: &mut Findings,
    ) {
        match (request, answer) {
            (Request::Submit { shard, command }, Reply::Done(told)) => {
                if let (Ok(Command::Refer { register, value, blob }), Ok(Told::Holds(_))) =
                    (decode_value(&command.0), decode_value(&told.0))
                {
                    self.shards.blobs.held.insert((*shard, register), Held { address: blob, value });
                }
            }
            (Request::Put { .. }, Reply::Held) => self.shards.blobs.is_used = true,
            (Request::Get { shard, object: asked }, answer) => {
                let mut all = self.shards.blobs.held.iter();
                let is_asked = |at: &ShardId, held: &Held| at == shard && held.address == asked.address;
                let Some((_, held)) = all.find(|((at, _), held)| is_asked(at, held)) else { return };
                let (manifest, content) = self.shards.blobs.contents.of(held.value);
                let expected = object(manifest, content, asked.number);
                let copies = usize::from(self.shards.copies).min(2);
                let wrong = match answer {
                    Reply::Done(bytes) if Some(&bytes.0[..]) == expected.as_deref() => None,
                    Reply::Done(_) => Some("other bytes"),
                    Reply::Refused(Refusal::NoBlob) => Some("that there is no such blob"),
                    Reply::Refused(Refusal::BadObject(_)) => Some("that the blob has no such object"),
                    Reply::Refused(Refusal::BlobLost)
                        if !self.shards.blobs.may_be_lost(&object_id(shard, *asked), copies) =>
                    {
                        Some("that it is lost")
                    }
                    _ => return,
                };
                self.exercised.blob_1 += 1;
                if let Some(what) = wrong {
                    let detail =
                        format!("client {client} was told {what} of {asked:?}, which a register of {shard} refers to");
                    found.fail(BLOB_1, &[host], detail);
                }
            }
            _ => {}
        }
    }

    /// BLOB-1 and BLOB-2, at the end: members have what is referred to, and nobody has what nothing refers to.
    pub(in super::super) fn check_blobs(&mut self, found: &mut Findings) {
        let blobs = &self.shards.blobs;
        if !blobs.is_used {
            return;
        }
        let mut wanted: BTreeMap<u32, BTreeSet<ObjectId>> = BTreeMap::new();
        for (shard, replicas) in &blobs.found {
            for it in replicas {
                self.exercised.blob_1 += it.rows.len() as u64;
                if let Some(what) = blobs.missing(shard, it) {
                    found.fail(BLOB_1, &[it.host], format!("{shard}: {what}"));
                }
                if let Some((address, ..)) = it.rows.iter().find(|(.., is_referred_to)| it.is_member && !is_referred_to)
                {
                    found.miss(BLOB_2, &[it.host], format!("{shard} still has {address:?}, which nothing refers to"));
                }
                let objects = it.rows.iter().flat_map(|(address, objects, _)| {
                    (0..*objects).map(|number| object_id(shard, BlobObject { address: *address, number }))
                });
                wanted.entry(it.host).or_default().extend(objects);
            }
        }
        for (host, disk) in &blobs.disks {
            self.exercised.blob_2 += 1;
            let wanted = wanted.get(host);
            if let Some(id) = disk.keys().find(|id| wanted.is_none_or(|wanted| !wanted.contains(id))) {
                found.miss(BLOB_2, &[*host], format!("n{host} still has {id:?}, which nothing refers to"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::clients::shards::Contents;
    use crate::scenario::parse;
    use relaymesh_core::blob::{BlobError, Manifest};
    use relaymesh_core::bytes::Blob;
    use relaymesh_core::control::state::Name;
    use relaymesh_core::object::seal;

    const VALUE: u64 = 3;
    const REGISTER: u64 = 5;

    /// Three members, the checkers that watch them, and what these have found.
    struct Watch {
        checks: MeshChecks,
        found: Findings,
    }

    fn shard() -> ShardId {
        ShardId { namespace: Name::new("checked").unwrap(), number: 0 }
    }

    fn content_of(value: u64) -> Vec<u8> {
        Contents::default().of(value).1.clone()
    }

    fn manifest() -> Manifest {
        Manifest::of(&content_of(VALUE)).unwrap()
    }

    fn id(number: u32) -> ObjectId {
        object_id(&shard(), BlobObject { address: manifest().address(), number })
    }

    fn bytes_of(number: u32) -> Vec<u8> {
        object(&manifest(), &content_of(VALUE), number).unwrap()
    }

    /// An object as it stands on a disk.
    fn frame(number: u32) -> Bytes {
        let mut frame = Vec::new();
        seal(id(number), &bytes_of(number), &mut frame);
        frame.into()
    }

    fn encoded(value: &impl serde::Serialize) -> Blob {
        let mut bytes = Vec::new();
        relaymesh_core::codec::encode_value(value, 64, &mut bytes).unwrap();
        Blob(bytes.into())
    }

    impl Watch {
        fn new() -> Self {
            let text = "name = \"watch\"\nabout = \"Blobs.\"\nsubject = \"mesh\"\nnodes = 3\n\
                 [phases]\nsafety = \"1h\"\nliveness = \"1h\"\n[control]\nvoters = 3\n[shards]\nshards = 1\n";
            Self { checks: MeshChecks::new(&parse(text).unwrap()), found: Findings::default() }
        }

        fn does(mut self, request: &Request, answer: &Reply) -> Self {
            self.checks.shards.blobs.asked(request);
            self.checks.blob_answered((0, 0), request, answer, &mut self.found);
            self
        }

        /// A client is told that the register refers to the blob.
        fn refers(self) -> Self {
            let (value, blob) = (VALUE, manifest().address());
            let command = Command::Refer { register: REGISTER, value, blob }.to_bytes().into();
            let told = encoded(&Told::Holds(Some(value)));
            self.does(&Request::Submit { shard: shard(), command: Blob(command) }, &Reply::Done(told))
        }

        /// Another one writes the register, and has heard nothing yet.
        fn writes(self) -> Self {
            let command = Command::Write { register: REGISTER, value: 9 }.to_bytes().into();
            self.does(&Request::Submit { shard: shard(), command: Blob(command) }, &Reply::Unknown)
        }

        fn reads(self, number: u32, answer: Reply) -> Self {
            let object = BlobObject { address: manifest().address(), number };
            self.does(&Request::Get { shard: shard(), object }, &answer)
        }

        fn loses(mut self, host: u32, number: u32) -> Self {
            self.checks.shards.blobs.objects_lost(host, &[id(number)]);
            self
        }

        /// What is found on a host in the end: its row of the blob, and its disk.
        fn has(mut self, host: u32, is_referred_to: Option<bool>, disk: &[(u32, Bytes)]) -> Self {
            let blobs = &mut self.checks.shards.blobs;
            let rows = is_referred_to.map(|it| (manifest().address(), manifest().objects(), it)).into_iter().collect();
            blobs.found.entry(shard()).or_default().push(Found { host, is_member: true, rows });
            blobs.stored(host, disk.iter().map(|(number, frame)| (id(*number), frame)));
            self
        }

        fn ends(mut self) -> Self {
            let object = BlobObject { address: manifest().address(), number: 0 };
            let put = Request::Put { shard: shard(), object, bytes: Blob(bytes_of(0).into()) };
            self = self.does(&put, &Reply::Held);
            self.checks.check_blobs(&mut self.found);
            self
        }

        #[track_caller]
        fn finds(&self, expected: &[&str]) {
            let found: Vec<_> = self.found.violations.iter().map(|violation| violation.invariant).collect();
            assert_eq!(found, expected, "{:?}", self.found.violations);
        }
    }

    /// All objects of the blob.
    fn all() -> Vec<(u32, Bytes)> {
        (0..manifest().objects()).map(|number| (number, frame(number))).collect()
    }

    #[test]
    fn blob_1_finds_a_client_that_is_told_something_else_than_was_put() {
        let right = || Reply::Done(Blob(bytes_of(1).into()));
        let watch = Watch::new().refers().reads(1, right());
        watch.finds(&[]);
        assert_eq!(watch.checks.exercised.blob_1, 1);
        for wrong in [
            Reply::Done(Blob(bytes_of(0).into())),
            Reply::Done(Blob::default()),
            Reply::Refused(Refusal::NoBlob),
            Reply::Refused(Refusal::BadObject(BlobError::NoPiece)),
            Reply::Refused(Refusal::BlobLost),
        ] {
            Watch::new().refers().reads(1, wrong.clone()).finds(&[BLOB_1]);
            Watch::new().reads(1, wrong.clone()).finds(&[]);
            Watch::new().refers().writes().reads(1, wrong).finds(&[]);
        }
        Watch::new().refers().reads(1, Reply::Unknown).finds(&[]);
    }

    #[test]
    fn blob_1_lets_be_lost_what_disks_of_two_hosts_have_lost() {
        let lost = || Reply::Refused(Refusal::BlobLost);
        Watch::new().refers().loses(0, 1).reads(1, lost()).finds(&[BLOB_1]);
        Watch::new().refers().loses(0, 1).loses(1, 1).reads(1, lost()).finds(&[]);
        Watch::new().refers().loses(0, 1).loses(1, 1).reads(0, lost()).finds(&[BLOB_1]);
    }

    #[test]
    fn blob_1_finds_a_member_whose_disk_has_not_all_of_what_is_referred_to() {
        let watch = Watch::new().has(0, Some(true), &all()).ends();
        watch.finds(&[]);
        assert!(watch.checks.exercised.blob_1 > 0 && watch.checks.exercised.blob_2 > 0);
        let without = &all()[1..];
        Watch::new().has(0, Some(true), without).ends().finds(&[BLOB_1]);
        Watch::new().has(0, Some(true), without).loses(0, 0).ends().finds(&[]);
        Watch::new().has(0, Some(true), without).loses(1, 0).ends().finds(&[BLOB_1]);
        let mut torn = all();
        torn[0].1 = frame(0)[..9].to_vec().into();
        Watch::new().has(0, Some(true), &torn).ends().finds(&[BLOB_1]);
    }

    #[test]
    fn blob_2_finds_what_is_kept_and_nothing_refers_to() {
        Watch::new().has(0, Some(false), &all()).ends().finds(&[BLOB_2]);
        Watch::new().has(0, None, &all()[..1]).ends().finds(&[BLOB_2]);
        Watch::new().has(0, Some(true), &all()).has(1, None, &all()).ends().finds(&[BLOB_2]);
        Watch::new().has(0, None, &[]).ends().finds(&[]);
    }
}
