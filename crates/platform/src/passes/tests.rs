use std::sync::atomic::{AtomicI64, Ordering};

use hilum_contracts::access::Role;
use hilum_contracts::identity::Admitted;
use hilum_contracts::ids::{ApiKeyId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right};
use time::OffsetDateTime;

use super::*;
use crate::clock::{Clock, from_millis};

#[derive(Debug)]
struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> OffsetDateTime {
        from_millis(self.0.load(Ordering::Relaxed))
    }
}

const NOW: i64 = 1_000_000_000;

struct World {
    passes: Passes,
    clock: Arc<Turned>,
    signer: Signer,
    key: ApiKeyId,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(Turned(AtomicI64::new(NOW)));
        let passes = Passes::new(clock.clone(), None);
        let (signer, _) = Signer::new().unwrap();
        let world = Self {
            passes,
            clock,
            signer,
            key: ApiKeyId::new(),
        };
        world.passes.heard(world.known());
        world
    }

    fn known(&self) -> Known {
        Known {
            told: 1,
            signers: [(self.signer.public().to_owned(), NOW * 2)].into(),
            ..Known::default()
        }
    }

    fn ended(&self) -> String {
        subject(&Principal::ApiKey(self.key)).unwrap()
    }

    fn pass(&self, shown: &Shown) -> Pass {
        let admitted = Admitted {
            tenant: TenantId::new("a").unwrap(),
            acting: Acting {
                principal: Principal::ApiKey(self.key),
                right: Right::Role(Role::Integration),
                limited_to: None,
                from: Some([192, 0, 2, 1].into()),
            },
            pass: None,
        };
        Pass::new(shown, &admitted, NOW, NOW + 1_000)
    }

    fn sealed(&self, shown: &Shown) -> Vec<u8> {
        shown.seal(&self.pass(shown).signed(&self.signer)).unwrap()
    }
}

fn shown() -> Shown {
    Shown::new("api-key", "hk_1_word")
}

#[test]
fn who_shows_the_same_is_let_in_and_nothing_of_them_can_be_read() {
    let world = World::new();
    let sealed = world.sealed(&shown());
    let pass = world.passes.open(&shown(), &sealed).unwrap();
    assert_eq!(pass.admitted().tenant.as_str(), "a");
    assert_eq!(pass.acting.from, None);
    let text = String::from_utf8_lossy(&sealed);
    assert!(!text.contains(&world.key.to_string()));
    for other in [
        Shown::new("session", "hk_1_word"),
        Shown::new("api-key", "x"),
    ] {
        assert!(world.passes.open(&other, &sealed).is_err());
    }
}

#[test]
fn what_was_changed_is_refused_wherever_it_was() {
    let world = World::new();
    let sealed = world.sealed(&shown());
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(world.passes.open(&shown(), &changed).is_err(), "{at}");
        assert!(world.passes.open(&shown(), &sealed[..at]).is_err());
    }
    assert!(world.passes.open(&shown(), b"words").is_err());
}

#[test]
fn whoever_may_write_and_knows_a_secret_can_t_forge_with_it() {
    let world = World::new();
    let (other, _) = Signer::new().unwrap();
    let by_other = shown().seal(&world.pass(&shown()).signed(&other)).unwrap();
    assert!(world.passes.open(&shown(), &by_other).is_err());
    // In the name of who signs: the signature is another's.
    let named = other.sign("pass", "{}".to_owned());
    let text = String::from_utf8(named.written()).unwrap();
    let text = text.replace(other.public(), world.signer.public());
    let sealed = shown().seal(&text).unwrap();
    assert!(world.passes.open(&shown(), &sealed).is_err());
    // Another tenant written into a pass of one's own.
    let signed = world.pass(&shown()).signed(&world.signer);
    let moved = signed.replace(r#"\"tenant\":\"a\""#, r#"\"tenant\":\"b\""#);
    assert_ne!(moved, signed);
    let sealed = shown().seal(&moved).unwrap();
    assert!(world.passes.open(&shown(), &sealed).is_err());
    // Somebody else's pass under one's own secret.
    let own = Shown::new("api-key", "hk_2_word");
    let sealed = own.seal(&signed).unwrap();
    assert!(world.passes.open(&own, &sealed).is_err());
    // What was signed as something else.
    let told = serde_json::to_string(&world.pass(&shown())).unwrap();
    let told = world.signer.sign("passes", told).written();
    let sealed = shown().seal(std::str::from_utf8(&told).unwrap()).unwrap();
    assert!(world.passes.open(&shown(), &sealed).is_err());
}

#[test]
fn a_pass_ends_by_time_and_with_its_key() {
    let world = World::new();
    let sealed = world.sealed(&shown());
    let opens = || world.passes.open(&shown(), &sealed).is_ok();
    assert!(opens());
    world.clock.0.store(NOW + 1_000, Ordering::Relaxed);
    assert!(!opens());
    world.clock.0.store(NOW - 3_600_000, Ordering::Relaxed);
    assert!(!opens(), "it was issued in an hour");
    world.clock.0.store(NOW, Ordering::Relaxed);
    assert!(opens());
    // The same moment: Identity knew of it when it issued this one.
    let mut known = world.known();
    known.ended.insert(world.ended(), NOW);
    world.passes.heard(known.clone());
    assert!(opens());
    known.ended.insert(world.ended(), NOW + 1);
    world.passes.heard(known);
    assert!(!opens());
    // Whoever tells less later does not bring it back.
    world.passes.heard(world.known());
    assert!(!opens());
}

#[test]
fn who_signs_no_more_is_not_believed() {
    let world = World::new();
    let sealed = world.sealed(&shown());
    let mut known = world.known();
    known.signers.values_mut().for_each(|until| *until = NOW);
    world.passes.heard(known.clone());
    assert!(world.passes.open(&shown(), &sealed).is_err());
    world.passes.heard(world.known());
    assert!(world.passes.open(&shown(), &sealed).is_ok());
    known.signers.clear();
    world.passes.heard(known);
    assert!(world.passes.open(&shown(), &sealed).is_err());
}

#[test]
fn of_too_many_endings_all_from_before_are_asked_about() {
    let world = World::new();
    let sealed = world.sealed(&shown());
    let floor = |floor| Known {
        floor,
        ..world.known()
    };
    world.passes.heard(floor(NOW));
    assert!(world.passes.open(&shown(), &sealed).is_ok());
    world.passes.heard(floor(NOW + 1));
    assert!(world.passes.open(&shown(), &sealed).is_err());
}

#[test]
fn a_private_key_that_was_kept_signs_the_same() {
    let (signer, private) = Signer::new().unwrap();
    let again = Signer::of(&private).unwrap();
    assert_eq!(signer.public(), again.public());
    let signed = again.sign("pass", "words".to_owned());
    assert_eq!(signed.by(), signer.public());
    assert_eq!(signed.verified("pass").as_deref(), Some("words"));
    assert!(Signer::of(b"words").is_err());
}
