//! Keys that change while nodes speak.

use crate::ledger::{Request, Seen};
use crate::stage::{Machine, key, pair, soon};
use relaymesh_core::envelope::{Class, Keyring, KeyringError};
use relaymesh_io_tokio::InstallError;
use relaymesh_io_tokio::folder::Folder;

fn name(seed: u8) -> u16 {
    Keyring::new(key(seed).key).ids().sealing().unwrap().0
}

const fn rekeyed(sealing: u16, keys: u64) -> Seen {
    Seen::Rekeyed { sealing: sealing as u64, keys }
}

#[tokio::test]
async fn keys_rotate_while_messages_flow_and_outlive_a_restart() {
    let (machines, mut one, mut two) = pair().await;
    let (old, new) = (name(1), name(2));
    for node in [&mut one, &mut two] {
        assert_eq!(soon(node.handle.install_key(key(2).key)).await.unwrap().0, new);
        assert_eq!(node.sees(|seen| matches!(seen, Seen::Rekeyed { .. })).await, rekeyed(old, 2));
    }
    one.ask(Request::UseKey(new)).await;
    assert_eq!(one.sees(|seen| matches!(seen, Seen::Rekeyed { .. })).await, rekeyed(new, 2));
    for (number, class) in (1..).zip(Class::ALL) {
        one.tell(two.node(), class, number).await;
        two.hears(number).await;
        two.tell(one.node(), class, number).await;
        one.hears(number).await;
    }
    two.ask(Request::UseKey(new)).await;
    for node in [&mut one, &mut two] {
        node.ask(Request::RemoveKey(old)).await;
        node.sees(|seen| *seen == rekeyed(new, 1)).await;
    }
    one.stop().await;
    let ring = Folder::open(machines[0].path()).unwrap().ring().ids();
    assert_eq!(ring, Keyring::new(key(2).key).ids());
}

#[tokio::test]
async fn a_change_that_is_not_possible_changes_nothing() {
    let machine = Machine::new();
    let mut node = machine.start().await;
    let refused = soon(node.handle.install_key(key(1).key)).await.unwrap_err();
    assert!(matches!(refused, InstallError::Ring(KeyringError::Known(_))));
    node.ask(Request::RemoveKey(name(1))).await;
    node.ask(Request::UseKey(name(9))).await;
    // Changes are made one after the other: after this one the others were judged.
    soon(node.handle.install_key(key(3).key)).await.unwrap();
    assert_eq!(node.sees(|seen| matches!(seen, Seen::Rekeyed { .. })).await, rekeyed(name(1), 2));
    assert_eq!(node.counts().key_changes_failed, 2);
}

#[tokio::test]
async fn a_ring_that_cannot_be_stored_is_not_used() {
    let machine = Machine::new();
    let node = machine.start().await;
    // A folder in the way of the file that the new ring is written to.
    std::fs::create_dir_all(machine.path().join("keyring.new/in-the-way")).unwrap();
    let refused = soon(node.handle.install_key(key(2).key)).await.unwrap_err();
    assert!(matches!(refused, InstallError::Folder(_)), "{refused}");
    let stored = std::fs::read_to_string(machine.path().join("keyring")).unwrap();
    assert_eq!(stored.lines().count(), 1);
    std::fs::remove_dir_all(machine.path().join("keyring.new")).unwrap();
    soon(node.handle.install_key(key(2).key)).await.expect("the first attempt left nothing behind");
    node.stop().await;
}
