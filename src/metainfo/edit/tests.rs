use super::*;

/// Keys out of order, unknown ones inside and outside of info, and a newline at the end.
const ODD: &[u8] = b"d4:zeta1:z8:announce8:http://a7:comment3:old13:comment.utf-84:old24:infod\
    6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei0e5:x-odyi7ee\
    5:extrale8:url-list8:http://we\n";

/// As `announce` and `announce-list` this, and no other key but info.
fn with(announce: &str, list: &str) -> Vec<u8> {
    let list = if list.is_empty() { String::new() } else { format!("13:announce-list{list}") };
    let announce = if announce.is_empty() { String::new() } else { format!("8:announce{announce}") };
    let info = "4:infod6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    format!("d{announce}{list}{info}e").into_bytes()
}

fn texts(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|url| (*url).to_owned()).collect()
}

fn add(tiers: &[&[&str]]) -> Edit {
    Edit { add_tiers: tiers.iter().map(|tier| texts(tier)).collect(), ..Edit::default() }
}

fn remove(urls: &[&str]) -> Edit {
    Edit { remove_trackers: texts(urls), ..Edit::default() }
}

fn replace(old: &str, new: &str) -> Edit {
    Edit { replace_trackers: vec![(old.to_owned(), new.to_owned())], ..Edit::default() }
}

