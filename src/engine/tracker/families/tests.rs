//! Families that answer, refuse, fail or hang by order: the results.

use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, bounded, unbounded};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn v4(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([127, 0, 0, last]), 80)
}

fn v6() -> SocketAddr {
    "[::1]:80".parse().unwrap()
}

type Heard = Receiver<Result<u8, Failure>>;

/// Runs a request to both families; the results, until both have ended.
fn run(
    grace: Duration,
    ask: impl Fn(SocketAddr, &dyn Fn() -> bool) -> Result<Result<u8, Failure>, &'static str>
    + Send
    + Sync
    + 'static,
) -> Heard {
    run_again(Arc::default(), grace, ask)
}

/// The same, where something is known of them.
fn run_again(
    preferred: Arc<PreferredAddresses>,
    grace: Duration,
    ask: impl Fn(SocketAddr, &dyn Fn() -> bool) -> Result<Result<u8, Failure>, &'static str>
    + Send
    + Sync
    + 'static,
) -> Heard {
    let (told, heard) = unbounded();
    let asking = move |family: &[SocketAddr], is_enough: &dyn Fn() -> bool| {
        let mut asked = Asked::default();
        match ask(family[0], is_enough) {
            Ok(said) => asked.heard(family[0], said),
            Err(why) => {
                asked.failed(family[0], why);
                asked
            }
        }
    };
    let hear = move |said| told.send(said).unwrap();
    let request = FamilyRequest::new("name.test", preferred, grace, asking, hear);
    std::thread::spawn(move || request.run(&[v4(1), v6()]));
    heard
}

#[test]
fn a_family_that_hangs_delays_the_other_not_at_all_and_is_heard_when_it_answers() {
    for hanging in [v4(1), v6()] {
        let (go_on, gate) = bounded::<()>(0);
        let heard = run(Duration::ZERO, move |at, is_enough| {
            if at == hanging {
                assert!(gate.recv().is_err());
                assert!(is_enough());
                return Ok(Ok(2));
            }
            Ok(Ok(1))
        });
        assert_eq!(heard.recv_timeout(LONG).unwrap(), Ok(1));
        drop(go_on);
        assert_eq!(heard.iter().collect::<Vec<_>>(), [Ok(2)]);
    }
}

#[test]
fn a_family_that_fails_does_not_fail_the_tracker() {
    for (dead, refused) in [(v4(1), false), (v6(), false), (v4(1), true), (v6(), true)] {
        let heard = run(Duration::ZERO, move |at, _| match (at == dead, refused) {
            (true, true) => Ok(Err(Failure::new("go away"))),
            (true, false) => Err("no route"),
            (false, _) => Ok(Ok(1)),
        });
        assert_eq!(heard.iter().collect::<Vec<_>>(), [Ok(1)]);
    }
}

#[test]
fn where_all_fail_that_is_heard_once_and_what_the_tracker_says_counts_for_more() {
    let both = run(Duration::ZERO, |at, _| Err(if at.is_ipv6() { "no route" } else { "no answer" }));
    let [Err(failure)] = &both.iter().collect::<Vec<_>>()[..] else { panic!() };
    let mut whys: Vec<&str> = failure.why.split("; ").collect();
    whys.sort_unstable();
    assert_eq!(whys, ["over IPv4: no answer", "over IPv6: no route"]);
    let same = run(Duration::ZERO, |_, _| Err("no answer"));
    assert_eq!(same.iter().collect::<Vec<_>>(), [Err(Failure::unanswered("no answer"))]);
    for refusing in [v4(1), v6()] {
        let said = run(Duration::ZERO, move |at, _| match at == refusing {
            true => Ok(Err(Failure::new("not registered"))),
            false => Err("no route"),
        });
        assert_eq!(said.iter().collect::<Vec<_>>(), [Err(Failure::new("not registered"))]);
    }
}

/// At the end both families are to get it before the program ends.
#[test]
fn the_first_answer_is_held_back_for_the_other_where_that_is_asked_for() {
    let told = Arc::new(AtomicBool::new(false));
    let other = told.clone();
    let (go_on, gate) = bounded::<()>(0);
    let preferred = Arc::new(PreferredAddresses::default());
    preferred.keep("name.test", v6(), true);
    let heard = run_again(preferred, LONG, move |at, _| {
        if at.is_ipv6() {
            assert!(gate.recv().is_err());
            other.store(true, Ordering::SeqCst);
        }
        Ok(Ok(1))
    });
    drop(go_on);
    for said in heard {
        assert_eq!((said, told.load(Ordering::SeqCst)), (Ok(1), true));
    }
}

/// The end of every download would wait for it.
#[test]
fn a_family_that_was_dead_before_is_not_waited_for() {
    let preferred = Arc::new(PreferredAddresses::default());
    preferred.keep("name.test", v4(1), true);
    preferred.pass_on("name.test", &[v6()], 1);
    let (go_on, gate) = bounded::<()>(0);
    let heard = run_again(preferred, Duration::from_secs(3600), move |at, _| {
        if at.is_ipv6() {
            assert!(gate.recv().is_err());
            return Err("no answer");
        }
        Ok(Ok(1))
    });
    assert_eq!(heard.recv_timeout(LONG).unwrap(), Ok(1));
    drop(go_on);
    assert_eq!(heard.iter().count(), 0);
}

#[test]
fn a_request_that_panics_has_failed() {
    let heard = run(Duration::ZERO, |at, _| match at.is_ipv6() {
        true => panic!("it dies"),
        false => Err("no answer"),
    });
    assert_eq!(heard.iter().collect::<Vec<_>>(), [Err(Failure::unanswered("no answer"))]);
}

#[test]
fn no_address_at_all_is_a_failure() {
    let (told, heard) = unbounded();
    let hear = move |said: Result<u8, Failure>| told.send(said).unwrap();
    FamilyRequest::new("name.test", Arc::default(), LONG, |_, _| Asked::default(), hear).run(&[]);
    assert!(heard.iter().all(|said| said.unwrap_err().why.contains("no address")));
}

#[test]
fn the_address_that_answered_is_asked_first_the_next_time() {
    let preferred = PreferredAddresses::default();
    let all = [v4(1), v4(2), v6(), v4(3)];
    let order = || -> Vec<Vec<SocketAddr>> {
        preferred.families("name.test", &all).into_iter().map(|family| family.addresses).collect()
    };
    assert_eq!(order(), [vec![v4(1), v4(2), v4(3)], vec![v6()]]);
    preferred.keep("name.test", v4(2), true);
    assert_eq!(order(), [vec![v4(2), v4(3), v4(1)], vec![v6()]]);
    // There was time for one only: the next is in front.
    preferred.pass_on("name.test", &order()[0], 1);
    assert_eq!(order()[0], [v4(3), v4(1), v4(2)]);
    assert_eq!(preferred.families("other.test", &all)[0].addresses[0], v4(1));
    for n in 0..=MAX_ADDRESSES_KEPT {
        preferred.keep(&format!("{n}.test"), v4(2), true);
    }
    assert!(preferred.lock().len() <= MAX_ADDRESSES_KEPT);
}
