use super::*;

const MINUTE: u64 = 60;

/// Tiers in virtual time: notes which tracker is announced to, with what and when.
struct World {
    tiers: Tiers,
    now: u64,
}

/// Host and event, as `a started`.
fn say(announce_due: &AnnounceDue) -> String {
    format!("{} {}", announce_due.url.host(), announce_due.event.name().unwrap_or("-"))
}

impl World {
    fn new(tiers: &[&[&str]]) -> World {
        let urls = |tier: &&[&str]| tier.iter().map(|host| format!("http://{host}/announce")).collect();
        let tiers: Vec<Vec<String>> = tiers.iter().map(urls).collect();
        let (tiers, refused) = Tiers::new(&tiers, Policy::default(), Random::seeded(1));
        assert!(refused.is_empty());
        World { tiers, now: 0 }
    }

    fn at(&self) -> Moment {
        Moment::from_secs(self.now)
    }

    /// Everything that is announced now.
    fn announces_due(&mut self) -> Vec<AnnounceDue> {
        let now = self.at();
        std::iter::from_fn(|| self.tiers.poll(now)).collect()
    }

    fn said(&mut self) -> Vec<String> {
        self.announces_due().iter().map(say).collect()
    }

    /// The only announce of this moment.
    fn one(&mut self) -> AnnounceDue {
        let mut announces_due = self.announces_due();
        assert_eq!(announces_due.len(), 1, "{announces_due:?}");
        announces_due.remove(0)
    }

    /// Goes to the next moment at which something is to be done; seconds from now, rounded up.
    fn skip(&mut self) -> u64 {
        let next = self.tiers.deadline().unwrap();
        let waited = (next - self.at()).as_millis().div_ceil(1000) as u64;
        self.now += waited;
        waited
    }

    fn answer(&mut self, announce_due: &AnnounceDue, interval: u64) -> u64 {
        let answer = Answer { interval: Some(Duration::from_secs(interval)), ..Answer::default() };
        self.tiers.answered(announce_due.tracker, &answer, self.at()).as_secs()
    }

    fn fail(&mut self, announce_due: &AnnounceDue) -> u64 {
        self.tiers.failed(announce_due.tracker, &Failure::new("no"), self.at()).unwrap().as_secs()
    }
}

#[test]
fn every_tier_announces_by_itself_and_regularly() {
    let mut world = World::new(&[&["a"], &["b"], &["c"]]);
    let announces_due = world.announces_due();
    assert_eq!(announces_due.iter().map(say).collect::<Vec<_>>(), ["a started", "b started", "c started"]);
    assert_eq!(world.answer(&announces_due[0], 600), 600);
    assert_eq!(world.answer(&announces_due[1], 900), 900);
    // c stays silent: it delays no other.
    world.now = 600;
    assert_eq!(world.said(), ["a -"]);
    world.now = 900;
    assert_eq!(world.said(), ["b -"]);
}

#[test]
fn tiers_are_shuffled_within() {
    let hosts: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut firsts: Vec<String> = (0..20)
        .map(|seed| {
            let urls = vec![hosts.iter().map(|host| format!("http://{host}/announce")).collect()];
            let (mut tiers, _) = Tiers::new(&urls, Policy::default(), Random::seeded(seed));
            tiers.poll(Moment::START).unwrap().url.host().to_owned()
        })
        .collect();
    firsts.sort();
    firsts.dedup();
    assert!(firsts.len() > 3, "{firsts:?}");
}

#[test]
fn a_failure_goes_on_to_the_next_and_the_first_to_answer_moves_to_the_front() {
    let mut world = World::new(&[&["a", "b", "c"]]);
    let first = world.one();
    world.fail(&first);
    let second = world.one();
    assert_ne!(first.tracker, second.tracker);
    world.answer(&second, 600);
    world.now = 600;
    assert_eq!(world.one().tracker, second.tracker);
}

#[test]
fn a_silent_tracker_has_the_next_asked_alongside_after_five_seconds() {
    let mut world = World::new(&[&["a", "b", "c"]]);
    let first = world.one();
    assert_eq!(world.skip(), 5);
    let second = world.one();
    world.now += 2;
    world.answer(&second, 600);
    // The answer that comes late still counts as told, and does not take the front.
    world.now += 1;
    world.answer(&first, 700);
    world.now = 607;
    let again = world.one();
    assert_eq!((again.tracker, again.event), (second.tracker, Event::None));
    world.tiers.stop();
    let stopped: Vec<_> = world.announces_due().iter().map(|announce_due| announce_due.tracker).collect();
    assert_eq!(stopped.len(), 2);
    assert!(stopped.contains(&first.tracker) && stopped.contains(&second.tracker));
}

