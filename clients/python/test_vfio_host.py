"""Run by `npm test` against a service of its own: VFIO_HOST_URL says where it is."""

import os
import unittest

from vfio_host import VfioHost, VfioHostError, WebhookDriver

URL = os.environ.get("VFIO_HOST_URL", "http://127.0.0.1:8080")
RW = ["read", "write"]


class Thread(unittest.TestCase):
    def setUp(self) -> None:
        self.rig = VfioHost(URL, rig=f"python-{self._testMethodName.replace('_', '-')}")
        self.enterContext(self.rig)
        self.rig.reset(kernel="6.1")
        self.rig.open_container(container="c0")

    def enterContext(self, manager):  # unittest has it from Python 3.11 on
        entered = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return entered

    def device(self, driver) -> None:
        self.rig.create_device(device="d0", driver=driver)
        self.rig.attach("c0", device="d0")
        self.rig.map_dma("c0", iova=0x10000, vaddr=0x7F0000000000, size=0x10000, flags=RW)
        self.rig.pin_pages("d0", iova=0x15000, npage=1, prot=RW)

    def test_a_driver_that_looks_at_the_first_page_only(self) -> None:
        self.device({"type": "synthetic", "onDmaUnmap": "unpin-first-page"})
        with self.assertRaises(VfioHostError) as caught:
            self.rig.unmap_dma("c0", iova=0x10000, size=0x10000)
        self.assertTrue(caught.exception.killed)
        self.assertEqual(caught.exception.problem["splat"]["condition"], "++retries > 10")
        self.assertEqual(len(caught.exception.problem["invalidations"]), 11)
        with self.assertRaises(VfioHostError) as caught:
            self.rig.iommu_info("c0")
        self.assertTrue(caught.exception.wedged)
        self.assertEqual(self.rig.wait_for(kind="splat")["splat"]["kind"], "BUG_ON")

    def test_a_driver_in_this_process(self) -> None:
        def answer(callback):
            self.rig.unpin_pages("d0", iova=0x15000, npage=1)

        driver = self.enterContext(WebhookDriver(answer))
        self.device({"type": "webhook", "url": driver.url})
        unmapped = self.rig.unmap_dma("c0", iova=0x10000, size=0x10000)
        self.assertEqual(unmapped["size"], "0x10000")
        self.assertEqual([one["call"] for one in driver.callbacks], ["dma-unmap"])
        self.assertEqual(list(self.rig.every("pins", "c0")), [])

    def test_a_call_that_waits(self) -> None:
        self.device({"type": "synthetic", "onDmaUnmap": "unpin-range", "holdCallbacks": True})
        pending = self.rig.in_the_background(self.rig.unmap_dma, "c0", iova=0x10000, size=0x10000)
        self.assertEqual(len(pending.invalidations), 1)
        self.rig.resume_callbacks("d0")
        self.assertEqual(pending.wait()["size"], "0x10000")

    def test_an_errno(self) -> None:
        with self.assertRaises(VfioHostError) as caught:
            self.rig.map_dma("c0", iova=0, vaddr=0, size=0x1000, flags=RW)
        self.assertEqual(caught.exception.errno, "EINVAL")

    def test_an_address_beyond_what_a_double_holds(self) -> None:
        self.device({"type": "synthetic", "onDmaUnmap": "unpin-range"})
        top = 0xFFFFFFFFFFFFD000
        mapped = self.rig.map_dma("c0", iova=top, vaddr=0, size=0x1000, flags=RW)
        self.assertEqual(int(mapped["iova"], 16), top)

    def test_a_batch(self) -> None:
        answers = self.rig.batch(
            [{"call": "open-container", "container": "c1"}, {"call": "close-container", "container": "c1"}]
        )
        self.assertEqual([one["status"] for one in answers], [200, 200])


class Urls(unittest.TestCase):
    def test_a_bad_url_fails_at_once(self) -> None:
        for url in ["127.0.0.1:8080", "", "ftp://127.0.0.1/"]:
            with self.assertRaises(ValueError):
                VfioHost(url)


if __name__ == "__main__":
    unittest.main()
