#!/usr/bin/env python3
"""libtorrent, scripted. For the interoperability suite:

peer.py make OUT PIECE_LENGTH TRACKER PATH [private]
    writes a v1 torrent of PATH, its files in the order of their names, and prints its info-hash
peer.py hash FILE...                            prints the info-hash of each torrent, a line each
peer.py run IP PORT DATA [--peer IP PORT]... [--dht IP PORT] [--pex] [--lsd] [--introduce] WORD...
    seeds or downloads the torrents in DATA, or those of magnet links; says 'up', then 'complete NAME' whenever one is complete;
    runs until it is killed. With --introduce it takes and gives next to nothing, and calls the peers one after the other
peer.py swarm PORT (IPV4 IPV6)...
    nodes of a DHT of their own; says 'up', then 'announced INFO_HASH IP PORT' whenever one is told of a peer; runs until it is killed

For the benchmark, as bare as it comes:

peer.py version
peer.py get DIR PORT TORRENT              ends when it is complete
peer.py check DIR PORT TORRENT            ends when what is there has been checked
peer.py seed DIR PORT TORRENT...          until it is told to end
peer.py take DIR PORT HOST:PORT TORRENT   downloads from that peer, ends when complete
"""
import os
import sys
import time
import warnings

import libtorrent as lt

warnings.simplefilter("ignore")

# Nothing here knows of the world outside.
ALONE = {"enable_upnp": False, "enable_natpmp": False, "dht_bootstrap_nodes": ""}
# TCP and the plain protocol: encryption and uTP are not what is tested here.
PLAIN = {"enable_outgoing_utp": False, "enable_incoming_utp": False, "out_enc_policy": 2, "in_enc_policy": 2}
# All nodes of the DHT are on one machine, and their ids are not made of their addresses.
NEARBY = {
    "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_enforce_node_id": False,
    "dht_prefer_verified_node_ids": False, "dht_ignore_dark_internet": False, "dht_block_ratelimit": 1000,
    "dht_upload_rate_limit": 1000000,
}


def interface(ip, port):
    return "%s:%s" % ("[%s]" % ip if ":" in ip else ip, port)


def make(out, piece_length, tracker, path, private=None):
    path = os.path.abspath(path)
    above = os.path.dirname(path)
    files = lt.file_storage()
    if os.path.isdir(path):
        # lt.add_files takes them as the directory has them.
        inside = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
        for file in sorted(inside, key=lambda file: os.path.relpath(file, above)):
            files.add_file(os.path.relpath(file, above), os.path.getsize(file))
    else:
        lt.add_files(files, path)
    torrent = lt.create_torrent(files, int(piece_length), lt.create_torrent.v1_only)
    if tracker:
        torrent.add_tracker(tracker)
    if private:
        torrent.set_priv(True)
    lt.set_piece_hashes(torrent, above)
    with open(out, "wb") as file:
        file.write(lt.bencode(torrent.generate()))
    print(lt.torrent_info(out).info_hash())


def add(session, data, word, pex=True):
    if word.startswith("magnet:"):
        params = lt.parse_magnet_uri(word)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(word)
    params.save_path = data
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if not pex:
        params.flags |= lt.torrent_flags.disable_pex
    return session.add_torrent(params)


