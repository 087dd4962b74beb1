use super::*;
use crate::id::PeerId;
use crate::tracker::{Event, Totals};

/// The schedule of BEP 15: gives up after more than two hours.
const BEP15: RetrySchedule = RetrySchedule { first: Duration::from_secs(15), doublings: 8, retries: 8 };

const ID: u64 = 0x1234_5678_9ABC_DEF0;

fn question() -> Question {
    let announce = Announce {
        info_hash: InfoHash::from_bytes([1; 20]),
        peer_id: PeerId::from_bytes([2; 20]),
        port: 6881,
        totals: Totals::default(),
        event: Event::None,
        num_want: 50,
        key: 7,
        tracker_id: None,
    };
    Question::Announce(announce, String::new())
}

fn reply(action: u32, transaction: u32, rest: &[u8]) -> Vec<u8> {
    [&action.to_be_bytes(), &transaction.to_be_bytes(), rest].concat()
}

/// The world around a machine: hands out transaction ids and notes what was sent and when.
struct World {
    machine: Exchange,
    now: u64,
    issued: u32,
    log: Vec<(u64, &'static str)>,
    last: u32,
}

impl World {
    fn new(retry_schedule: RetrySchedule, connection: Option<Connection>) -> World {
        let machine = Exchange::new(question(), false, retry_schedule, connection);
        World { machine, now: 0, issued: 100, log: Vec::new(), last: 0 }
    }

    fn poll(&mut self) -> Step {
        let issued = &mut self.issued;
        let step = self.machine.poll(Moment::from_secs(self.now), || {
            *issued += 1;
            *issued
        });
        if let Step::Send(packet) = &step {
            let name = if packet.starts_with(&udp::PROTOCOL.to_be_bytes()) {
                "connect"
            } else {
                assert_eq!(packet[..8], ID.to_be_bytes());
                "announce"
            };
            self.last = udp::number(packet, 12).unwrap();
            self.log.push((self.now, name));
        }
        step
    }

    /// Runs in silence until it sends something or gives up.
    fn silence(&mut self) -> Step {
        loop {
            match self.poll() {
                Step::Wait(until) => self.now = until.as_micros() / 1_000_000,
                step => return step,
            }
        }
    }

    fn receive(&mut self, packet: &[u8]) -> Option<Result<Reply, Failure>> {
        self.machine.received(Moment::from_secs(self.now), packet)
    }

    fn connected(&mut self) {
        assert_eq!(self.receive(&reply(udp::CONNECT, self.last, &ID.to_be_bytes())), None);
    }
}

/// The example "normal announce" of BEP 15.
#[test]
fn connect_and_announce() {
    let mut world = World::new(BEP15, None);
    world.poll();
    world.now = 1;
    world.connected();
    world.now = 2;
    world.poll();
    world.now = 3;
    let body = reply(udp::ANNOUNCE, world.last, &[0, 0, 7, 8, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6]);
    let Some(Ok(Reply::Announced(answer))) = world.receive(&body) else { panic!("no answer") };
    assert_eq!(answer.interval, Some(Duration::from_secs(1800)));
    assert_eq!(answer.peers, ["1.2.3.4:1286".parse().unwrap()]);
    assert_eq!(world.log, [(0, "connect"), (2, "announce")]);
    assert_eq!(world.machine.connection(), Some(Connection { id: ID, since: Moment::from_secs(1) }));
}

/// The example "connect times out" of BEP 15, to its end: n stops at 8.
#[test]
fn a_silent_tracker_is_asked_at_15_times_two_to_the_n_seconds() {
    let mut world = World::new(BEP15, None);
    while world.silence() != Step::GaveUp {}
    let want: Vec<_> = (0..9).map(|n| (15 * ((1 << n) - 1), "connect")).collect();
    assert_eq!(world.log, want);
    assert_eq!(world.now, 15 * ((1 << 9) - 1));
    // The same packet again has the same transaction id.
    assert_eq!(world.issued, 101);
}

/// The example "announce times out" of BEP 15: the connection id expires on the way.
#[test]
fn an_expired_connection_is_made_again_while_the_pauses_go_on_growing() {
    let mut world = World::new(BEP15, None);
    world.poll();
    world.now = 1;
    world.connected();
    world.now = 2;
    for _ in 0..5 {
        world.silence();
    }
    let want = [
        (0, "connect"),
        (2, "announce"),
        (17, "announce"),
        (47, "announce"),
        (107, "connect"),
        (227, "connect"),
    ];
    assert_eq!(world.log, want);
}

#[test]
fn a_good_connection_is_used_again_and_an_old_one_is_not() {
    let since = Moment::START;
    let mut world = World::new(BEP15, Some(Connection { id: ID, since }));
    world.now = 59;
    world.poll();
    let mut late = World::new(BEP15, Some(Connection { id: ID, since }));
    late.now = 60;
    late.poll();
    assert_eq!((world.log, late.log), (vec![(59, "announce")], vec![(60, "connect")]));
}

#[test]
fn what_is_no_answer_to_the_question_is_ignored() {
    let mut world = World::new(BEP15, None);
    world.poll();
    let id = world.last;
    for wrong in [
        reply(udp::CONNECT, id + 1, &ID.to_be_bytes()),
        reply(udp::SCRAPE, id, &ID.to_be_bytes()),
        reply(udp::ANNOUNCE, id, &[0; 40]),
        reply(udp::ERROR, id ^ 0x8000_0000, b"not for us"),
        reply(udp::CONNECT, id, &[0; 7]),
        vec![0; 7],
        Vec::new(),
    ] {
        assert_eq!(world.receive(&wrong), None);
        assert!(matches!(world.poll(), Step::Wait(_)), "{wrong:?}");
    }
    // The right one afterwards still works; the answer to a connect is no answer to an announce.
    world.connected();
    world.poll();
    assert_ne!(world.last, id);
    assert_eq!(world.receive(&reply(udp::CONNECT, id, &ID.to_be_bytes())), None);
    assert_eq!(world.receive(&reply(udp::ANNOUNCE, world.last, &[0; 11])), None);
    assert!(matches!(world.poll(), Step::Wait(_)));
    assert!(world.receive(&reply(udp::ANNOUNCE, world.last, &[0; 12])).is_some());
}

#[test]
fn an_error_ends_it_but_one_about_an_old_connection_connects_anew() {
    let mut world = World::new(BEP15, None);
    world.poll();
    let why = Failure::new("go away");
    assert_eq!(world.receive(&reply(udp::ERROR, world.last, b"go\naway")), Some(Err(why.clone())));

    let connection = Connection { id: ID, since: Moment::START };
    let mut world = World::new(BEP15, Some(connection));
    world.poll();
    assert_eq!(world.receive(&reply(udp::ERROR, world.last, b"Connection ID missmatch.")), None);
    world.poll();
    world.connected();
    world.poll();
    assert_eq!(world.receive(&reply(udp::ERROR, world.last, b"go away")), Some(Err(why)));
    assert_eq!(world.log, [(0, "announce"), (0, "connect"), (0, "announce")]);
}

#[test]
fn patience_can_be_short() {
    let retry_schedule = RetrySchedule { first: Duration::from_secs(2), doublings: 1, retries: 3 };
    let mut world = World::new(retry_schedule, None);
    while world.silence() != Step::GaveUp {}
    assert_eq!(world.log.iter().map(|&(at, _)| at).collect::<Vec<_>>(), [0, 2, 6, 10]);
    assert_eq!(world.now, 14);
}
