//! The contract of inputs and actions, in whatever order things happen.

use super::*;

/// What no order of inputs may break: joins are answered once each, orders go to connected peers, places
/// taken are given back, and a removal ends everything in time.
#[test]
fn whatever_happens_in_whatever_order_the_contract_holds() {
    for seed in 0..300 {
        let mut dice = Random::seeded(seed);
        let config = TorrentConfig::default()
            .seed(dice.below(2) == 0)
            .super_seed(dice.below(4) == 0)
            .peers(vec![SocketAddr::from(([10, 9, 9, 9], 9))]);
        let is_magnet = dice.below(2) == 0;
        let mut world = if is_magnet { World::of_magnet(config) } else { World::new(config) };
        world.host.room = 1 + dice.below(4) as u32;
        world.tell(Input::Start);
        let mut there = BTreeSet::new();
        let mut ended_early = false;
        for _ in 0..200 {
            let any = |dice: &mut Random, there: &BTreeSet<PeerKey>| {
                let at = dice.below(there.len().max(1) as u64) as usize;
                there.iter().nth(at).copied().unwrap_or(PeerKey(0))
            };
            let key = any(&mut dice, &there);
            let piece = dice.below(u64::from(PIECES)) as u32;
            let input = match dice.below(30) {
                0 => Input::Pause,
                1 | 2 => Input::Resume,
                3 => Input::SlotGranted,
                4 => Input::Disk(WriteEvent::Failed(disk_full())),
                5 => Input::Disk(WriteEvent::Recovered),
                6 => Input::Disk(WriteEvent::Dropped(piece)),
                7 => Input::Saved(Ok(())),
                8 => Input::TrackersStopped,
                9 => Input::Gone(key, DisconnectReason::Lost),
                10 => Input::Report(key, Report::Interested(dice.below(2) == 0)),
                11 => Input::Report(key, Report::Has(Bitfield::full(PIECES))),
                12 => Input::Report(key, Report::WantsBlocks(4)),
                13 => Input::Report(key, Report::Choking(false)),
                14 | 15 => checked(&[piece]),
                16 => {
                    let addr = SocketAddr::from(([10, 2, 0, dice.below(9) as u8], 7));
                    Input::Found(Source::Tracker, vec![addr])
                }
                17 => {
                    Input::Disk(WriteEvent::Verdict(Verdict { piece, good: false, contributors: vec![key] }))
                }
                26 => changed(piece % 2, &[piece]),
                27 => rechecked(piece % 2, &[piece], [&[], &[piece][..]][dice.below(2) as usize]),
                18 if dice.below(10) == 0 => Input::ReadFailed(disk_full()),
                19..=21 => {
                    let last = dice.below(9) as u8;
                    let addr = SocketAddr::from(([10, 0, 0, last], 5000 + u16::from(last)));
                    let incoming = dice.below(2) == 0;
                    Input::Joined(Join {
                        addr,
                        incoming,
                        extended: true,
                        encryption: Encryption::None,
                        id: PeerId::from_bytes([last; 20]),
                    })
                }
                22 => Input::MetadataLoaded(None),
                23 => Input::Report(key, extension_handshake()),
                24 => Input::Report(key, dictionary()),
                25 => Input::Report(key, Report::MetadataRejected(0)),
                _ => Input::Settle,
            };
            let is_join = matches!(input, Input::Joined(_));
            if let Input::Gone(key, _) = input {
                there.remove(&key);
            }
            world.now = world.now + Duration::from_millis(dice.below(3_000));
            world.tell(input);
            let mut answers = 0;
            for action in world.done() {
                match action {
                    Action::Accept { key, .. } => {
                        answers += 1;
                        assert!(there.insert(key), "seed {seed}: {key:?} twice");
                    }
                    Action::Refuse(_) => answers += 1,
                    Action::Order(key, _)
                    | Action::Wake(key)
                    | Action::HangUp(key)
                    | Action::Learn { key, .. } => {
                        assert!(there.contains(&key), "seed {seed}: an order to {key:?}, which is not there");
                    }
                    Action::Forget(key) => _ = there.remove(&key),
                    Action::Ended => ended_early = true,
                    _ => {}
                }
            }
            assert_eq!(answers, u32::from(is_join), "seed {seed}");
            assert!(!ended_early, "seed {seed}: ended though it was not removed");
            assert_eq!(world.host.entered as usize, there.len(), "seed {seed}: places and connections");
        }
        let last = world.host.shutdown_deadlines(world.now).trackers;
        world.tell(Input::Remove);
        world.until(last);
        world.did(|action| matches!(action, Action::Ended));
    }
}
