import os
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../clients/python"))
from vfio_host import VfioHost, VfioHostError  # noqa: E402

URL = os.environ.get("VFIO_HOST_URL", "http://127.0.0.1:8080")
KERNELS = ["5.10", "6.1", "6.12", "7.2"]
RW = ["read", "write"]


def unmapped(kernel, on_dma_unmap):
    """What an unmap of sixteen pages comes to, of which the driver has pinned one."""
    with VfioHost(URL, rig=f"py-{on_dma_unmap}-{kernel}") as rig:
        rig.reset(kernel=kernel)
        rig.open_container(container="c0")
        rig.create_device(device="d0", driver={"type": "synthetic", "onDmaUnmap": on_dma_unmap})
        rig.attach("c0", device="d0")
        rig.map_dma("c0", iova=0x10000, vaddr=0, size=0x10000, flags=RW)
        rig.pin_pages("d0", iova=0x15000, npage=1, prot=RW)
        try:
            return rig.unmap_dma("c0", iova=0x10000, size=0x10000)["size"]
        except VfioHostError as error:
            return error.problem["splat"]["condition"]


class Kernels(unittest.TestCase):
    def everywhere(self, on_dma_unmap, expected):
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda kernel: unmapped(kernel, on_dma_unmap), KERNELS))
        self.assertEqual(found, [expected] * len(KERNELS))

    def test_a_driver_that_walks_the_range_gives_its_page_back(self):
        self.everywhere("unpin-range", "0x10000")

    def test_a_driver_that_looks_at_the_first_page_only_kills_the_caller(self):
        self.everywhere("unpin-first-page", "++retries > 10")


if __name__ == "__main__":
    unittest.main()
