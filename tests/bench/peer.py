#!/usr/bin/env python3
"""libtorrent as a client of the benchmark, as bare as it comes.

peer.py version
peer.py get DIR PORT TORRENT                 ends when it is complete
peer.py check DIR PORT TORRENT               ends when what is there has been checked
peer.py seed DIR PORT TORRENT...             until it is told to end
peer.py take DIR PORT HOST:PORT TORRENT      downloads from that peer, ends when complete
"""
import sys
import time
import warnings

import libtorrent as lt

warnings.simplefilter("ignore")


def session(port):
    return lt.session({
        "listen_interfaces": "0.0.0.0:%s" % port, "alert_mask": 0,
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        # TCP and the plain protocol, as everyone here.
        "enable_outgoing_utp": False, "enable_incoming_utp": False, "out_enc_policy": 2, "in_enc_policy": 2,
        "allow_multiple_connections_per_ip": True, "connections_limit": 500, "connection_speed": 500,
        "active_limit": -1, "active_seeds": -1, "active_downloads": -1, "active_checking": 1,
        "active_tracker_limit": -1, "ssrf_mitigation": False,
    })


def add(s, dir, file):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(file)
    params.save_path = dir
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return s.add_torrent(params)


def complete(handle):
    while not handle.status().is_seeding:
        time.sleep(0.02)


verb, rest = sys.argv[1], sys.argv[2:]
if verb == "version":
    print(lt.__version__)
elif verb in ("get", "check"):
    s = session(rest[1])
    complete(add(s, rest[0], rest[2]))
elif verb == "seed":
    s = session(rest[1])
    handles = [add(s, rest[0], file) for file in rest[2:]]
    while True:
        time.sleep(3600)
elif verb == "take":
    s = session(rest[1])
    handle = add(s, rest[0], rest[3])
    host, port = rest[2].rsplit(":", 1)
    handle.connect_peer((host, int(port)))
    complete(handle)
else:
    sys.exit(__doc__)
