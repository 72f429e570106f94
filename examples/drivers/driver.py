"""A mediated device's driver in a process of its own: python3 driver.py [ANSWER]. Standard library only.

    POST /map {"device", "iova"}                          its guest wants a page: the driver pins it, once
    POST /    {"call", "device", "iova", "length", ...}   vfio-host calls its dma_unmap

The first line it prints is its URL, for the device's {"type": "webhook", "url": ...}. Ends on SIGTERM.
VFIO_HOST_URL: the vfio-host that calls it (default http://127.0.0.1:8080); RIG: its rig there (default "default").
"""

import json
import os
import signal
import sys
import threading
import urllib.request
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST_URL = os.environ.get("VFIO_HOST_URL", "http://127.0.0.1:8080")
RIG = os.environ.get("RIG", "default")
PAGE = 4096

# What the driver holds: the addresses of its pinned pages, by device.
pinned = defaultdict(set)


def walk(pages, start, end):
    """Right, as GVT-g: every page it holds in the range, wherever in the range it lies."""
    return [page for page in pages if start <= page < end]


def first_page(pages, start, end):
    """Wrong, as vfio-ccw was posted: looks whether it holds the first page, and only then lets everything go."""
    return list(pages) if start in pages else []


def one_page(pages, start, end):
    """Wrong, as vfio-ap up to 6.1: unpins one page at the start, whether it holds that page or not."""
    return [start]


def nothing(pages, start, end):
    """Wrong: a driver that has a dma_unmap and nothing in it."""
    return []


ANSWERS = {"walk": walk, "first-page": first_page, "one-page": one_page, "nothing": nothing}


def dma_unmap(answer, call):
    """What it returns is unpinned before vfio-host takes the callback as returned."""
    pages = pinned[call["device"]]
    start = int(call["iova"], 16)
    going = answer(pages, start, start + int(call["length"], 16))
    pages.difference_update(going)
    return {"unpin": [{"iova": hex(page), "npage": 1} for page in sorted(going)]}


def map_page(call):
    """vfio_pin_pages."""
    device, page = call["device"], int(call["iova"], 16) // PAGE * PAGE
    if page not in pinned[device]:
        body = {"iova": hex(page), "npage": 1, "prot": ["read", "write"]}
        request = urllib.request.Request(
            f"{HOST_URL}/v1/devices/{device}/pin-pages",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", "x-rig": RIG},
        )
        with urllib.request.urlopen(request) as response:
            response.read()
        pinned[device].add(page)
    return {"device": device, "pinned": [hex(page) for page in sorted(pinned[device])]}


def serve(answer):
    """Serves until SIGTERM."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            call = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = 200, {}
            try:
                if self.path == "/":
                    body = dma_unmap(answer, call)
                elif self.path == "/map":
                    body = map_page(call)
                else:
                    status = 404
            except Exception as error:
                status, body = 500, {"error": str(error)}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "walk"
    if name not in ANSWERS:
        sys.exit(f"usage: python3 driver.py [{' | '.join(ANSWERS)}]")
    serve(ANSWERS[name])
