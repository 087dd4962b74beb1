#!/usr/bin/env python3
"""libtorrent, scripted, for the interoperability suite.

peer.py make OUT PIECE_LENGTH TRACKER PATH      writes a v1 torrent of PATH
peer.py hash FILE...                            prints the info-hash of each torrent, a line each
peer.py run IP PORT DATA [--peer IP PORT]... FILE...
    seeds or downloads the torrents in DATA, or those of magnet links; says 'up', then 'complete NAME' whenever one is complete;
    runs until it is killed
"""
import os
import sys
import warnings

import libtorrent as lt

warnings.simplefilter("ignore")


def make(out, piece_length, tracker, path):
    files = lt.file_storage()
    lt.add_files(files, path)
    torrent = lt.create_torrent(files, int(piece_length), lt.create_torrent.v1_only)
    torrent.add_tracker(tracker)
    lt.set_piece_hashes(torrent, os.path.dirname(os.path.abspath(path)))
    with open(out, "wb") as file:
        file.write(lt.bencode(torrent.generate()))


def run(ip, port, data, *rest):
    peers, files = [], []
    rest = list(rest)
    while rest:
        word = rest.pop(0)
        if word == "--peer":
            peers.append((rest.pop(0), int(rest.pop(0))))
        else:
            files.append(word)
    host = "[%s]" % ip if ":" in ip else ip
    session = lt.session({
        "listen_interfaces": "%s:%s" % (host, port),
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        # TCP and the plain protocol: encryption and uTP are not what is tested here.
        "enable_outgoing_utp": False, "enable_incoming_utp": False, "out_enc_policy": 2, "in_enc_policy": 2,
        "allow_multiple_connections_per_ip": True, "announce_to_all_tiers": True, "announce_to_all_trackers": True,
        "min_reconnect_time": 1, "min_announce_interval": 2, "ssrf_mitigation": False,
        "active_limit": -1, "active_seeds": -1, "active_downloads": -1,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification
        | lt.alert.category_t.tracker_notification | lt.alert.category_t.connect_notification
        | lt.alert.category_t.storage_notification,
    })
    handles = []
    for file in files:
        if file.startswith("magnet:"):
            params = lt.parse_magnet_uri(file)
        else:
            params = lt.add_torrent_params()
            params.ti = lt.torrent_info(file)
        params.save_path = data
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(params)
        handles.append(handle)
        for peer in peers:
            handle.connect_peer(peer)
    print("up", flush=True)
    flushed = set()
    while True:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            print("%s: %s" % (alert.what(), alert.message()), file=sys.stderr, flush=True)
            if isinstance(alert, lt.cache_flushed_alert):
                print("complete %s" % alert.handle.status().name, flush=True)
        for handle in handles:
            # It calls itself complete while blocks still wait in its write cache.
            status = handle.status()
            if status.is_seeding and status.name not in flushed:
                flushed.add(status.name)
                handle.flush_cache()


if sys.argv[1] == "make":
    make(*sys.argv[2:])
elif sys.argv[1] == "hash":
    for file in sys.argv[2:]:
        print(lt.torrent_info(file).info_hash())
elif sys.argv[1] == "run":
    run(*sys.argv[2:])
else:
    sys.exit(__doc__)
