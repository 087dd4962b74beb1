//! The Transmission RPC without a network: bytes in, bytes out, over a backend in memory.

use std::io::{self, Write};

use bitwren::internals::daemon::command::*;
use bitwren::internals::daemon::rpc::{self, Sent};
use bitwren::internals::daemon::settings::*;
use bitwren::internals::daemon::view::*;
use bitwren::internals::json::{Value, parse};

use crate::replay::properties::rpc::fake::Fake;

/// The reply to a body; nothing for a notification.
fn sent(fake: &mut Fake, body: &str) -> Option<Value> {
    let mut out = Vec::new();
    let sent = rpc::answer(body.as_bytes(), fake, &mut out).unwrap();
    assert_eq!(sent == Sent::Nothing, out.is_empty());
    (sent == Sent::Body)
        .then(|| parse(&out).unwrap_or_else(|error| panic!("{error}: {}", out.escape_ascii())))
}

fn reply(fake: &mut Fake, body: &str) -> Value {
    sent(fake, body).expect("a reply")
}

/// The arguments of a successful legacy reply.
#[track_caller]
fn legacy(fake: &mut Fake, method: &str, arguments: &str) -> Value {
    let reply = reply(fake, &format!(r#"{{"method":"{method}","arguments":{arguments}}}"#));
    assert_eq!(reply.get("result"), Some(&Value::Text("success".into())), "{method} {arguments}");
    reply.get("arguments").unwrap().clone()
}

/// The result of a successful JSON-RPC reply.
#[track_caller]
fn modern(fake: &mut Fake, method: &str, params: &str) -> Value {
    let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":1}}"#);
    let reply = reply(fake, &body);
    reply.get("result").unwrap_or_else(|| panic!("{method} {params}: {reply:?}")).clone()
}

fn json(text: &str) -> Value {
    parse(text.as_bytes()).unwrap()
}

/// The same without the order of members, which means nothing.
fn sorted(value: &Value) -> Value {
    match value {
        Value::List(values) => Value::List(values.iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members)
        }
        other => other.clone(),
    }
}

fn written(value: &Value) -> String {
    let mut writer = bitwren::internals::json::Writer::new(Vec::new());
    writer.value(value).unwrap();
    String::from_utf8(writer.into_inner()).unwrap()
}

/// Every answer is what the real daemon gave in the same state, but for the version.
#[test]
fn recorded_answers_are_given_in_both_dialects() {
    let recorded = parse(include_bytes!("../../testdata/rpc/transmission-4.1.json")).unwrap();
    let own = rpc::version();
    let expected = own.strip_prefix("4.1.3 (").expect("clients read Transmission's version at the beginning");
    assert!(expected.starts_with("bitwren "), "{own}");
    for dialect in ["legacy", "jsonrpc"] {
        let exchanges = recorded.get(dialect).and_then(Value::as_list).unwrap();
        assert!(exchanges.len() >= 26);
        for exchange in exchanges {
            let request = written(exchange.get("request").unwrap());
            let wanted = written(&sorted(exchange.get("response").unwrap()));
            let wanted = wanted.replace("4.1.3 (838877323f)", &own);
            // Every request on its own: the recorded ones that change something all failed.
            assert_eq!(written(&sorted(&reply(&mut Fake::new(), &request))), wanted, "{request}");
        }
    }
}

/// The error of a request in both dialects: legacy result and arguments, code, message, error_string.
#[track_caller]
fn fails(fake: &mut Fake, method: &str, params: &str, expected: (&str, i64, &str, Option<&str>)) {
    let (text, code, message, error_string) = expected;
    let failure = fake.failure.clone();
    let old = reply(fake, &format!(r#"{{"method":"{}","arguments":{params}}}"#, method.replace('_', "-")));
    assert_eq!(old.get("result").and_then(Value::as_text), Some(text), "{method} {params}");
    fake.failure = failure;
    let new = reply(fake, &format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":"x"}}"#));
    let error = new.get("error").unwrap_or_else(|| panic!("{method} {params}: {new:?}"));
    assert_eq!(new.get("id"), Some(&Value::Text("x".into())));
    assert_eq!(error.get("code").and_then(Value::as_int), Some(code), "{method} {params}");
    assert_eq!(error.get("message").and_then(Value::as_text), Some(message), "{method} {params}");
    let data = error.get("data");
    let told = data.and_then(|data| data.get("error_string")).and_then(Value::as_text);
    assert_eq!(told, error_string, "{method} {params}");
    let details = data.and_then(|data| data.get("result")).cloned().unwrap_or(Value::Object(Vec::new()));
    assert_eq!(
        details == Value::Object(Vec::new()),
        old.get("arguments") == Some(&Value::Object(Vec::new()))
    );
}

#[test]
fn every_error_is_told_in_both_dialects() {
    let params = |text: &'static str| (text, -32602, "Invalid params", Some(text));
    let absolute = |text: &'static str| (text, 3, "path is not absolute", Some(text));
    let bare = |code, text: &'static str| (text, code, text, None);
    let invalid = ("Invalid argument", 5, "system error", Some("Invalid argument"));
    let cases = [
        ("nope", "{}", ("no method name", -32601, "Method not found", None)),
        ("", "{}", ("no method name", -32601, "Method not found", None)),
        ("torrent_get", r#"{"fields":["noSuchField",7]}"#, params("no fields specified")),
        ("torrent_add", r#"{"filename":"","metainfo":7}"#, params("no filename or metainfo specified")),
        ("torrent_add", r#"{"metainfo":"not base64!"}"#, bare(4, "unrecognized info")),
        ("torrent_add", r#"{"metainfo":"ZGU="}"#, bare(9, "invalid or corrupt torrent file")),
        ("torrent_add", r#"{"filename":"/nonexistent/x.torrent"}"#, bare(4, "unrecognized info")),
        ("torrent_add", r#"{"filename":"magnet:?xt=nothing"}"#, bare(4, "unrecognized info")),
        (
            "torrent_add",
            r#"{"filename":"HTTP://h/x"}"#,
            (
                "Couldn't fetch torrent: Not Found (404)",
                8,
                "HTTP error from backend service",
                Some("Couldn't fetch torrent: Not Found (404)"),
            ),
        ),
        (
            "torrent_add",
            r#"{"metainfo":"ZGU=","labels":["a,b"]}"#,
            params("labels cannot contain comma (,) character"),
        ),
        (
            "session_set",
            r#"{"incomplete_dir":"x"}"#,
            absolute("incomplete torrents directory path is not absolute"),
        ),
        ("torrent_set", r#"{"location":"x"}"#, absolute("new location path is not absolute")),
        ("torrent_set", r#"{"files_unwanted":[-1]}"#, bare(6, "file index out of range")),
        ("torrent_set", r#"{"priority_high":[2]}"#, bare(6, "file index out of range")),
        (
            "torrent_set",
            r#"{"sequential_download_from_piece":64}"#,
            (
                "piece to sequentially download from is outside pieces range",
                7,
                "piece index out of range",
                Some("piece to sequentially download from is outside pieces range"),
            ),
        ),
        ("torrent_set", r#"{"tracker_remove":[9]}"#, bare(1, "error setting announce list")),
        ("torrent_set", r#"{"tracker_replace":[9,"udp://a:1"]}"#, bare(1, "error setting announce list")),
        ("torrent_set", r#"{"labels":["  "]}"#, params("labels cannot be empty")),
        ("torrent_rename_path", r#"{"path":"nothing","name":"x"}"#, invalid),
        ("torrent_rename_path", r#"{"path":"../../etc/passwd","name":"x"}"#, invalid),
        ("torrent_rename_path", r#"{"path":"big/one.bin","name":"two.bin"}"#, invalid),
        ("torrent_rename_path", r#"{"path":"big/one.bin","name":".."}"#, invalid),
        ("torrent_rename_path", r#"{"path":"big/one.bin","name":"."}"#, invalid),
        ("torrent_rename_path", r#"{"path":"big/one.bin","name":""}"#, invalid),
        ("torrent_rename_path", r#"{"path":"big/one.bin","name":"a/b"}"#, invalid),
        ("torrent_rename_path", r#"{"path":"","name":"x"}"#, invalid),
        ("port_test", r#"{"ip_protocol":"ipx"}"#, params("invalid ip protocol string")),
        (
            "port_test",
            r#"{"ip_protocol":"ipv6"}"#,
            (
                "Couldn't test port: no route",
                8,
                "HTTP error from backend service",
                Some("Couldn't test port: no route"),
            ),
        ),
        ("group_set", r#"{"name":"  "}"#, params("No group name given")),
    ];
    for (method, params, expected) in cases {
        fails(&mut Fake::new(), method, params, expected);
    }
}

#[test]
fn failures_of_the_backend_are_told_in_both_dialects() {
    let cases = [
        ("blocklist_update", Failure::NoBlocklistRules, "couldn't parse any valid blocklist rules", 10),
        ("blocklist_update", Failure::Fetch("Couldn't fetch blocklist: Gone (410)".into()), "", 8),
        ("torrent_set_location", Failure::Refused("/etc is outside the roots".into()), "", -32602),
        ("torrent_set_location", Failure::System("No space left on device".into()), "", 5),
        ("torrent_start", Failure::Unavailable, "", -32603),
    ];
    for (method, failure, text, code) in cases {
        let mut fake = Fake::new();
        fake.failure = Some(failure.clone());
        let params = r#"{"location":"/x"}"#;
        let old = reply(&mut fake, &format!(r#"{{"method":"{method}","arguments":{params}}}"#));
        let told = old.get("result").and_then(Value::as_text).unwrap();
        match &failure {
            Failure::Fetch(text) | Failure::Refused(text) | Failure::System(text) => assert_eq!(told, text),
            Failure::Unavailable => assert_ne!(told, "success"),
            _ => assert_eq!(told, text),
        }
        fake.failure = Some(failure);
        let new =
            reply(&mut fake, &format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":1}}"#));
        assert_eq!(new.get("error").and_then(|error| error.get("code")), Some(&Value::Int(code)));
    }
    let mut fake = Fake::new();
    fake.space = Err(Failure::System("No such file or directory".into()));
    let text = "No such file or directory";
    fails(&mut fake, "free_space", r#"{"path":"/no/such"}"#, (text, 5, "system error", Some(text)));
    let old = reply(&mut fake, r#"{"method":"free-space","arguments":{"path":"/no/such"}}"#);
    let unknown = json(r#"{"path":"/no/such","size-bytes":-1,"total_size":-1}"#);
    assert_eq!(old.get("arguments"), Some(&unknown));
}

#[test]
fn what_is_no_request_is_answered_with_an_error() {
    let cases = [
        ("{nonsense", -32700),
        ("", -32700),
        ("\"text\"", -32600),
        ("7", -32600),
        ("[]", -32600),
        (r#"{"jsonrpc":"1.0","method":"session_get","id":1}"#, -32600),
        (r#"{"jsonrpc":2.0,"method":"session_get","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"session_get","id":[1]}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"session_get","id":{}}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"session_get","id":true}"#, -32600),
    ];
    for (body, code) in cases {
        let reply = reply(&mut Fake::new(), body);
        assert_eq!(reply.get("error").and_then(|error| error.get("code")), Some(&Value::Int(code)), "{body}");
        assert_eq!(reply.get("id"), Some(&Value::Null), "{body}");
        assert_eq!(reply.get("jsonrpc"), Some(&Value::Text("2.0".into())), "{body}");
    }
    let deep = "[".repeat(200_000);
    assert!(reply(&mut Fake::new(), &deep).get("error").is_some());
}

#[test]
fn tags_and_ids_come_back() {
    let mut fake = Fake::new();
    for (tag, back) in [("7", Some(7)), ("\"x\"", None), ("1.5", None), ("null", None), ("-3", Some(-3))] {
        let reply = reply(&mut fake, &format!(r#"{{"method":"session-stats","arguments":21,"tag":{tag}}}"#));
        assert_eq!(reply.get("tag").and_then(Value::as_int), back, "{tag}");
        assert!(reply.get("arguments").unwrap().get("torrentCount").is_some());
    }
    assert_eq!(reply(&mut fake, r#"{"method":"session-stats"}"#).get("tag"), None);
    for id in ["7", "\"text\"", "null", "1.5"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"session_stats","params":[1],"id":{id}}}"#);
        let reply = reply(&mut fake, &body);
        assert_eq!(reply.get("id"), Some(&json(id)));
        assert!(reply.get("result").is_some());
    }
}

#[test]
fn notifications_are_carried_out_and_not_answered() {
    let mut fake = Fake::new();
    assert_eq!(sent(&mut fake, r#"{"jsonrpc":"2.0","method":"session_stats"}"#), None);
    assert_eq!(sent(&mut fake, r#"{"jsonrpc":"2.0","method":"nope"}"#), None);
    assert!(fake.commands.is_empty());
    assert_eq!(sent(&mut fake, r#"{"jsonrpc":"2.0","method":"torrent_stop","params":{"ids":1}}"#), None);
    fake.failure = Some(Failure::Unavailable);
    assert_eq!(sent(&mut fake, r#"{"jsonrpc":"2.0","method":"torrent_start"}"#), None);
    assert_eq!(fake.commands, [Command::Stop(vec![1]), Command::Start(vec![1])]);
}

#[test]
fn a_batch_is_answered_in_order_without_its_notifications() {
    let mut fake = Fake::new();
    let batch = r#"[
        {"jsonrpc":"2.0","method":"session_stats","id":1},
        {"jsonrpc":"2.0","method":"session_set","params":{"speed_limit_up":5}},
        1,
        {"jsonrpc":"2.0","method":"nope","id":2},
        {"method":"session-stats","tag":9},
        {"jsonrpc":"2.0","method":"session_get","params":{"fields":["speed_limit_up"]},"id":3}
    ]"#;
    let reply = reply(&mut fake, batch);
    let answers = reply.as_list().unwrap();
    let code =
        |answer: &Value| answer.get("error").map_or(0, |error| error.get("code").unwrap().as_int().unwrap());
    assert_eq!(answers.iter().map(code).collect::<Vec<_>>(), [0, -32600, -32601, -32600, 0]);
    let ids: Vec<_> = answers.iter().map(|answer| answer.get("id").unwrap().clone()).collect();
    assert_eq!(ids, [Value::Int(1), Value::Null, Value::Int(2), Value::Null, Value::Int(3)]);
    assert_eq!(answers[4].get("result"), Some(&json(r#"{"speed_limit_up":5}"#)));
    let notifications =
        r#"[{"jsonrpc":"2.0","method":"session_set","params":{}},{"jsonrpc":"2.0","method":"nope"}]"#;
    assert_eq!(sent(&mut fake, notifications), None);
}

#[test]
fn arguments_that_are_no_object_do_nothing_to_any_torrent() {
    let mut fake = Fake::new();
    let many: Vec<String> = (0..2_000).map(|at| format!("\"{at}\":0")).collect();
    let many = format!("{{{},\"ids\":[]}}", many.join(","));
    for params in ["[1]", "21", "\"x\"", &many] {
        let new = reply(
            &mut fake,
            &format!(r#"{{"jsonrpc":"2.0","method":"torrent_remove","params":{params},"id":1}}"#),
        );
        assert_eq!(new.get("error").and_then(|error| error.get("code")), Some(&Value::Int(-32602)));
        let old = reply(&mut fake, &format!(r#"{{"method":"torrent-remove","arguments":{params}}}"#));
        assert_ne!(old.get("result"), Some(&Value::Text("success".into())));
    }
    assert!(fake.commands.is_empty());
}

/// The ids that a form of `ids` stands for.
fn chosen(fake: &mut Fake, ids: &str) -> Vec<i64> {
    let arguments = format!(r#"{{{ids}"fields":["id"]}}"#);
    let torrents = legacy(fake, "torrent-get", &arguments).get("torrents").unwrap().clone();
    torrents.as_list().unwrap().iter().map(|torrent| torrent.get("id").unwrap().as_int().unwrap()).collect()
}

#[test]
fn torrents_are_chosen_by_every_form_of_ids() {
    let mut fake = Fake::with(3);
    assert_eq!(chosen(&mut fake, ""), [1, 2, 3]);
    assert_eq!(chosen(&mut fake, r#""ids":[],"#), []);
    assert_eq!(chosen(&mut fake, r#""ids":2,"#), [2]);
    assert_eq!(chosen(&mut fake, r#""ids":[3,1,3,99,-1,1.5,null],"#), [3, 1]);
    assert_eq!(chosen(&mut fake, r#""ids":"94F1b9a8519772c9301aa97a7d0798952e2067e9","#), [1]);
    let hash = format!(r#""ids":["{:040X}", 1, "{}"],"#, 3, "f".repeat(40));
    assert_eq!(chosen(&mut fake, &hash), [3, 1]);
    assert_eq!(chosen(&mut fake, r#""ids":"nonsense","#), []);
    assert_eq!(chosen(&mut fake, r#""ids":"recently-active","#), [1]);
    assert_eq!(chosen(&mut fake, r#""ids":"recently_active","#), [1]);
}

#[test]
fn recently_active_tells_what_was_removed() {
    let mut fake = Fake::with(2);
    legacy(&mut fake, "torrent-remove", r#"{"ids":[2],"delete-local-data":true}"#);
    assert_eq!(fake.commands, [Command::Remove { ids: vec![2], data: true }]);
    let recent = legacy(&mut fake, "torrent-get", r#"{"ids":"recently-active","fields":["id"]}"#);
    assert_eq!(recent, json(r#"{"removed":[2],"torrents":[{"id":1}]}"#));
    let all = legacy(&mut fake, "torrent-get", r#"{"fields":["id"]}"#);
    assert_eq!(all.get("removed"), None);
}

#[test]
fn either_spelling_is_taken_and_the_envelope_chooses_the_answer() {
    let mut fake = Fake::new();
    let fields =
        r#"{"fields":["total_size","totalSize","download_dir","downloadDir","peer-limit","noSuchField"]}"#;
    let old = legacy(&mut fake, "torrent_get", fields);
    let expected = r#"{"totalSize":4194304,"downloadDir":"/srv/l23291/down","peer-limit":50}"#;
    assert_eq!(old.get("torrents"), Some(&Value::List(vec![json(expected)])));
    let new = modern(&mut fake, "torrent-get", fields);
    let expected = r#"{"total_size":4194304,"download_dir":"/srv/l23291/down","peer_limit":50}"#;
    assert_eq!(new.get("torrents"), Some(&Value::List(vec![json(expected)])));
    let table = legacy(&mut fake, "torrent-get", r#"{"fields":["is_private","wanted"],"format":"table"}"#);
    assert_eq!(table, json(r#"{"torrents":[["isPrivate","wanted"],[false,[1,1]]]}"#));
    let table = modern(&mut fake, "torrent_get", r#"{"fields":["isPrivate","wanted"],"format":"table"}"#);
    assert_eq!(table, json(r#"{"torrents":[["is_private","wanted"],[false,[true,true]]]}"#));
    let session =
        legacy(&mut fake, "session-get", r#"{"fields":["cache_size_mib","seedRatioLimit","nope"]}"#);
    assert_eq!(session, json(r#"{"cache-size-mb":1,"seedRatioLimit":2}"#));
}

#[test]
fn what_is_dear_is_asked_for_once_and_only_if_a_field_needs_it() {
    let mut fake = Fake::new();
    let cheap =
        r#"{"fields":["id","name","trackers","trackerList","files-wanted","percentDone","peersFrom"]}"#;
    legacy(&mut fake, "torrent-get", cheap);
    assert_eq!(fake.asked.get(), [0; 4]);
    let dear =
        r#"{"fields":["files","fileStats","wanted","priorities","bytesCompleted","pieces","availability"]}"#;
    legacy(&mut fake, "torrent-get", dear);
    assert_eq!(fake.asked.get(), [1, 1, 0, 0]);
    legacy(&mut fake, "torrent-get", r#"{"fields":["peers","trackerStats"]}"#);
    assert_eq!(fake.asked.get(), [1, 1, 1, 1]);
}

#[test]
fn states_are_spelled_as_numbers() {
    let mut fake = Fake::new();
    let view = &mut fake.torrents[0].view;
    view.status = Status::VerifyQueued;
    view.trouble = Trouble::Local("the disk is full".into());
    (view.eta, view.eta_idle) = (Eta::Unknown, Eta::Seconds(5));
    (view.uploaded, view.left) = (view.wanted / 2, 0);
    view.settings.bandwidth_priority = Priority::Low;
    view.settings.seed_ratio_mode = LimitMode::Unlimited;
    view.next_manual_announce = 9;
    let fields = "status error errorString eta etaIdle uploadRatio percentDone bandwidthPriority seedRatioMode manualAnnounceTime";
    let names: Vec<String> = fields.split(' ').map(|name| format!("\"{name}\"")).collect();
    let arguments = format!(r#"{{"fields":[{}],"format":"table"}}"#, names.join(","));
    let table = legacy(&mut fake, "torrent-get", &arguments);
    let row = json(r#"[1,3,"the disk is full",-2,5,0.5,1,-1,2,9]"#);
    assert_eq!(table.get("torrents").unwrap().as_list().unwrap()[1], row);
    // Without metadata nothing is done, and no ratio can be told.
    let view = &mut fake.torrents[0].view;
    (view.uploaded, view.wanted) = (0, 0);
    let facts = std::sync::Arc::make_mut(&mut view.facts);
    (facts.size, facts.piece_count) = (0, 0);
    facts.files.clear();
    let fields =
        r#"{"fields":["percentDone","percentComplete","uploadRatio","primary-mime-type"],"format":"table"}"#;
    let table = legacy(&mut fake, "torrent-get", fields);
    assert_eq!(
        table.get("torrents").unwrap().as_list().unwrap()[1],
        json(r#"[0,0,-1,"application/octet-stream"]"#)
    );
}

#[test]
fn peers_are_told_with_an_address_that_parses() {
    let mut fake = Fake::new();
    let peer = &mut fake.torrents[0].peers[0];
    peer.address = "[::ffff:192.0.2.1]:7".parse().unwrap();
    (peer.is_utp, peer.is_optimistic, peer.is_incoming, peer.source) = (true, true, true, PeerSource::Dht);
    (peer.is_sending, peer.is_receiving, peer.interested_in_us, peer.choked_by_us) =
        (false, false, true, false);
    let got = legacy(&mut fake, "torrent-get", r#"{"fields":["peers"]}"#);
    let peer =
        &got.get("torrents").unwrap().as_list().unwrap()[0].get("peers").unwrap().as_list().unwrap()[0];
    assert_eq!(peer.get("address"), Some(&Value::Text("192.0.2.1".into())));
    assert_eq!(peer.get("flagStr"), Some(&Value::Text("TOduEHI".into())));
}

#[test]
fn torrents_are_changed_as_asked() {
    let mut fake = Fake::with(2);
    let arguments = r#"{"ids":[1],"labels":[" one ","two","one"],"downloadLimit":5,"downloadLimited":1,
        "seedRatioMode":1,"seedRatioLimit":1.25,"seedIdleMode":9,"seedIdleLimit":"15","queuePosition":0,
        "honorsSessionLimits":false,"bandwidthPriority":-1,"peer-limit":100.0,"files-unwanted":[],"files-wanted":[1],
        "priority-high":[0],"group":"g","noSuchKey":1,"uploadLimit":-1}"#;
    legacy(&mut fake, "torrent-set", arguments);
    let settings = TorrentSettingsChange {
        labels: Some(vec!["one".into(), "two".into()]),
        download_limit: Some(5),
        download_limited: Some(true),
        seed_ratio_mode: Some(LimitMode::Own),
        seed_ratio_limit: Some(1.25),
        honors_session_limits: Some(false),
        bandwidth_priority: Some(Priority::Low),
        peer_limit: Some(100),
        group: Some("g".into()),
        ..TorrentSettingsChange::default()
    };
    let files = FilesChange { unwanted: vec![0, 1], wanted: vec![1], priorities: vec![(0, Priority::High)] };
    let change = TorrentChange { settings, files, queue_position: Some(0), trackers: None, location: None };
    assert_eq!(fake.commands, [Command::Set(1, Box::new(change))]);
    let got = legacy(&mut fake, "torrent-get", r#"{"ids":1,"fields":["labels","wanted","priorities"]}"#);
    let expected = r#"{"torrents":[{"labels":["one","two"],"wanted":[0,1],"priorities":[1,0]}]}"#;
    assert_eq!(got, json(expected));
    // All are checked before the first is changed; nothing to change is no command.
    fake.commands.clear();
    fake.torrents[1].view.facts =
        std::sync::Arc::new(TorrentFacts { files: Vec::new(), ..(*fake.torrents[1].view.facts).clone() });
    let reply = reply(&mut fake, r#"{"method":"torrent-set","arguments":{"files-wanted":[1],"group":"h"}}"#);
    assert_eq!(reply.get("result"), Some(&Value::Text("file index out of range".into())));
    legacy(&mut fake, "torrent-set", r#"{"noSuchKey":1}"#);
    assert!(fake.commands.is_empty());
}

#[test]
fn torrents_are_added_as_asked() {
    let mut fake = Fake::new();
    let hash = "00112233445566778899aabbccddeeff00112233";
    let arguments = format!(
        r#"{{"filename":"magnet:?xt=urn:btih:{hash}","download-dir":"/srv/x","paused":true,"labels":["x"],
        "files-unwanted":[1,99],"priority-high":[0],"peer-limit":9,"bandwidthPriority":1,"sequential_download":true}}"#
    );
    let added = legacy(&mut fake, "torrent-add", &arguments);
    let expected = format!(r#"{{"torrent-added":{{"hashString":"{hash}","id":2,"name":"added"}}}}"#);
    assert_eq!(added, json(&expected));
    let add = Add {
        download_dir: Some("/srv/x".into()),
        paused: Some(true),
        settings: TorrentSettingsChange {
            labels: Some(vec!["x".into()]),
            peer_limit: Some(9),
            bandwidth_priority: Some(Priority::High),
            sequential_download: Some(true),
            ..TorrentSettingsChange::default()
        },
        files: FilesChange {
            unwanted: vec![1, 99],
            wanted: Vec::new(),
            priorities: vec![(0, Priority::High)],
        },
        ..Add::new(Source::Magnet(format!("magnet:?xt=urn:btih:{hash}")))
    };
    assert_eq!(fake.commands, [Command::Add(Box::new(add))]);
    let again = modern(&mut fake, "torrent_add", &format!(r#"{{"filename":"{hash}"}}"#));
    let expected = format!(r#"{{"torrent_duplicate":{{"hash_string":"{hash}","id":2,"name":"added"}}}}"#);
    assert_eq!(again, json(&expected));
    let sources = [
        (r#"{"metainfo":"Zm9v\r\nYmFy","filename":""}"#, Source::Metainfo(b"foobar".to_vec())),
        (
            r#"{"filename":"https://h/x","cookies":"a=b; c=d"}"#,
            Source::Url { url: "https://h/x".into(), cookies: "a=b; c=d".into() },
        ),
        (r#"{"filename":"/srv/x.torrent"}"#, Source::Path("/srv/x.torrent".into())),
    ];
    for (arguments, source) in sources {
        fake.commands.clear();
        reply(&mut fake, &format!(r#"{{"method":"torrent-add","arguments":{arguments}}}"#));
        assert_eq!(fake.commands, [Command::Add(Box::new(Add::new(source)))], "{arguments}");
    }
}

#[test]
fn the_session_is_changed_as_asked() {
    let mut fake = Fake::new();
    let arguments = r#"{"speed-limit-down":321,"speed-limit-down-enabled":true,"noSuchKey":1,"version":"9",
        "seedRatioLimit":0.5,"encryption":"tolerated","peer-port":70000,"alt-speed-up":"x","cache-size-mb":4,
        "download-dir":"/srv/y","preferred_transports":["utp"],
        "script-torrent-done-enabled":true,"script-torrent-done-filename":"/bin/sh"}"#;
    legacy(&mut fake, "session-set", arguments);
    let change = SettingsChange {
        speed_limit_down: Some(321),
        speed_limit_down_enabled: Some(true),
        seed_ratio_limit: Some(0.5),
        encryption: Some(Encryption::Allowed),
        cache_size_mib: Some(4),
        download_dir: Some("/srv/y".into()),
        utp_enabled: Some(true),
        tcp_enabled: Some(false),
        ..SettingsChange::default()
    };
    assert_eq!(fake.commands, [Command::SetSession(Box::new(change))]);
    let fields = r#"{"fields":["encryption","preferred_transports","script_torrent_done_filename"]}"#;
    let old = legacy(&mut fake, "session-get", fields);
    let expected =
        r#"{"encryption":"tolerated","preferred_transports":["utp"],"script-torrent-done-filename":""}"#;
    assert_eq!(old, json(expected));
    let new = modern(&mut fake, "session_get", r#"{"fields":["encryption"]}"#);
    assert_eq!(new, json(r#"{"encryption":"allowed"}"#));
    // One wrong setting, and none is changed; nothing to change is no command.
    fake.commands.clear();
    reply(&mut fake, r#"{"method":"session-set","arguments":{"alt-speed-up":1,"download-dir":"x"}}"#);
    legacy(&mut fake, "session-set", r#"{"version":"9","script-torrent-done-filename":"/bin/sh"}"#);
    assert!(fake.commands.is_empty());
}

#[test]
fn the_other_methods_reach_the_backend() {
    let mut fake = Fake::with(2);
    for method in [
        "torrent-start",
        "torrent-start-now",
        "torrent-stop",
        "torrent-verify",
        "torrent-reannounce",
        "queue-move-top",
        "queue-move-up",
        "queue-move-down",
        "queue-move-bottom",
    ] {
        assert_eq!(legacy(&mut fake, method, r#"{"ids":[2]}"#), json("{}"), "{method}");
    }
    let ids = || vec![2];
    let queue = |to| Command::Queue(vec![2], to);
    let expected = [
        Command::Start(ids()),
        Command::StartNow(ids()),
        Command::Stop(ids()),
        Command::Verify(ids()),
        Command::Reannounce(ids()),
        queue(QueueMove::Top),
        queue(QueueMove::Up),
        queue(QueueMove::Down),
        queue(QueueMove::Bottom),
    ];
    assert_eq!(std::mem::take(&mut fake.commands), expected);
    legacy(&mut fake, "torrent-set-location", r#"{"ids":2,"location":"/srv/z","move":true}"#);
    let renamed =
        legacy(&mut fake, "torrent-rename-path", r#"{"ids":[1],"path":"big/one.bin","name":"q.bin"}"#);
    assert_eq!(renamed, json(r#"{"id":1,"name":"q.bin","path":"big/one.bin"}"#));
    legacy(&mut fake, "torrent-rename-path", r#"{"ids":[1],"path":"big","name":"small"}"#);
    assert_eq!(legacy(&mut fake, "blocklist-update", "{}"), json(r#"{"blocklist-size":7}"#));
    legacy(&mut fake, "session-close", "{}");
    let rename = |path: &str, name: &str| Command::Rename { id: 1, path: path.into(), name: name.into() };
    let expected = [
        Command::Move { ids: vec![2], to: "/srv/z".into(), data: true },
        rename("big/one.bin", "q.bin"),
        rename("big", "small"),
        Command::UpdateBlocklist,
        Command::Close,
    ];
    assert_eq!(std::mem::take(&mut fake.commands), expected);
    assert_eq!(legacy(&mut fake, "port-test", "{}"), json(r#"{"port-is-open":true}"#));
    let open = modern(&mut fake, "port_test", r#"{"ip_protocol":"ipv4"}"#);
    assert_eq!(open, json(r#"{"ip_protocol":"ipv4","port_is_open":true}"#));
}

#[test]
fn groups_are_made_and_listed() {
    let mut fake = Fake::new();
    legacy(&mut fake, "group-set", r#"{"name":" g ","speed-limit-up":7,"speed-limit-up-enabled":true}"#);
    modern(&mut fake, "group_set", r#"{"name":"h","honors_session_limits":false}"#);
    let g = r#"{"honorsSessionLimits":true,"name":"g","speed-limit-down":0,"speed-limit-down-enabled":false,
        "speed-limit-up":7,"speed-limit-up-enabled":true}"#;
    assert_eq!(
        legacy(&mut fake, "group-get", r#"{"name":"g"}"#).get("group"),
        Some(&Value::List(vec![json(g)]))
    );
    let count = |fake: &mut Fake, params| {
        modern(fake, "group_get", params).get("group").unwrap().as_list().unwrap().len()
    };
    assert_eq!(count(&mut fake, "{}"), 2);
    assert_eq!(count(&mut fake, r#"{"name":["h","none"]}"#), 1);
    assert_eq!(count(&mut fake, r#"{"name":"none"}"#), 0);
}

/// What a socket does: it takes bytes and may fail at any time.
struct Sink {
    bytes: usize,
    largest: usize,
    fails_at: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        self.largest = self.largest.max(bytes.len());
        if self.bytes > self.fails_at { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_long_answer_is_written_in_small_pieces_and_ends_with_the_connection() {
    let mut fake = Fake::with(200);
    let body =
        br#"{"method":"torrent-get","arguments":{"fields":["files","peers","trackerStats","magnetLink"]}}"#;
    let mut sink = Sink { bytes: 0, largest: 0, fails_at: usize::MAX };
    assert_eq!(rpc::answer(body, &mut fake, &mut sink).unwrap(), Sent::Body);
    assert!(sink.bytes > 200_000 && sink.largest < 1_000, "{} {}", sink.bytes, sink.largest);
    fake.asked.set([0; 4]);
    let mut sink = Sink { bytes: 0, largest: 0, fails_at: 5_000 };
    let error = rpc::answer(body, &mut fake, &mut sink).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(fake.asked.get()[2] < 10, "it goes on for a client that is gone");
}
