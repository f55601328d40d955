//! Objects of the node's store: which shard's each is, how many are read at once, and when the store is listed.
//!
//! The id of an object begins with a tag of its shard, so that two shards that hold the same blob have objects of their own
//! (rule B12), and what the store lists can be told apart. The rest is the blob's address.

use super::machine::{Action, Host, Sees};
use crate::blob::{ADDRESS_BYTES, BlobAddress, BlobObject};
use crate::machine::{Ctx, Sink};
use crate::object::ObjectId;
use crate::replication::{self, Service};
use crate::shards::ShardId;
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// Objects that are read at once; others wait.
const FETCHES_AT_ONCE: usize = 128;
const TAG_BYTES: usize = 32 - ADDRESS_BYTES;

type Tag = [u8; TAG_BYTES];

/// Objects of this node's shards.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    tags: BTreeMap<ShardId, Tag>,
    shards: BTreeMap<Tag, ShardId>,
    /// Reads that wait for others.
    waiting: VecDeque<ObjectId>,
    fetches: usize,
    /// When the store is to be listed.
    sweep_at: Option<Time>,
    is_listing: bool,
}

/// How a node's store calls an object of a shard's blob.
pub fn object_id(shard: &ShardId, object: BlobObject) -> ObjectId {
    id_of(tag_of(shard), object)
}

fn id_of(tag: Tag, object: BlobObject) -> ObjectId {
    let mut address = [0; 32];
    address[..TAG_BYTES].copy_from_slice(&tag);
    address[TAG_BYTES..].copy_from_slice(&object.address.0);
    ObjectId { address, piece: object.number }
}

fn tag_of(shard: &ShardId) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 shard of an object");
    hasher.update(&shard.number.to_le_bytes()).update(shard.namespace.as_str().as_bytes());
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&hasher.finalize().as_bytes()[..TAG_BYTES]);
    tag
}

impl Objects {
    /// The process begins: the store may have what nobody wants.
    pub(super) fn begin(&mut self, now: Time, shards: impl Iterator<Item = ShardId>) {
        for shard in shards {
            self.tag(shard);
        }
        self.sweep_at = Some(now);
    }

    fn tag(&mut self, shard: ShardId) -> Tag {
        let tag = *self.tags.entry(shard).or_insert_with(|| tag_of(&shard));
        self.shards.entry(tag).or_insert(shard);
        tag
    }

    /// How the store calls a shard's object.
    pub(super) fn id(&mut self, shard: ShardId, object: BlobObject) -> ObjectId {
        id_of(self.tag(shard), object)
    }

    /// Whose object it is, if any replica of this node may have it.
    fn of(&self, id: &ObjectId) -> Option<(ShardId, BlobObject)> {
        let (tag, rest) = id.address.split_first_chunk::<TAG_BYTES>()?;
        let address = BlobAddress(rest.try_into().ok()?);
        Some((*self.shards.get(tag)?, BlobObject { address, number: id.piece }))
    }

    pub(super) fn fetch(&mut self, id: ObjectId, out: &mut impl Sink<Action>) {
        self.waiting.push_back(id);
        self.fetch_some(out);
    }

    fn fetch_some(&mut self, out: &mut impl Sink<Action>) {
        while self.fetches < FETCHES_AT_ONCE
            && let Some(object) = self.waiting.pop_front()
        {
            self.fetches += 1;
            out.push(Action::Fetch { object });
        }
    }

    /// The store is to be listed then, at the latest.
    pub(super) fn sweep_by(&mut self, at: Time) {
        self.sweep_at = Some(self.sweep_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.sweep_at.filter(|_| !self.is_listing)
    }

    /// Begins to list, if that is due.
    pub(super) fn wake(&mut self, now: Time, out: &mut impl Sink<Action>) {
        if !self.is_listing && self.sweep_at.take_if(|at| *at <= now).is_some() {
            self.is_listing = true;
            out.push(Action::ListObjects { after: None });
        }
    }
}

impl<S: Service> Host<S> {
    /// An object is durable.
    pub(super) fn kept(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, id: ObjectId, out: &mut impl Sink<Action>) {
        if let Some((shard, object)) = self.objects.of(&id) {
            self.tell(ctx, sees, shard, replication::Event::Kept(object), out);
        }
    }

