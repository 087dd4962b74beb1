use super::*;

const HASH: InfoHash = InfoHash::from_bytes([7; 20]);

fn limits() -> Limits {
    Limits {
        interval: Duration::from_secs(1800),
        swarms: 3,
        peers_per_swarm: 100,
        peers: 150,
        num_want: 50,
        rate: 0,
        allowed: None,
    }
}

fn registry() -> Registry {
    Registry::new(limits(), Random::seeded(1))
}

fn entry(address: &str, seed: bool, event: Event) -> Entry {
    let address = address.parse().unwrap();
    Entry { info_hash: HASH, peer_id: PeerId::from_bytes([1; 20]), address, seed, event, num_want: None }
}

fn leecher(n: usize) -> Entry {
    entry(&format!("10.0.{}.{}:6881", n / 250, n % 250 + 1), false, Event::Started)
}

fn addresses(found: &Found) -> Vec<String> {
    let mut list: Vec<_> = found.peers.iter().map(|(_, address)| address.to_string()).collect();
    list.sort();
    list
}

#[test]
fn peers_find_each_other_and_never_themselves() {
    let mut registry = registry();
    let now = Moment::START;
    let found = registry.announce(&entry("1.1.1.1:1", true, Event::Started), now).unwrap();
    assert_eq!((found.seeders, found.leechers, found.peers.len()), (1, 0, 0));
    let found = registry.announce(&entry("2.2.2.2:2", false, Event::Started), now).unwrap();
    assert_eq!((found.seeders, found.leechers), (1, 1));
    assert_eq!(addresses(&found), ["1.1.1.1:1"]);
    let found = registry.announce(&entry("[::2]:3", false, Event::Started), now).unwrap();
    assert_eq!(addresses(&found), ["1.1.1.1:1", "2.2.2.2:2"]);
    let found = registry.announce(&entry("2.2.2.2:2", false, Event::None), now).unwrap();
    assert_eq!(addresses(&found), ["1.1.1.1:1", "[::2]:3"]);
    assert_eq!((found.seeders, found.leechers), (1, 2));
}

#[test]
fn seeds_hear_of_seeds_last() {
    let mut registry = registry();
    let now = Moment::START;
    for n in 1..9 {
        registry.announce(&entry(&format!("1.1.1.{n}:1"), n != 5, Event::Started), now).unwrap();
    }
    let mut hears = |seed, num_want| {
        let asker = Entry { num_want, ..entry("1.1.1.1:1", seed, Event::None) };
        addresses(&registry.announce(&asker, now).unwrap())
    };
    assert_eq!(hears(true, Some(1)), ["1.1.1.5:1"]);
    assert_eq!(
        hears(true, None).len(),
        7,
        "who does not yet know how much there is says that nothing is left"
    );
}

#[test]
fn completed_counts_once_and_stopped_leaves() {
    let mut registry = registry();
    let now = Moment::START;
    registry.announce(&entry("1.1.1.1:1", false, Event::Started), now).unwrap();
    registry.announce(&entry("1.1.1.1:1", true, Event::Completed), now).unwrap();
    registry.announce(&entry("1.1.1.1:1", true, Event::Completed), now).unwrap();
    let known = |registry: &Registry| registry.scrape(HASH).map(|e| (e.seeders, e.leechers, e.downloaded));
    assert_eq!(known(&registry), Some((1, 0, 1)));
    let found = registry.announce(&entry("1.1.1.1:1", true, Event::Stopped), now).unwrap();
    assert!(found.peers.is_empty());
    assert_eq!(known(&registry), Some((0, 0, 1)));
    // A peer that was never in a swarm cannot make one by leaving it.
    let stranger =
        Entry { info_hash: InfoHash::from_bytes([8; 20]), ..entry("1.1.1.1:1", true, Event::Stopped) };
    registry.announce(&stranger, now).unwrap();
    assert_eq!(registry.scrape(InfoHash::from_bytes([8; 20])), None);
}

#[test]
fn who_does_not_announce_is_forgotten() {
    let mut registry = registry();
    registry.announce(&leecher(1), Moment::START).unwrap();
    registry.announce(&leecher(2), Moment::from_secs(3000)).unwrap();
    let found = registry.announce(&leecher(3), Moment::from_secs(4200)).unwrap();
    assert_eq!(addresses(&found), ["10.0.0.3:6881"]);
    registry
        .announce(
            &Entry { info_hash: InfoHash::from_bytes([9; 20]), ..leecher(1) },
            Moment::from_secs(20_000),
        )
        .unwrap();
    assert_eq!(registry.scrape(HASH), None);
    assert_eq!(registry.total, 1);
}

#[test]
fn every_number_is_capped() {
    let mut registry = registry();
    let now = Moment::START;
    for n in 0..120 {
        let found = registry.announce(&leecher(n), now).unwrap();
        assert_eq!(found.peers.len(), n.min(50), "one who finds no room still gets peers");
    }
    assert_eq!(registry.scrape(HASH).unwrap().leechers, 100);
    for hash in 1..=2u8 {
        for n in 0..40 {
            registry
                .announce(&Entry { info_hash: InfoHash::from_bytes([hash; 20]), ..leecher(n) }, now)
                .unwrap();
        }
    }
    assert_eq!(registry.total, 150);
    let another = Entry { info_hash: InfoHash::from_bytes([3; 20]), ..leecher(1) };
    assert_eq!(registry.announce(&another, now), Err(Refusal::Full));
    let few = Entry { num_want: Some(3), ..leecher(1) };
    assert_eq!(registry.announce(&few, now).unwrap().peers.len(), 3);
    let many = Entry { num_want: Some(u32::MAX), ..leecher(1) };
    assert_eq!(registry.announce(&many, now).unwrap().peers.len(), 50);
}

