#!/usr/bin/env python3
"""Puts TLS in front of a tracker, and serves files: tls.py CERT KEY DIRECTORY http://TRACKER. Prints its port.

A request for a file of the directory gets the file, any other one goes on to the tracker as it is.
"""
import http.server
import os
import ssl
import sys
import urllib.request

certificate, key, directory, tracker = sys.argv[1:]


class Front(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = os.path.basename(self.path)
        if name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as file:
                body = file.read()
        else:
            with urllib.request.urlopen(tracker + self.path) as answer:
                body = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
# The handshake belongs to the thread of the connection: one that hangs must not hold up the others.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("port", server.server_address[1], flush=True)
server.serve_forever()