def run(ip, port, data, *rest):
    peers, words, node, pex, lsd, introduce = [], [], None, False, False, False
    rest = list(rest)
    while rest:
        word = rest.pop(0)
        if word == "--peer":
            peers.append((rest.pop(0), int(rest.pop(0))))
        elif word == "--dht":
            node = (rest.pop(0), int(rest.pop(0)))
        elif word == "--pex":
            pex = True
        elif word == "--lsd":
            lsd = True
        elif word == "--introduce":
            introduce = True
        else:
            words.append(word)
    session = lt.session({
        **ALONE, **NEARBY, "listen_interfaces": interface(ip, port), "outgoing_interfaces": ip,
        "enable_dht": node is not None, "enable_lsd": lsd,
        **PLAIN,
        "allow_multiple_connections_per_ip": True, "announce_to_all_tiers": True, "announce_to_all_trackers": True,
        "min_reconnect_time": 1, "max_failcount": 100, "min_announce_interval": 2, "ssrf_mitigation": False,
        "active_limit": -1, "active_seeds": -1, "active_downloads": -1,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification
        | lt.alert.category_t.tracker_notification | lt.alert.category_t.connect_notification
        | lt.alert.category_t.storage_notification | lt.alert.category_t.peer_notification,
    })
    if introduce:
        # It knows no limit for its own network unless everyone is in the one class for all.
        every = lt.ip_filter()
        everyone = 1 << int(lt.session.global_peer_class_id)
        every.add_rule("0.0.0.0", "255.255.255.255", everyone)
        every.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", everyone)
        session.set_peer_class_filter(every)
        session.apply_settings({"download_rate_limit": 1024, "upload_rate_limit": 1024})
    if node:
        session.add_dht_node(node)
    handles = []
    for word in words:
        handle = add(session, data, word, pex)
        handles.append(handle)
        if not introduce:
            for peer in peers:
                handle.connect_peer(peer)
    print("up", flush=True)
    flushed, called = set(), 0
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
        if introduce and called < len(peers):
            known = handles[0].get_peer_info()
            met = [peer for peer in known if not peer.flags & (lt.peer_info.handshake | lt.peer_info.connecting)]
            if len(met) >= called:
                handles[0].connect_peer(peers[called])
                called += 1


def swarm(port, *addresses):
    pairs = list(zip(addresses[::2], addresses[1::2]))
    sessions = []
    for pair in pairs:
        settings = {
            **ALONE, **NEARBY, "listen_interfaces": ",".join(interface(ip, port) for ip in pair), "enable_dht": True,
            "enable_lsd": False, "enable_outgoing_utp": False, "enable_incoming_utp": False, "aio_threads": 1,
            "alert_mask": lt.alert.category_t.dht_notification,
        }
        sessions.append(lt.session(settings))
    for _ in range(3):
        for session, own in zip(sessions, pairs):
            for pair in pairs:
                if pair is not own:
                    for ip in pair:
                        session.add_dht_node((ip, int(port)))
        time.sleep(0.5)
    print("up", flush=True)
    while True:
        for session in sessions:
            for alert in session.pop_alerts():
                if isinstance(alert, lt.dht_announce_alert):
                    print("announced %s %s %s" % (alert.info_hash, alert.ip, alert.port), flush=True)
        time.sleep(0.1)


def bare(port):
    return lt.session({
        **PLAIN, "listen_interfaces": "0.0.0.0:%s" % port, "alert_mask": 0,
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True, "connections_limit": 500, "connection_speed": 500,
        "active_limit": -1, "active_seeds": -1, "active_downloads": -1, "active_checking": 1,
        "active_tracker_limit": -1, "ssrf_mitigation": False,
    })


def complete(handle):
    while not handle.status().is_seeding:
        time.sleep(0.02)


def get(data, port, file):
    session = bare(port)
    complete(add(session, data, file))


def seed(data, port, *files):
    session = bare(port)
    _handles = [add(session, data, file) for file in files]
    while True:
        time.sleep(3600)


def take(data, port, peer, file):
    session = bare(port)
    handle = add(session, data, file)
    host, port = peer.rsplit(":", 1)
    handle.connect_peer((host, int(port)))
    complete(handle)


def hashes(*files):
    for file in files:
        print(lt.torrent_info(file).info_hash())


VERBS = {
    "make": make, "hash": hashes, "run": run, "swarm": swarm,
    "get": get, "check": get, "seed": seed, "take": take, "version": lambda: print(lt.__version__),
}
if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
    sys.exit(__doc__)
VERBS[sys.argv[1]](*sys.argv[2:])
