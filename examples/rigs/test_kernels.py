import os
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../clients/python"))
from vfio_host import VfioHost, VfioHostError  # noqa: E402

URL = os.environ.get("VFIO_HOST_URL", "http://127.0.0.1:8080")
KERNELS = [kernel["version"] for kernel in VfioHost(URL).get_kernels()["kernels"]]


def unmapped(kernel, on_dma_unmap):
    """What an unmap of sixteen pages comes to, of which the driver has pinned one."""
    mapping = {"iova": 0x10000, "vaddr": 0, "size": 0x10000, "flags": ["read", "write"]}
    pin = {"iova": 0x15000, "npage": 1, "prot": ["read"]}
    device = {"driver": {"type": "synthetic", "onDmaUnmap": on_dma_unmap}, "container": "c0", "pins": [pin]}
    with VfioHost(URL, rig=f"py-{on_dma_unmap}-{kernel}") as rig:
        containers = [{"container": "c0", "mappings": [mapping]}]
        rig.setup({"kernel": kernel, "containers": containers, "devices": [device]})
        try:
            return rig.unmap_dma("c0", iova=0x10000, size=0x10000)["size"]
        except VfioHostError as error:
            return error.status


class Kernels(unittest.TestCase):
    def everywhere(self, on_dma_unmap, expected):
        with ThreadPoolExecutor(8) as pool:
            found = dict(zip(KERNELS, pool.map(lambda kernel: unmapped(kernel, on_dma_unmap), KERNELS)))
        self.assertEqual(found, dict.fromkeys(KERNELS, expected))

    def test_a_driver_that_walks_the_range_gives_its_page_back(self):
        self.everywhere("unpin-range", "0x10000")

    def test_a_driver_that_looks_at_the_first_page_only_ends_in_a_splat(self):
        self.everywhere("unpin-first-page", 409)


if __name__ == "__main__":
    unittest.main()