    /// An object was read, or could not be.
    pub(super) fn fetched(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        (id, bytes): (ObjectId, Option<Vec<u8>>),
        out: &mut impl Sink<Action>,
    ) {
        self.objects.fetches = self.objects.fetches.saturating_sub(1);
        self.objects.fetch_some(out);
        if let Some((shard, object)) = self.objects.of(&id) {
            self.tell(ctx, sees, shard, replication::Event::Fetched { object, bytes }, out);
        }
    }

    /// A part of what the store has: replicas say what nobody wants, and what is no replica's goes.
    pub(super) fn listed(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        (ids, is_last): (Vec<ObjectId>, bool),
        out: &mut impl Sink<Action>,
    ) {
        let mut of_shards: BTreeMap<ShardId, Vec<BlobObject>> = BTreeMap::new();
        for id in &ids {
            match self.objects.of(id).filter(|(shard, _)| self.slots.has(shard)) {
                Some((shard, object)) => of_shards.entry(shard).or_default().push(object),
                None => out.push(Action::Discard { object: *id }),
            }
        }
        for (shard, objects) in of_shards {
            self.tell(ctx, sees, shard, replication::Event::Listed(objects), out);
        }
        self.objects.is_listing = !is_last;
        match ids.last().filter(|_| !is_last) {
            Some(last) => out.push(Action::ListObjects { after: Some(*last) }),
            None => self.objects.sweep_by(ctx.now.saturating_add(self.settings.sweep_every)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::state::Name;
    use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
    use crate::machine::{CauseId, Scripted};
    use crate::replication::registers::Registers;
    use crate::shards::host::{Event, Settings};
    use crate::time::WallTime;

    const OBJECT: BlobObject = BlobObject { address: BlobAddress([7; ADDRESS_BYTES]), number: 3 };

    fn shard(number: u32) -> ShardId {
        ShardId { namespace: Name::new("n").unwrap(), number }
    }

    #[test]
    fn two_shards_have_objects_of_their_own_of_one_blob() {
        let mut objects = Objects::default();
        let (one, other) = (objects.id(shard(0), OBJECT), objects.id(shard(1), OBJECT));
        assert_ne!(one, other, "B12");
        assert_eq!((objects.of(&one), objects.of(&other)), (Some((shard(0), OBJECT)), Some((shard(1), OBJECT))));
        assert_eq!(object_id(&shard(1), OBJECT), other);
    }

    #[test]
    fn so_many_are_read_at_once_and_others_when_those_are() {
        let (mut objects, mut out) = (Objects::default(), Vec::new());
        for number in 0..FETCHES_AT_ONCE as u32 + 2 {
            let id = objects.id(shard(0), BlobObject { number, ..OBJECT });
            objects.fetch(id, &mut out);
        }
        assert_eq!(out.len(), FETCHES_AT_ONCE);
        objects.fetches -= 1;
        objects.fetch_some(&mut out);
        assert_eq!(out.len(), FETCHES_AT_ONCE + 1);
    }

    #[test]
    fn what_is_no_replicas_is_discarded_part_by_part_and_looked_for_again() {
        let mut host: Host<Registers> = Host::new(Settings::default());
        let mut chooser = Scripted::new(Vec::new());
        let mut ctx = Ctx::new(Time::from_nanos(1), WallTime::from_unix_nanos(0), CauseId(0), &mut chooser);
        let life =
            Incarnation { node: NodeId::from_bytes([1; 16]), store: StoreIncarnation(1), boot: BootIncarnation(1) };
        let mut out = Vec::new();
        host.handle(&mut ctx, Sees::default(), Event::Start { life }, &mut out);
        host.handle(&mut ctx, Sees::default(), Event::Wake, &mut out);
        assert_eq!(out, [Action::ListObjects { after: None }], "B8");
        let (first, second) = (object_id(&shard(0), OBJECT), object_id(&shard(1), OBJECT));
        out.clear();
        host.handle(&mut ctx, Sees::default(), Event::Objects(Vec::from([first]), false), &mut out);
        assert_eq!(out, [Action::Discard { object: first }, Action::ListObjects { after: Some(first) }]);
        out.clear();
        host.handle(&mut ctx, Sees::default(), Event::Objects(Vec::from([second]), true), &mut out);
        assert_eq!(out, [Action::Discard { object: second }]);
        assert_eq!(host.next_deadline(), Some(Time::from_nanos(1).saturating_add(Settings::default().sweep_every)));
    }
}
