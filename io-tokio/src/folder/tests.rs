use super::*;
use relaymesh_core::envelope::KeyTextError;
use relaymesh_core::identity::NodeId;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const CLUSTER: ClusterId = ClusterId::from_bytes(*b"cluster of tests");

fn key(seed: u8) -> ClusterKey {
    ClusterKey::generate(CLUSTER, std::array::from_fn(|at| seed.wrapping_add(at as u8))).unwrap()
}

/// A folder with one key.
fn keyed() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    Folder::give_first_key(place.path(), &key(1)).unwrap();
    place
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_identity_is_drawn_once_and_stays() {
    let place = keyed();
    let first = Folder::open(place.path()).unwrap();
    let (node, public_key) = (first.identity().node(), first.identity().public_key());
    assert_eq!(node, NodeId::of_public_key(&public_key));
    drop(first);
    assert_eq!(Folder::open(place.path()).unwrap().identity().node(), node);
    assert_ne!(Folder::open(keyed().path()).unwrap().identity().node(), node);
}

#[test]
fn secrets_are_their_owners_alone() {
    let place = keyed();
    let folder = Folder::open(place.path()).unwrap();
    assert_eq!(mode(&place.path().join(IDENTITY)), 0o600);
    assert_eq!(mode(&place.path().join(KEYRING)), 0o600);
    assert!(!format!("{folder:?}").contains(key(1).reveal().expose()));
    drop(folder);
    for name in [IDENTITY, KEYRING] {
        let path = place.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Folder::open(place.path()).unwrap_err();
        assert!(matches!(&refused, FolderError::Exposed { mode: 0o640, .. }), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn two_processes_cannot_use_one_folder() {
    let place = keyed();
    let first = Folder::open(place.path()).unwrap();
    let refused = Folder::open(place.path()).unwrap_err();
    assert!(matches!(&refused, FolderError::InUse(_)) && refused.to_string().contains("another process"));
    drop(first);
    Folder::open(place.path()).unwrap();
}

#[test]
fn a_node_without_a_key_does_not_start() {
    let place = tempfile::tempdir().unwrap();
    assert!(matches!(Folder::open(place.path()), Err(FolderError::NoKeyring(_))));
    assert!(!place.path().join(IDENTITY).exists(), "an identity is drawn only for a node that can start");
}

#[test]
fn a_keyring_that_cannot_be_read_is_never_taken_for_an_empty_one() {
    let place = keyed();
    let good = fs::read_to_string(place.path().join(KEYRING)).unwrap();
    let long = "\n".repeat(100_000);
    for (bad, problem) in [
        (&b""[..], RingTextError::Empty),
        (b"\xFF\xFE", RingTextError::Key { line: 1, problem: KeyTextError::Format }),
        (&good.as_bytes()[1..], RingTextError::Key { line: 1, problem: KeyTextError::Format }),
        (long.as_bytes(), RingTextError::Empty),
    ] {
        fs::write(place.path().join(KEYRING), bad).unwrap();
        match Folder::open(place.path()) {
            Err(FolderError::Keyring { problem: found, .. }) => assert_eq!(found, problem),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_identity_of_another_length_is_refused() {
    let place = keyed();
    drop(Folder::open(place.path()).unwrap());
    fs::write(place.path().join(IDENTITY), [7; 31]).unwrap();
    assert!(matches!(Folder::open(place.path()), Err(FolderError::Identity { found: 31, .. })));
}

#[test]
fn a_first_key_is_given_once() {
    let place = keyed();
    let refused = Folder::give_first_key(place.path(), &key(2)).unwrap_err();
    assert!(matches!(refused, FolderError::HasKeyring(_)));
    assert_eq!(Folder::open(place.path()).unwrap().ring().ids().iter().count(), 1);
}

#[test]
fn a_ring_that_changes_is_replaced_whole_even_over_the_remains_of_a_crash() {
    let place = keyed();
    let mut ring = Folder::open(place.path()).unwrap().ring().clone();
    let second = ring.install(key(2).key).unwrap();
    ring.use_key(second).unwrap();
    fs::write(place.path().join("keyring.new"), "half of wh").unwrap();
    store_ring(place.path(), CLUSTER, &ring).unwrap();
    let folder = Folder::open(place.path()).unwrap();
    assert_eq!((folder.cluster(), folder.ring().ids()), (CLUSTER, ring.ids()));
    assert_eq!(mode(&place.path().join(KEYRING)), 0o600);
}