#[test]
fn pauses_double_from_15_seconds_to_half_an_hour_with_a_fifth_of_jitter() {
    let mut world = World::new(&[&["a"]]);
    let mut want = 15.0;
    for _ in 0..12 {
        let announce_due = world.one();
        assert_eq!(announce_due.event, Event::Started);
        let pause = world.fail(&announce_due) as f64;
        assert!(
            pause >= (want * 0.8f64).floor() && pause <= (want * 1.2f64).min(1800.0),
            "{pause} of {want}"
        );
        assert!(world.announces_due().is_empty());
        let waited = world.skip() as f64;
        assert!((pause..=pause + 1.0).contains(&waited));
        want = (want * 2.0).min(1800.0);
    }
    let announce_due = world.one();
    world.answer(&announce_due, 600);
    world.now += 600;
    let announce_due = world.one();
    assert!(world.fail(&announce_due) <= 18, "an answer makes it begin anew");
}

#[test]
fn when_all_of_a_tier_failed_the_first_to_wake_is_next() {
    let mut world = World::new(&[&["a", "b"]]);
    let first = world.one();
    let sooner = world.fail(&first);
    let second = world.one();
    world.now += 5;
    let later = world.fail(&second);
    assert!(5 + later > sooner);
    assert!(world.announces_due().is_empty());
    assert!((sooner - 5..=sooner - 4).contains(&world.skip()));
    assert_eq!(world.one().tracker, first.tracker);
}

#[test]
fn silly_intervals_are_clamped() {
    for (asked, given) in
        [(0, MINUTE), (1, MINUTE), (MINUTE, MINUTE), (7200, 7200), (7201, 7200), (u64::from(u32::MAX), 7200)]
    {
        let mut world = World::new(&[&["a"]]);
        let announce_due = world.one();
        assert_eq!(world.answer(&announce_due, asked), given);
    }
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    let wait = world.tiers.answered(announce_due.tracker, &Answer::default(), world.at());
    assert_eq!(wait, Duration::from_secs(1800));
}

#[test]
fn want_of_peers_announces_early_but_never_below_the_least_interval() {
    let secs = |n| Some(Duration::from_secs(n));
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    let answer = Answer { interval: secs(1800), min_interval: secs(300), ..Answer::default() };
    world.tiers.answered(announce_due.tracker, &answer, world.at());
    world.now = 10;
    world.tiers.want_peers(world.at());
    assert_eq!(world.skip(), 290);
    let announce_due = world.one();
    assert_eq!(announce_due.event, Event::None);
    // Asked for again while under way: nothing more.
    world.tiers.want_peers(world.at());
    assert!(world.announces_due().is_empty());
    world.answer(&announce_due, 1800);
    world.now += 1000;
    world.tiers.want_peers(world.at());
    assert_eq!(world.said(), ["a -"], "long enough after the last");
}

#[test]
fn a_min_interval_above_the_interval_wins() {
    let secs = |n| Some(Duration::from_secs(n));
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    let answer = Answer { interval: secs(120), min_interval: secs(900), ..Answer::default() };
    assert_eq!(world.tiers.answered(announce_due.tracker, &answer, world.at()), Duration::from_secs(900));
}

#[test]
fn completed_is_announced_once_and_at_once_and_only_after_started() {
    let mut world = World::new(&[&["a"], &["b"]]);
    let announces_due = world.announces_due();
    world.answer(&announces_due[0], 600);
    world.fail(&announces_due[1]);
    world.now = 5;
    world.tiers.completed(world.at());
    let announce_due = world.one();
    assert_eq!(say(&announce_due), "a completed");
    // It fails: it is still owed.
    world.fail(&announce_due);
    world.now = 100;
    let announces_due = world.announces_due();
    let said: Vec<_> = announces_due.iter().map(say).collect();
    assert_eq!(said, ["a completed", "b started"]);
    world.answer(&announces_due[0], 600);
    world.answer(&announces_due[1], 600);
    world.tiers.completed(world.at());
    assert!(world.announces_due().is_empty());
    world.now = 700;
    assert_eq!(world.said(), ["a -", "b -"]);
}

#[test]
fn completed_follows_a_started_that_was_on_its_way() {
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    world.tiers.completed(world.at());
    assert!(world.announces_due().is_empty());
    assert_eq!(world.answer(&announce_due, 600), 0);
    assert_eq!(world.said(), ["a completed"]);
    // One that is sent after the end says itself that nothing is left.
    let mut world = World::new(&[&["a"]]);
    world.tiers.completed(world.at());
    let announce_due = world.one();
    assert_eq!(say(&announce_due), "a started");
    assert_eq!(world.answer(&announce_due, 600), 600);
    world.now = 600;
    assert_eq!(world.said(), ["a -"]);
}

