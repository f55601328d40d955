//! OBJ-1 is shown to fire, and not to when a disk did only what disks may do.

use super::*;
use relaymesh_core::object::{ObjectId, seal};

const OBJECT: ObjectId = ObjectId { address: [4; 32], piece: 1 };
const OTHER: ObjectId = ObjectId { address: [4; 32], piece: 2 };

impl Watch {
    fn keep(&mut self, event: u64, object: ObjectId, value: u8) -> &mut Self {
        let mut frame = Vec::new();
        seal(object, &[value; 300], &mut frame);
        self.keep_frame(event, object, &frame)
    }

    fn keep_frame(&mut self, event: u64, object: ObjectId, frame: &[u8]) -> &mut Self {
        let (bytes, write): (Bytes, _) = (frame.into(), WriteNumber(event));
        self.checks.kept(0, CauseId(event), write, object, &bytes, &mut self.found);
        self.disk.keep(&self.condition, write, object, bytes).unwrap();
        self
    }

    fn discard(&mut self, event: u64, object: ObjectId) -> &mut Self {
        self.checks.discarded(0, CauseId(event), WriteNumber(event), object);
        self.disk.discard(&self.condition, WriteNumber(event), object).unwrap();
        self
    }

    fn tell(&mut self, upto: u64) -> &mut Self {
        self.checks.objects_told(0, WriteNumber(upto), &self.disk, &mut self.found);
        self
    }

    fn loses_power(&mut self) -> &mut Self {
        self.disk.lose_power(&self.condition);
        self.boots()
    }

    fn boots(&mut self) -> &mut Self {
        self.boot();
        self.checks.objects_found(0, &self.disk, &mut self.found);
        self
    }

    /// The disk does something of which the checker is not told.
    fn secretly(&mut self, act: impl FnOnce(&mut Disk, &DiskCondition)) -> &mut Self {
        act(&mut self.disk, &self.condition);
        self
    }
}

/// A process was told that both objects are durable.
fn with_two() -> Watch {
    let mut watch = Watch::new();
    watch.boots().keep(1, OBJECT, 1).keep(2, OTHER, 1).sync().tell(2);
    watch
}

#[test]
fn what_disks_may_do_to_objects_is_fine() {
    for seed in 0..40 {
        let mut watch = Watch::with_chance(seed);
        watch.condition.torn = MILLION;
        watch.boots().keep(1, OBJECT, 1).keep(2, OTHER, 1).sync().tell(2);
        // The same bytes again, torn; other bytes, torn; and a discard, half done: nobody was told of the last two.
        watch.keep(3, OBJECT, 1).loses_power().keep(1, OTHER, 2).discard(2, OTHER).loses_power().boots();
        watch.condition.sync_fails = MILLION;
        watch.keep(1, OBJECT, 5).sync().boots().loses_power();
        watch.condition.sync_fails = 0;
        watch.keep(1, OBJECT, 6).sync().tell(1).boots().discard(1, OBJECT).sync().tell(1).loses_power();
        assert_eq!(watch.verdict(), [""; 0], "seed {seed}: {}", watch.detail());
    }
}

#[test]
fn obj_1_fires_when_an_object_is_told_durable_that_is_not() {
    let mut watch = Watch::new();
    assert_eq!(watch.boots().keep(1, OBJECT, 1).tell(1).verdict(), [OBJ_1]);
    assert!(watch.detail().contains("is not on the platter"), "{}", watch.detail());
}

#[test]
fn obj_1_fires_when_a_durable_object_is_gone_or_changed_after_a_crash() {
    let mut gone = with_two();
    gone.secretly(|disk, condition| disk.discard(condition, WriteNumber(3), OTHER).unwrap()).sync().loses_power();
    assert_eq!(gone.verdict(), [OBJ_1]);
    let mut changed = with_two();
    changed.secretly(|disk, _| assert_eq!(disk.rot_objects(MILLION).len(), 2)).boots();
    assert_eq!(changed.verdict(), [OBJ_1, OBJ_1]);
}

#[test]
fn obj_1_fires_when_the_cache_hides_a_durable_object() {
    let mut watch = with_two();
    watch.secretly(|disk, condition| disk.discard(condition, WriteNumber(3), OTHER).unwrap()).boots();
    assert_eq!(watch.verdict(), [OBJ_1]);
    assert!(watch.detail().contains("is not to be seen"), "{}", watch.detail());
}

#[test]
fn obj_1_fires_on_what_is_no_frame_of_its_object() {
    let mut misplaced = Vec::new();
    seal(OTHER, b"x", &mut misplaced);
    assert_eq!(Watch::new().boots().keep_frame(1, OBJECT, &misplaced).verdict(), [OBJ_1]);
    assert_eq!(Watch::new().boots().keep_frame(1, OBJECT, b"short").verdict(), [OBJ_1]);
}

#[test]
fn dur_1_fires_when_something_leaves_before_a_keep_or_a_discard_that_it_may_rest_on() {
    assert_eq!(Watch::new().boots().keep(1, OBJECT, 1).leaves(1).verdict(), [DUR_1]);
    assert_eq!(with_two().discard(3, OTHER).leaves(4).verdict(), [DUR_1]);
    assert_eq!(with_two().discard(3, OTHER).sync().leaves(4).verdict(), [""; 0]);
}

#[test]
fn dur_1_fires_when_something_leaves_that_rests_on_an_object_which_only_the_cache_shows() {
    let killed = || {
        let mut watch = Watch::new();
        watch.boots().keep(1, OBJECT, 1).boots();
        watch
    };
    let read = |watch: &mut Watch, event| {
        let bytes = watch.disk.fetch(&watch.condition, OBJECT).1;
        watch.checks.fetched(0, CauseId(event), OBJECT, bytes.as_deref(), &watch.disk);
    };
    let mut watch = killed();
    read(&mut watch, 5);
    assert_eq!(watch.leaves(4).verdict(), [""; 0], "what leaves now was held before");
    assert_eq!(watch.leaves(5).verdict(), [DUR_1]);
    let mut watch = killed();
    read(&mut watch, 5);
    assert_eq!(watch.keep(1, OBJECT, 1).sync().leaves(6).verdict(), [""; 0], "{}", watch.detail());
    let mut watch = killed();
    read(&mut watch, 5);
    assert_eq!(watch.keep(1, OBJECT, 2).sync().leaves(6).verdict(), [""; 0], "{}", watch.detail());
}

#[test]
fn what_has_rotted_is_excused_until_it_is_kept_again() {
    let mut watch = with_two();
    let struck = watch.disk.rot_objects(MILLION);
    watch.checks.objects_rotted(0, &struck);
    assert_eq!(watch.boots().verdict(), [""; 0], "{}", watch.detail());
    watch.keep(1, OBJECT, 1).sync().tell(1);
    watch.secretly(|disk, condition| disk.discard(condition, WriteNumber(2), OBJECT).unwrap()).sync().boots();
    assert_eq!(watch.verdict(), [OBJ_1]);
}