#[track_caller]
fn becomes(edit: Edit, wanted: &[(&str, &str)]) -> Edited {
    let edited = edit.apply(ODD).unwrap();
    let mut text = String::from_utf8(ODD.to_vec()).unwrap();
    for (from, to) in wanted {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    assert_eq!(String::from_utf8(edited.bytes.clone()).unwrap(), text);
    edited
}

/// `announce` and `announce-list` that are these become those.
#[track_caller]
fn turns(edit: &Edit, from: (&str, &str), to: (&str, &str)) {
    let edited = edit.apply(&with(from.0, from.1)).unwrap();
    let wanted = String::from_utf8(with(to.0, to.1)).unwrap();
    assert_eq!(String::from_utf8(edited.bytes).unwrap(), wanted);
}

#[test]
fn nothing_asked_changes_no_byte() {
    let edited = becomes(Edit::default(), &[]);
    assert_eq!(edited.before, edited.after);
    // Setting the present value is no change either.
    becomes(Edit { private: Some(false), source: Some(None), ..Edit::default() }, &[]);
    becomes(Edit { comment: Some(Some("old2".into())), ..add(&[&["http://a"]]) }, &[]);
    becomes(Edit { add_web_seeds: texts(&["http://w/", "http://w"]), ..Edit::default() }, &[]);
}

#[test]
fn only_what_is_asked_changes_and_the_rest_stays_byte_for_byte() {
    let edited = becomes(
        add(&[&["http://b", "udp://c"]]),
        &[("4:zeta1:z", "13:announce-listll8:http://ael8:http://b7:udp://cee4:zeta1:z")],
    );
    assert_eq!(edited.before, edited.after);
    let tiers = [texts(&["http://a"]), texts(&["http://b", "udp://c"])];
    assert_eq!(Metainfo::from_bytes(&edited.bytes).unwrap().tiers(), tiers);
    becomes(Edit { no_trackers: true, ..Edit::default() }, &[("8:announce8:http://a", "")]);
    becomes(
        Edit { add_web_seeds: texts(&["http://v"]), ..Edit::default() },
        &[("8:http://w", "l8:http://w8:http://ve")],
    );
    becomes(
        Edit { no_web_seeds: true, add_web_seeds: texts(&["http://v"]), ..Edit::default() },
        &[("5:extrale8:url-list8:http://w", "5:extrale8:url-list8:http://v")],
    );
    becomes(Edit { no_web_seeds: true, ..Edit::default() }, &[("8:url-list8:http://w", "")]);
    becomes(
        Edit { comment: Some(Some("new".into())), ..Edit::default() },
        &[("3:old", "3:new"), ("13:comment.utf-84:old2", "")],
    );
    becomes(Edit { comment: Some(None), ..Edit::default() }, &[("7:comment3:old13:comment.utf-84:old2", "")]);
}

#[test]
fn an_announce_that_is_not_in_the_list_is_kept_and_edited_with_its_passkey() {
    let list = "ll8:http://bel8:http://cee";
    turns(&replace("KEY1", "KEY2"), ("15:http://s/KEY1/a", list), ("15:http://s/KEY2/a", list));
    let more = "ll8:http://bel8:http://cel8:http://dee";
    turns(&add(&[&["http://d"]]), ("15:http://s/KEY1/a", list), ("15:http://s/KEY1/a", more));
    turns(&add(&[&["http://s/KEY1/a"]]), ("15:http://s/KEY1/a", list), ("15:http://s/KEY1/a", list));
    turns(&remove(&["http://c"]), ("15:http://s/KEY1/a", list), ("15:http://s/KEY1/a", "ll8:http://bee"));
    // Without it, the first of the list stands there for programs that do not read the list.
    turns(&remove(&["http://s/KEY1/a"]), ("15:http://s/KEY1/a", list), ("8:http://b", list));
}

#[test]
fn duplicates_and_odd_entries_stay() {
    let odd = "ll9: http://b8:http://b8:http://bei7ele3:odddei8:announcee8:http://cl5:wss:/ee";
    let odd = odd.replace("dei8:announcee", "de");
    let announce = "9:http://a ";
    turns(
        &add(&[&["http://d", "http://b"]]),
        (announce, &odd),
        (announce, &format!("{}l8:http://dee", &odd[..odd.len() - 1])),
    );
    turns(&replace("//b", "//z"), (announce, &odd), (announce, &odd.replace("//b", "//z")));
    turns(&replace("//a", "//z"), (announce, &odd), ("9:http://z ", &odd));
    turns(&remove(&["http://c"]), (announce, &odd), (announce, &odd.replace("8:http://c", "")));
    // A whole tier goes with its last URL, wherever the URL stands.
    let left = odd.replace("l9: http://b8:http://b8:http://be", "");
    turns(&remove(&["http://b"]), (announce, &odd), (announce, &left));
    // A tracker of another kind can be changed, but not into nothing of the sort.
    turns(&replace("one", "two"), ("9:wss://one", ""), ("9:wss://two", ""));
    let kind = |edit: Edit| edit.apply(&with("9:wss://one", "")).unwrap_err().kind();
    assert_eq!(kind(replace("wss", "gopher")), ErrorKind::Argument);
    assert_eq!(kind(replace("one", "")), ErrorKind::Argument);
}

#[test]
fn a_list_comes_where_there_is_more_than_one_tracker_and_loses_none_of_them() {
    turns(&add(&[&["http://a"]]), ("", ""), ("8:http://a", ""));
    turns(&add(&[&["http://a"], &["http://b"]]), ("", ""), ("8:http://a", "ll8:http://ael8:http://bee"));
    turns(&add(&[&["http://a", "http://b"]]), ("", ""), ("8:http://a", "ll8:http://a8:http://bee"));
    // A list that holds no URL is read as none at all.
    for empty in ["le", "llee", "lli7eee"] {
        let list = format!("{}l8:http://ael8:http://bee", &empty[..empty.len() - 1]);
        turns(&add(&[&["http://b"]]), ("8:http://a", empty), ("8:http://a", &list));
    }
    turns(&add(&[&["http://b"]]), ("8:http://a", "i1e"), ("8:http://a", "ll8:http://ael8:http://bee"));
    turns(&add(&[&["http://b"]]), ("", "ll8:http://aee"), ("", "ll8:http://ael8:http://bee"));
    turns(&remove(&["http://a"]), ("8:http://a", "ll8:http://aee"), ("", ""));
    turns(&Edit { no_trackers: true, ..add(&[&["http://c"]]) }, ("1:x", "lle3:odde"), ("8:http://c", ""));
}

#[test]
fn what_is_not_there_cannot_be_removed_or_replaced() {
    let kind = |edit: &Edit| edit.apply(ODD).unwrap_err().kind();
    assert_eq!(kind(&remove(&["http://a", "http://b"])), ErrorKind::NotFound);
    assert_eq!(kind(&replace("http://b", "http://c")), ErrorKind::NotFound);
    assert_eq!(kind(&Edit { no_trackers: true, ..remove(&["http://b"]) }), ErrorKind::NotFound);
}

#[test]
fn another_info_hash_only_where_it_is_allowed() {
    let private = Edit { private: Some(true), ..Edit::default() };
    assert_eq!(private.apply(ODD).unwrap_err().kind(), ErrorKind::Argument);
    let edited = becomes(Edit { allow_new_hash: true, ..private }, &[("7:privatei0e", "7:privatei1e")]);
    assert_ne!(edited.before, edited.after);
    let source = Edit { source: Some(Some("S".into())), ..Edit::default() };
    assert!(source.apply(ODD).is_err());
    becomes(Edit { allow_new_hash: true, ..source }, &[("5:x-ody", "6:source1:S5:x-ody")]);
}

#[test]
fn what_is_not_a_torrent_is_refused() {
    assert_eq!(Edit::default().apply(b"le").unwrap_err().kind(), ErrorKind::Torrent);
    assert_eq!(Edit::default().apply(b"d").unwrap_err().kind(), ErrorKind::Bencode);
}