#[test]
fn stopped_goes_only_where_started_was_answered() {
    let mut world = World::new(&[&["a"], &["b"], &["c"]]);
    let announces_due = world.announces_due();
    world.answer(&announces_due[0], 600);
    world.fail(&announces_due[1]);
    assert!(!world.tiers.has_left());
    world.tiers.stop();
    let stopped = world.one();
    assert_eq!(say(&stopped), "a stopped");
    assert!(!world.tiers.has_left());
    world.tiers.heard(stopped.tracker, true);
    assert!(world.tiers.has_left());
    world.now = 10_000;
    assert!(world.announces_due().is_empty());
}

#[test]
fn completed_is_said_before_stopped_though_both_are_due_at_once() {
    let mut world = World::new(&[&["a"], &["b"], &["c"]]);
    let announces_due = world.announces_due();
    world.answer(&announces_due[0], 600);
    world.answer(&announces_due[1], 600);
    world.tiers.completed(world.at());
    world.tiers.stop();
    let owed = world.announces_due();
    assert_eq!(owed.iter().map(say).collect::<Vec<_>>(), ["a completed", "b completed"]);
    world.tiers.heard(owed[1].tracker, true);
    assert_eq!(world.said(), ["b stopped"]);
    // One that failed to hear the first hears the second.
    world.tiers.heard(owed[0].tracker, false);
    assert_eq!(world.said(), ["a stopped"]);
    world.tiers.heard(owed[0].tracker, true);
    assert!(!world.tiers.has_left());
    world.tiers.heard(owed[1].tracker, true);
    assert!(world.tiers.has_left(), "the third, which has not answered, is not waited for");
}

#[test]
fn who_answers_started_only_after_the_end_hears_of_it_while_others_do() {
    let mut world = World::new(&[&["a"], &["b"], &["c"]]);
    let announces_due = world.announces_due();
    world.answer(&announces_due[0], 600);
    world.tiers.completed(world.at());
    world.tiers.stop();
    let owed = world.one();
    world.tiers.heard(announces_due[1].tracker, true);
    world.tiers.heard(announces_due[2].tracker, false);
    assert_eq!(world.said(), ["b completed"]);
    world.tiers.heard(owed.tracker, true);
    assert_eq!(world.said(), ["a stopped"]);
    world.tiers.heard(owed.tracker, true);
    assert!(!world.tiers.has_left());
    world.tiers.heard(announces_due[1].tracker, true);
    assert_eq!(world.said(), ["b stopped"]);
    world.tiers.heard(announces_due[1].tracker, true);
    assert!(world.tiers.has_left());
}

#[test]
fn stopped_waits_for_a_completed_that_is_under_way_and_for_nothing_else() {
    let mut world = World::new(&[&["a"], &["b"]]);
    let announces_due = world.announces_due();
    world.answer(&announces_due[0], 600);
    world.now = 60;
    world.answer(&announces_due[1], 600);
    world.tiers.completed(world.at());
    let completed = world.announces_due();
    world.answer(&completed[1], 600);
    world.now = 660;
    assert_eq!(world.said(), ["b -"]);
    world.tiers.stop();
    assert_eq!(world.said(), ["b stopped"]);
    world.tiers.heard(completed[0].tracker, true);
    assert_eq!(world.said(), ["a stopped"]);
}

#[test]
fn the_tracker_id_is_sent_back() {
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    let answer = Answer { tracker_id: Some(b"x y".to_vec()), ..Answer::default() };
    world.tiers.answered(announce_due.tracker, &answer, world.at());
    world.now = 1800;
    let announce_due = world.one();
    assert_eq!(announce_due.tracker_id.as_deref(), Some(&b"x y"[..]));
    // An answer without one leaves it as it is.
    world.answer(&announce_due, 1800);
    world.tiers.stop();
    assert_eq!(world.one().tracker_id.as_deref(), Some(&b"x y"[..]));
}