#[test]
fn answers_are_random_samples_without_doubles() {
    let mut registry = registry();
    for n in 0..100 {
        registry.announce(&leecher(n), Moment::START).unwrap();
    }
    let mut given = HashMap::<String, u32>::new();
    for _ in 0..200 {
        let found = registry.announce(&Entry { num_want: Some(10), ..leecher(0) }, Moment::START).unwrap();
        let list = addresses(&found);
        assert_eq!(list.iter().collect::<HashSet<_>>().len(), 10);
        list.into_iter().for_each(|address| *given.entry(address).or_default() += 1);
    }
    assert_eq!(given.len(), 99, "each is given to someone");
    assert!(given.values().all(|&times| times < 60), "{given:?}");
}

/// Random comings and goings: the books stay true to a plain model.
#[test]
fn the_books_agree_with_a_plain_set() {
    let mut random = Random::seeded(5);
    let mut registry = registry();
    let mut model = HashMap::new();
    for step in 0..3000 {
        let n = random.below(60) as usize;
        let (seed, stop) = (random.below(2) == 0, random.below(3) == 0);
        let event = if stop { Event::Stopped } else { Event::None };
        registry.announce(&Entry { seed, event, ..leecher(n) }, Moment::START).unwrap();
        if stop {
            model.remove(&n);
        } else {
            model.insert(n, seed);
        }
        let seeds = model.values().filter(|&&seed| seed).count();
        let known = registry.scrape(HASH).map_or((0, 0), |e| (e.seeders as usize, e.leechers as usize));
        assert_eq!(known, (seeds, model.len() - seeds), "after step {step}");
        assert_eq!(registry.total, model.len());
    }
}

#[test]
fn only_what_is_allowed_is_tracked() {
    let allowed = Some(HashSet::from([HASH]));
    let mut registry = Registry::new(Limits { allowed, ..limits() }, Random::seeded(1));
    assert!(registry.announce(&leecher(1), Moment::START).is_ok());
    let other = Entry { info_hash: InfoHash::from_bytes([8; 20]), ..leecher(1) };
    assert_eq!(registry.announce(&other, Moment::START), Err(Refusal::NotAllowed));
}

#[test]
fn one_network_with_all_torrents_keeps_no_other_network_out() {
    let mut registry = registry();
    for n in 1..=3u8 {
        let of_one =
            Entry { info_hash: InfoHash::from_bytes([n; 20]), ..entry("9.9.9.9:1", false, Event::Started) };
        registry.announce(&of_one, Moment::from_secs(n.into())).unwrap();
    }
    let more =
        Entry { info_hash: InfoHash::from_bytes([4; 20]), ..entry("9.9.9.9:1", false, Event::Started) };
    assert_eq!(registry.announce(&more, Moment::from_secs(4)), Err(Refusal::Full));
    let honest =
        Entry { info_hash: InfoHash::from_bytes([5; 20]), ..entry("8.8.8.8:1", true, Event::Started) };
    registry.announce(&honest, Moment::from_secs(5)).unwrap();
    assert_eq!(
        registry.scrape(InfoHash::from_bytes([1; 20])),
        None,
        "the one announced longest ago gave way"
    );
    assert!(registry.scrape(InfoHash::from_bytes([5; 20])).is_some());
    assert_eq!((registry.swarms.len(), registry.total), (3, 3));
}

#[test]
fn a_swarm_of_several_networks_does_not_give_way() {
    let mut registry = registry();
    for n in 1..=3u8 {
        for address in ["9.9.9.9:1", "8.8.8.8:1"] {
            let entry =
                Entry { info_hash: InfoHash::from_bytes([n; 20]), ..entry(address, false, Event::Started) };
            registry.announce(&entry, Moment::START).unwrap();
        }
    }
    let newcomer =
        Entry { info_hash: InfoHash::from_bytes([4; 20]), ..entry("7.7.7.7:1", true, Event::Started) };
    assert_eq!(registry.announce(&newcomer, Moment::START), Err(Refusal::Full));
}

#[test]
fn one_address_with_many_ports_keeps_no_peer_out_of_a_swarm() {
    let mut registry = registry();
    for port in 1..=200 {
        registry.announce(&entry(&format!("9.9.9.9:{port}"), false, Event::Started), Moment::START).unwrap();
    }
    assert_eq!(registry.total, 100);
    for n in 1..=20 {
        let honest = entry(&format!("8.8.{n}.8:1"), true, Event::Started);
        registry.announce(&honest, Moment::from_secs(1)).unwrap();
    }
    let known = registry.scrape(HASH).unwrap();
    assert_eq!((known.seeders, known.leechers), (20, 80), "each displaced a port of the one address");
    assert_eq!(registry.total, 100);
}
