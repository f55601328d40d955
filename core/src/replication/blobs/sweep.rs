//! Discarding objects of blobs that are in no state, are not brought by an entry behind it, and are not being put or got
//! (rule B8). Whoever lists the store tells what is there.

use crate::blob::{BlobAddress, BlobObject};
use crate::machine::Sink;
use crate::replication::machine::Action;
use crate::replication::observation::ReplicationObservation;
use crate::replication::service::Service;
use crate::replication::state::Replica;
use crate::replication::step::Step;
use crate::time::Time;

impl<S: Service> Replica<S> {
    /// Some of the objects that the store has of this shard.
    pub(in crate::replication) fn sweep(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        objects: &[BlobObject],
    ) {
        let mut discarded = 0;
        for object in objects {
            // What is being written now may be wanted by the time that it is.
            if self.is_blob_wanted(step.now, &object.address) || self.blobs.keeping.contains(object) {
                continue;
            }
            self.blobs.present.remove(&object.address);
            self.blobs.without.remove(&object.address);
            discarded += 1;
            step.push(Action::Discard { object: *object });
        }
        if discarded > 0 {
            step.observe(ReplicationObservation::BlobsDiscarded { objects: discarded });
        }
    }

    /// Whether somebody needs that blob here.
    fn is_blob_wanted(&self, now: Time, address: &BlobAddress) -> bool {
        let has_row = self.above.blobs.row(address).is_some();
        let is_coming = self.incoming.as_ref().is_some_and(|it| it.reader.blobs.row(address).is_some());
        let is_put = self.tenure.as_ref().is_some_and(|tenure| tenure.puts.contains_key(address));
        // The entry that brings it may be on its way.
        let is_new = |since: Time| now < since.saturating_add(self.settings.blob_wait);
        let is_new = self.blobs.present.get(address).is_some_and(|present| is_new(present.since));
        let is_received = self.blobs.receiving.contains_key(address);
        has_row || is_coming || is_put || is_new || is_received || self.blobs.is_ahead(address)
    }
}