#[test]
fn a_tracker_may_say_when_to_try_again() {
    let mut world = World::new(&[&["a", "b"]]);
    let first = world.one();
    let later = Failure { retry: Some(Retry::After(Duration::from_secs(1200))), ..Failure::new("busy") };
    assert_eq!(world.tiers.failed(first.tracker, &later, world.at()), Some(Duration::from_secs(1200)));
    let second = world.one();
    let never = Failure { retry: Some(Retry::Never), ..Failure::new("gone") };
    world.tiers.failed(second.tracker, &never, world.at());
    assert!(world.announces_due().is_empty());
    assert_eq!(world.skip(), 1200);
    let again = world.one();
    assert_eq!(again.tracker, first.tracker);
    world.tiers.failed(first.tracker, &never, world.at());
    assert!(world.announces_due().is_empty());
    assert_eq!(world.tiers.deadline(), None);
}

/// Sites ban for less: neither a wish for peers nor a finished download shortens what was asked for.
#[test]
fn a_refusal_is_obeyed_within_bounds() {
    let least = world_pause(Some(Retry::After(Duration::ZERO)));
    assert_eq!(least, world_pause(None), "never sooner than after any failure");
    assert_eq!(world_pause(Some(Retry::After(Duration::MAX))), Duration::from_secs(7200));
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    world.answer(&announce_due, 1800);
    world.now = 1800;
    let announce_due = world.one();
    let refused =
        Failure { retry: Some(Retry::After(Duration::from_secs(3600))), ..Failure::new("too often") };
    world.tiers.failed(announce_due.tracker, &refused, world.at());
    world.now += 600;
    world.tiers.want_peers(world.at());
    world.tiers.completed(world.at());
    assert!(world.announces_due().is_empty());
    assert_eq!(world.skip(), 3000);
    assert_eq!(world.announces_due().len(), 1);
}

/// How long a tracker rests after a first failure.
fn world_pause(retry: Option<Retry>) -> Duration {
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    world.tiers.failed(announce_due.tracker, &Failure { retry, ..Failure::new("no") }, world.at()).unwrap()
}

#[test]
fn what_is_no_tracker_is_left_out_and_named_and_doubles_go() {
    let tiers = vec![
        vec!["wss://a/".to_owned(), "udp://b/announce".to_owned()],
        vec!["https://c/announce".to_owned(), "https://C:443/announce".to_owned()],
    ];
    let (mut tiers, refused) = Tiers::new(&tiers, Policy::default(), Random::seeded(1));
    assert_eq!(
        refused.iter().map(|(url, _)| url.as_str()).collect::<Vec<_>>(),
        ["wss://a/", "udp://b/announce"]
    );
    assert_eq!(
        tiers.poll(Moment::START).map(|announce_due| say(&announce_due)).as_deref(),
        Some("c started")
    );
    assert_eq!(tiers.poll(Moment::START), None);
    assert_eq!(tiers.poll(Moment::from_secs(5)), None);
    let (tiers, _) = Tiers::new(&[], Policy::default(), Random::seeded(1));
    assert!(tiers.trackers.is_empty() && tiers.deadline().is_none());
}

/// The port was mapped to another one while the first announce was under way, or long after.
#[test]
fn a_change_is_announced_at_once_to_those_that_were_told_and_not_without_end() {
    let mut world = World::new(&[&["a"], &["b"]]);
    let first = world.announces_due();
    world.answer(&first[0], 1800);
    world.now = 3;
    world.tiers.announce_again(world.at());
    assert_eq!(world.said(), ["a -"], "b is still being told");
    assert_eq!(world.answer(&first[1], 1800), 0);
    assert_eq!(world.said(), ["b -"]);
    let mut world = World::new(&[&["a"]]);
    let announce_due = world.one();
    world.answer(&announce_due, 1800);
    for change in 0..5 {
        world.tiers.announce_again(world.at());
        let waited = world.skip();
        assert_eq!(waited, if change == 0 { 0 } else { MINUTE });
        let announce_due = world.one();
        assert_eq!(say(&announce_due), "a -");
        assert_eq!(world.answer(&announce_due, 1800), 1800);
    }
}

#[test]
fn an_announce_on_request_comes_as_soon_as_permitted_and_tries_what_failed_at_once() {
    let mut world = World::new(&[&["a"], &["b"], &["c"]]);
    let announces_due = world.announces_due();
    world.answer(&announces_due[0], 600);
    world.fail(&announces_due[1]);
    let never = Failure { retry: Some(Retry::Never), ..Failure::new("gone") };
    assert_eq!(world.tiers.failed(announces_due[2].tracker, &never, world.at()), None);
    assert!(world.said().is_empty());
    world.now = 2;
    world.tiers.reannounce(world.at());
    assert_eq!(world.said(), ["b started", "c started"]);
    world.tiers.reannounce(world.at());
    assert!(world.said().is_empty(), "each is under way, or not permitted yet");
    world.now = MINUTE;
    assert_eq!(world.one().url.host(), "a");
}
