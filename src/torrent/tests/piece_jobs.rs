//! The seam for workers that are no peers: one that has no socket, no session and no wire format downloads a
//! torrent by piece jobs, as one that fetches from a web seed would.

use std::collections::BTreeSet;

use super::*;
use crate::job::PieceJob;

/// Such a worker: what it fetched, as pieces and blocks.
struct Worker {
    key: PeerKey,
    fetched: Vec<(u32, u32)>,
}

impl Worker {
    fn join(world: &mut World, last: u8) -> Worker {
        let worker = Worker { key: world.join(last), fetched: Vec::new() };
        worker.report(world, Report::Has(Bitfield::full(PIECES)));
        worker.report(world, Report::Choking(false));
        worker.report(world, Report::WantsBlocks(1));
        worker
    }

    fn report(&self, world: &mut World, report: Report) {
        world.tell(Input::Report(self.key, report));
    }

    /// Fetches the blocks of a job that no other has delivered, and asks for the next one.
    fn work(&mut self, world: &mut World, job: &PieceJob) {
        let piece = job.claim.piece();
        while let Some(block) = job.claim.take() {
            if piece.receive(block) {
                self.fetched.push((piece.index(), block));
            }
        }
        if piece.missing() == 0 {
            let verdict = Verdict { piece: piece.index(), good: true, contributors: vec![self.key] };
            world.tell(Input::Disk(WriteEvent::Verdict(verdict)));
        }
        self.report(world, Report::WantsBlocks(1));
    }
}

#[test]
fn workers_that_are_no_peers_download_a_torrent_between_them() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let mut workers = [Worker::join(&mut world, 1), Worker::join(&mut world, 2)];
    let mut finished = false;
    for _ in 0..10 * PIECES {
        world.settle();
        for action in world.done() {
            match action {
                Action::Order(key, Order::Take(job)) => {
                    let worker = workers.iter_mut().find(|worker| worker.key == key).unwrap();
                    worker.work(&mut world, &job);
                }
                Action::Event(EventKind::Finished { .. }) => finished = true,
                _ => {}
            }
        }
    }
    assert!(finished);
    let fetched: Vec<(u32, u32)> = workers.iter().flat_map(|worker| worker.fetched.clone()).collect();
    let each: BTreeSet<(u32, u32)> = (0..PIECES).map(|piece| (piece, 0)).collect();
    assert_eq!((fetched.len(), fetched.iter().copied().collect()), (each.len(), each));
    assert!(workers.iter().all(|worker| !worker.fetched.is_empty()), "they share");
}

#[test]
fn a_job_that_such_a_worker_gives_back_goes_to_another() {
    let mut world = World::open(TorrentConfig::default(), &(1..PIECES).collect::<Vec<_>>());
    let first = Worker::join(&mut world, 1);
    world.settle();
    let taken = |world: &mut World| {
        world.done().into_iter().find_map(|action| match action {
            Action::Order(key, Order::Take(job)) => Some((key, job)),
            _ => None,
        })
    };
    let (key, job) = taken(&mut world).unwrap();
    assert_eq!(key, first.key);
    let mut second = Worker::join(&mut world, 2);
    first.report(&mut world, Report::Returned(job.lease));
    world.tell(Input::Gone(first.key, DisconnectReason::Lost));
    world.settle();
    let (key, job) = taken(&mut world).unwrap();
    assert_eq!(key, second.key);
    second.work(&mut world, &job);
    assert_eq!(second.fetched, [(0, 0)]);
}
