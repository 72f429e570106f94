# Generated from openapi.json by `npm run openapi`; do not edit.
"""Every operation of vfio-host's HTTP API as a method."""

from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Union
from urllib.parse import quote

try:
    from typing import Literal
except ImportError:  # Python 3.7
    from typing_extensions import Literal  # type: ignore

Address = Union[int, str]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()


def _given(**fields: Any) -> Dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not UNSET}


def _part(value: str) -> str:
    return quote(value, safe="")


class Operations:
    """The operations; a subclass makes the requests."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        lines: Optional[Iterable[Mapping[str, Any]]] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        raise NotImplementedError

    def get_health(
        self,
    ) -> Any:
        """Alive. For liveness probes: it answers as long as the process does."""
        return self.request(
            "GET",
            "/health",
        )

    def metrics(
        self,
    ) -> Any:
        """Metrics as Prometheus text. Requests, calls, callbacks, splats and rigs as Prometheus
        text.
        """
        return self.request(
            "GET",
            "/metrics",
        )

    def get_ready(
        self,
    ) -> Any:
        """Ready for calls. For readiness probes."""
        return self.request(
            "GET",
            "/ready",
        )

    def get_v1(
        self,
    ) -> Any:
        """What this is. The rig this request is for: its kernel, parameters, limits, taint and how
        much is in it.
        """
        return self.request(
            "GET",
            "/v1",
        )

    def ap_bind_queue(
        self,
        *,
        apqn: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Binds a queue to the vfio_ap driver."""
        return self.request(
            "POST",
            "/v1/ap-bind-queue",
            body=_given(apqn=apqn, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_bus_scan(
        self,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The AP bus scans: what was configured since the last scan appears or goes."""
        return self.request(
            "POST",
            "/v1/ap-bus-scan",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_guest_aiv(
        self,
        *,
        guest: Address,
        present: bool,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Whether a guest has the adapter-interruption facility."""
        return self.request(
            "POST",
            "/v1/ap-guest-aiv",
            body=_given(guest=guest, present=present, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_guest_crycb(
        self,
        *,
        guest: Address,
        present: bool,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Whether a guest has a crypto control block."""
        return self.request(
            "POST",
            "/v1/ap-guest-crycb",
            body=_given(guest=guest, present=present, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_guest_memory_slots(
        self,
        *,
        guest: Address,
        present: bool,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Whether a guest has memory slots: without them its notification byte has no address."""
        return self.request(
            "POST",
            "/v1/ap-guest-memory-slots",
            body=_given(guest=guest, present=present, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_guest_protected(
        self,
        *,
        guest: Address,
        present: bool,
        nib_shared: bool = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Whether a guest is protected (secure execution), and shares its notification byte with
        the host.
        """
        return self.request(
            "POST",
            "/v1/ap-guest-protected",
            body=_given(**{"guest": guest, "present": present, "nibShared": nib_shared, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_host_adapter(
        self,
        *,
        adapter: int,
        configured: bool,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Configures an adapter of the host on or off."""
        return self.request(
            "POST",
            "/v1/ap-host-adapter",
            body=_given(adapter=adapter, configured=configured, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_unbind_queue(
        self,
        *,
        apqn: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Unbinds a queue from the vfio_ap driver."""
        return self.request(
            "POST",
            "/v1/ap-unbind-queue",
            body=_given(apqn=apqn, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def batch(
        self,
        lines: Iterable[Mapping[str, Any]],
    ) -> Any:
        """Calls as NDJSON, answered as NDJSON, streamed, in order. Each line is a call with its
        arguments and, where it is made on something, that thing’s id. The answers come in the
        order of the calls, one a line, while later calls are still being sent. A call with
        `async: NAME` is not waited for; `{"call": "await", "of": NAME}` is its answer; with
        `timeoutMs` it is 202 again where the call goes on when so many milliseconds of the
        host’s own time have passed. A batch that the service ends (nothing more came in time,
        it has too many lines, the service stops) says so in its last line, which has `ended:
        true`: every line before that has its answer, and no call of a line that has none was
        made.
        """
        return self.request(
            "POST",
            "/v1/batch",
            lines=lines,
        )

    def list_calls(
        self,
    ) -> Any:
        """Every call: what it is made on, its arguments, its REST form, its traits. The one
        vocabulary of REST, batch, traces and journal, for whoever is not compiled with it.
        """
        return self.request(
            "GET",
            "/v1/calls",
        )

    def compare(
        self,
        body: Mapping[str, Any],
    ) -> Any:
        """A trace on several kernels: the steps that differ, and why. Runs the trace on a fresh
        host of each kernel and lists the steps that are not answered alike, with the reasons.
        """
        return self.request(
            "POST",
            "/v1/compare",
            body=body,
        )

    def list_containers(
        self,
        *,
        limit: str = UNSET,
        after: str = UNSET,
    ) -> Any:
        """List containers. The containers of the rig in the order in which they were made, a page
        at a time.
        """
        return self.request(
            "GET",
            "/v1/containers",
            query=_given(limit=limit, after=after),
        )

    def open_container(
        self,
        *,
        container: str = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Opens /dev/vfio/vfio: a container without groups and without an IOMMU. The process that
        opens it is the one whose memory its mappings are of.
        """
        return self.request(
            "POST",
            "/v1/containers",
            body=_given(container=container, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def close_container(
        self,
        container: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Closes the container’s file. The object lives on while groups are attached; with the
        last of them its mappings and pins go.
        """
        return self.request(
            "DELETE",
            f"/v1/containers/{_part(container)}",
            query=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_container(
        self,
        container: str,
    ) -> Any:
        """One container. A container as it is now."""
        return self.request(
            "GET",
            f"/v1/containers/{_part(container)}",
        )

    def attach(
        self,
        container: str,
        *,
        device: str,
        guest: Union[int, str, None] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Attach: open-group, set-container, set-iommu, open-device. The usual way to get a device
        into a container: open-group, set-container, set-iommu type1v2 unless one is set,
        open-device. All of them, or none.
        """
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/attach",
            body=_given(device=device, guest=guest, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def check_extension(
        self,
        container: str,
        *,
        extension: Address,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_CHECK_EXTENSION: whether an extension is supported; 0 or a positive value."""
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/check-extension",
            body=_given(extension=extension, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def detach(
        self,
        container: str,
        *,
        device: str,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Detach: close-device, unset-container, close-group. The way back: close-device,
        unset-container, close-group. It stops at the first that is refused.
        """
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/detach",
            body=_given(device=device, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def dirty_flags(
        self,
        container: str,
        *,
        flags: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_DIRTY_PAGES with any flags word, to see how it is refused."""
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/dirty-flags",
            body=_given(flags=flags, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def dirty_get(
        self,
        container: str,
        *,
        iova: Address,
        size: Address,
        page_size: Address,
        bitmap_size: Address = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_DIRTY_PAGES with GET_BITMAP: which pages of mappings in the range are dirty;
        they count as clean afterwards.
        """
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/dirty-get",
            body=_given(**{"iova": iova, "size": size, "pageSize": page_size, "bitmapSize": bitmap_size, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def dirty_start(
        self,
        container: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_DIRTY_PAGES with START: what is pinned or written from now on counts as
        dirty.
        """
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/dirty-start",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def dirty_stop(
        self,
        container: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_DIRTY_PAGES with STOP: no more tracking, the bitmaps are freed."""
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/dirty-stop",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def iommu_info(
        self,
        container: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_GET_INFO: page sizes, IOVA ranges, how many more mappings may be made, and
        what dirty tracking offers.
        """
        return self.request(
            "GET",
            f"/v1/containers/{_part(container)}/iommu-info",
            query=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def map_dma(
        self,
        container: str,
        *,
        iova: Address,
        vaddr: Address,
        size: Address,
        flags: Union[int, Sequence[Union[Literal["read"], Literal["write"], Literal["vaddr"]]]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_MAP_DMA: maps [vaddr, vaddr+size) of the process at [iova, iova+size). With
        an IOMMU-backed device its pages are pinned at once; for mdevs not before a driver pins
        them.
        """
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/map-dma",
            body=_given(iova=iova, vaddr=vaddr, size=size, flags=flags, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def list_mappings(
        self,
        container: str,
        *,
        limit: str = UNSET,
        after: str = UNSET,
    ) -> Any:
        """Mappings of a container, by IOVA. A page of the container’s mappings; each page is as of
        its own moment.
        """
        return self.request(
            "GET",
            f"/v1/containers/{_part(container)}/mappings",
            query=_given(limit=limit, after=after),
        )

    def list_pins(
        self,
        container: str,
        *,
        limit: str = UNSET,
        after: str = UNSET,
    ) -> Any:
        """Pins of a container, by IOVA. A page of the container’s pins; each page is as of its own
        moment.
        """
        return self.request(
            "GET",
            f"/v1/containers/{_part(container)}/pins",
            query=_given(limit=limit, after=after),
        )

    def set_iommu(
        self,
        container: str,
        *,
        type: Union[str, int, Literal["type1"], Literal["type1v2"], Literal["type1-nesting"]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_SET_IOMMU: chooses the IOMMU type. A group must be attached; it can be done once."""
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/set-iommu",
            body=_given(type=type, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def unmap_dma(
        self,
        container: str,
        *,
        iova: Address,
        size: Address,
        flags: Union[int, Sequence[Union[Literal["get-dirty-bitmap"], Literal["all"], Literal["vaddr"]]]] = UNSET,
        page_size: Address = UNSET,
        bitmap_size: Address = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_IOMMU_UNMAP_DMA: removes the mappings in [iova, iova+size). Drivers are called back
        for a mapping that has pins, again and again until they are gone; after eleven visits
        the kernel gives up with BUG_ON.
        """
        return self.request(
            "POST",
            f"/v1/containers/{_part(container)}/unmap-dma",
            body=_given(**{"iova": iova, "size": size, "flags": flags, "pageSize": page_size, "bitmapSize": bitmap_size, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def list_devices(
        self,
        *,
        limit: str = UNSET,
        after: str = UNSET,
    ) -> Any:
        """List devices. The devices of the rig in the order in which they were made, a page at a
        time.
        """
        return self.request(
            "GET",
            "/v1/devices",
            query=_given(limit=limit, after=after),
        )

    def create_device(
        self,
        *,
        device: str = UNSET,
        kind: Union[Literal["mdev"], Literal["vfio-pci"], Literal["noiommu"]] = UNSET,
        driver: Dict[str, Any] = UNSET,
        group: str = UNSET,
        bound_to: Union[Literal["vfio-pci"], Literal["none"], Literal["pci-stub"], Literal["other"]] = UNSET,
        iommu: Union[Union[Literal["intel-39"], Literal["intel-48"], Literal["intel-57"], Literal["amd"], Literal["arm-smmu"], Literal["virtio"]], Dict[str, Any]] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Makes a device and, unless `group` names one, a group for it: an mdev with a driver, or
        a device bound to vfio-pci behind an IOMMU.
        """
        return self.request(
            "POST",
            "/v1/devices",
            body=_given(**{"device": device, "kind": kind, "driver": driver, "group": group, "boundTo": bound_to, "iommu": iommu, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def remove_device(
        self,
        device: str,
        *,
        if_open: Union[Literal["wait"], Literal["refuse"]] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Takes the device away. The kernel waits until nobody has it open (5.10: and its group
        left its container), and asks the driver every 10 s; `ifOpen: "refuse"` is EBUSY at
        once.
        """
        return self.request(
            "DELETE",
            f"/v1/devices/{_part(device)}",
            query=_given(**{"ifOpen": if_open, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_device(
        self,
        device: str,
    ) -> Any:
        """One device. A device as it is now."""
        return self.request(
            "GET",
            f"/v1/devices/{_part(device)}",
        )

    def ap_assign(
        self,
        device: str,
        *,
        adapter: int = UNSET,
        domain: int = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Assigns an adapter or a domain to the device’s matrix, as its sysfs attribute does."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-assign",
            body=_given(adapter=adapter, domain=domain, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_disable_interrupt(
        self,
        device: str,
        *,
        apqn: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The guest’s PQAP(AQIC) that disables a queue’s interrupts: the driver unpins the page."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-disable-interrupt",
            body=_given(apqn=apqn, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_enable_interrupt(
        self,
        device: str,
        *,
        apqn: int,
        nib: Address,
        isc: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The guest’s PQAP(AQIC) that enables a queue’s interrupts: the driver pins the page of
        the notification byte.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-enable-interrupt",
            body=_given(apqn=apqn, nib=nib, isc=isc, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_inject(
        self,
        device: str,
        *,
        apqn: int,
        instruction: Union[Literal["tapq"], Literal["aqic-enable"], Literal["aqic-disable"], Literal["zapq"], Literal["gisc-register"]],
        responses: Sequence[Union[int, Dict[str, Any]]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """What a queue answers to its next instructions, in place of success."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-inject",
            body=_given(apqn=apqn, instruction=instruction, responses=responses, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_reset(
        self,
        device: str,
        *,
        apqn: int = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_DEVICE_RESET of an AP matrix device: zeroizes its queues, or the one named."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-reset",
            body=_given(apqn=apqn, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_set_guest(
        self,
        device: str,
        *,
        guest: Union[int, str, None],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """KVM_DEV_VFIO_GROUP_ADD or _DEL: the guest that the device’s group is given to; null
        takes it away.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-set-guest",
            body=_given(guest=guest, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ap_unassign(
        self,
        device: str,
        *,
        adapter: int = UNSET,
        domain: int = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Takes an adapter or a domain out of the device’s matrix."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ap-unassign",
            body=_given(adapter=adapter, domain=domain, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def bind_device(
        self,
        device: str,
        *,
        to: Union[Literal["vfio-pci"], Literal["none"], Literal["pci-stub"], Literal["other"]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Binds a device behind an IOMMU to another driver, or to none: what makes its group
        viable or not.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/bind-device",
            body=_given(to=to, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_clear(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Writes CLEAR into the asynchronous command region."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-clear",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_halt(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Writes HALT into the asynchronous command region."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-halt",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_hold(
        self,
        device: str,
        *,
        at: Union[Literal["transient-pin"], Literal["release"]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Makes the driver stop, once, at a place between two steps, until resume-callbacks."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-hold",
            body=_given(at=at, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_inject(
        self,
        device: str,
        *,
        operation: Union[Literal["disable"], Literal["quiesce"], Literal["enable"], Literal["start"], Literal["halt"], Literal["clear"]],
        errno: Union[Literal["EIO"], Literal["EBUSY"], Literal["ENODEV"], Literal["EACCES"]] = UNSET,
        times: int = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """What the subchannel answers to its next instructions, in place of success."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-inject",
            body=_given(operation=operation, errno=errno, times=times, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_interrupt(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The device’s interrupt arrives: the program has ended, the driver’s work gives its pages
        back.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-interrupt",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_no_interrupt(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The I/O region is read although no interrupt came."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-no-interrupt",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_reset(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_DEVICE_RESET of a vfio-ccw device: quiesces the subchannel and gives its pages
        back.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-reset",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_run_work(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Runs the work that the driver has put off, if there is some."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-run-work",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def ccw_start(
        self,
        device: str,
        *,
        program: Address,
        orb: Dict[str, Any] = UNSET,
        function: Union[Literal["start"], Literal["halt"], Literal["clear"], Literal["none"], Literal["start+halt"]] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Writes the I/O region of a vfio-ccw device: starts a channel program, whose pages the
        driver pins.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/ccw-start",
            body=_given(program=program, orb=orb, function=function, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def close_device(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Closes the device’s file. With the last one the driver closes; pins that it has not
        given back leak.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/close-device",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def close_group(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Closes the group’s file."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/close-group",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def complete_callback(
        self,
        device: str,
        *,
        notify: Union[Literal["NOTIFY_OK"], Literal["NOTIFY_BAD"], Literal["NOTIFY_STOP"]] = UNSET,
        errno: str = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Completes the callback that a `manual` driver (or a webhook) is in, with what it
        returns.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/complete-callback",
            body=_given(notify=notify, errno=errno, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def dma_rw(
        self,
        device: str,
        *,
        iova: Address,
        write: bool,
        length: int = UNSET,
        data: str = UNSET,
        fill: int = UNSET,
        context: Union[Literal["process"], Literal["kthread"]] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """vfio_dma_rw, as a driver makes it: copies from or to the memory behind an IOVA, without
        a pin.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/dma-rw",
            body=_given(iova=iova, write=write, length=length, data=data, fill=fill, context=context, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def group_status(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_GROUP_GET_STATUS: 1 viable, 2 container set."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/group-status",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_map_page(
        self,
        device: str,
        *,
        gfn: Address,
        size: Union[Literal["4K"], Literal["2M"]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The guest writes an entry of its page tables: the driver pins the page, 4 KiB or 2 MiB,
        and gives it a DMA address.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-map-page",
            body=_given(gfn=gfn, size=size, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_pin_page(
        self,
        device: str,
        *,
        dma_addr: Address,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """A dma-buf takes one more reference to a page that has a DMA address."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-pin-page",
            body=_given(**{"dmaAddr": dma_addr, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_reset(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Resets the vGPU: its page tables and its cache of pages go."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-reset",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_run_work(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Runs the release work of the driver of 5.10, if it is due."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-run-work",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_set_guest(
        self,
        device: str,
        *,
        guest: Union[Address, None],
        release: Union[Literal["late"], Literal["begun"]] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The guest that the vGPU’s group is given to; null takes it away."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-set-guest",
            body=_given(guest=guest, release=release, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_unmap_page(
        self,
        device: str,
        *,
        gfn: Address = UNSET,
        dma_addr: Address = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """An entry of the page tables goes: the driver gives a reference to the page back."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-unmap-page",
            body=_given(**{"gfn": gfn, "dmaAddr": dma_addr, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def gvt_unpin_page(
        self,
        device: str,
        *,
        dma_addr: Address,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """A dma-buf gives its reference back."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/gvt-unpin-page",
            body=_given(**{"dmaAddr": dma_addr, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def open_device(
        self,
        device: str,
        *,
        guest: Union[int, str, None] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_GROUP_GET_DEVICE_FD: opens the device. Opening it again counts up; the driver is
        told of the first open and of the last close.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/open-device",
            body=_given(guest=guest, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def open_group(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Opens the file /dev/vfio/GROUP."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/open-group",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def pin_pages(
        self,
        device: str,
        *,
        iova: Address,
        npage: int,
        prot: Union[int, Sequence[Union[Literal["read"], Literal["write"]]]],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """vfio_pin_pages, as a driver makes it: pins `npage` pages from `iova` on, wherever a
        mapping has them.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/pin-pages",
            body=_given(iova=iova, npage=npage, prot=prot, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def read_requests(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Reads and clears the eventfd of the request channel; 0 where nothing was signalled."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/read-requests",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def resume_callbacks(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Resumes a held callback of a synthetic driver, and holds no more."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/resume-callbacks",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def set_container(
        self,
        device: str,
        *,
        container: str,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_GROUP_SET_CONTAINER: attaches the group to a container."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/set-container",
            body=_given(container=container, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def set_driver(
        self,
        device: str,
        *,
        driver: Dict[str, Any],
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Changes how a synthetic driver behaves while it runs."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/set-driver",
            body=_given(driver=driver, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def set_memory_enable(
        self,
        device: str,
        *,
        on: bool,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The memory bit of the PCI command register, through the device’s file: whether its BARs
        answer.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/set-memory-enable",
            body=_given(on=on, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def set_request_channel(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_DEVICE_SET_IRQS of VFIO_PCI_REQ_IRQ_INDEX: an eventfd that is signalled when the
        device is to be released.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/set-request-channel",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def unpin_pages(
        self,
        device: str,
        *,
        iova: Address,
        npage: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """vfio_unpin_pages, as a driver makes it: gives `npage` pages from `iova` on back."""
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/unpin-pages",
            body=_given(iova=iova, npage=npage, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def unset_container(
        self,
        device: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """VFIO_GROUP_UNSET_CONTAINER: takes the group out of its container. With the last group
        its mappings go.
        """
        return self.request(
            "POST",
            f"/v1/devices/{_part(device)}/unset-container",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def dmesg(
        self,
    ) -> Any:
        """The log as the console of this kernel would show it. What `dmesg` would print: splats
        with registers and stacks in the form of this kernel.
        """
        return self.request(
            "GET",
            "/v1/dmesg",
        )

    def events(
        self,
        *,
        since: str = UNSET,
        kind: Union[Literal["call"], Literal["answer"], Literal["invalidation"], Literal["splat"], Literal["advisory"], Literal["webhook"], Literal["fault"]] = UNSET,
        container: str = UNSET,
        device: str = UNSET,
        call: str = UNSET,
        errno: str = UNSET,
        splat: str = UNSET,
        limit: str = UNSET,
        wait: Literal["1"] = UNSET,
        timeout_ms: str = UNSET,
        count: str = UNSET,
        until: Literal["no-pins"] = UNSET,
    ) -> Any:
        """The journal: a page, with wait=1 as soon as something matches, or a live stream by
        Accept. Everything that happened in the rig, in the order of `seq`: calls, answers,
        invalidations, splats, advisories, deliveries to webhooks, faults.
        """
        return self.request(
            "GET",
            "/v1/events",
            query=_given(**{"since": since, "kind": kind, "container": container, "device": device, "call": call, "errno": errno, "splat": splat, "limit": limit, "wait": wait, "timeoutMs": timeout_ms, "count": count, "until": until}),
        )

    def explore(
        self,
        *,
        drivers: Sequence[Dict[str, Any]],
        kernel: str = UNSET,
        goal: str = UNSET,
        depth: int = UNSET,
        pages: int = UNSET,
        mappings: int = UNSET,
        also: Sequence[Union[Literal["dirty"], Literal["memlock"], Literal["vaddr"], Literal["pci"], Literal["processes"], Literal["removal"], Literal["faults"], Literal["responses"], Literal["hold"]]] = UNSET,
        seconds: int = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Tries every sequence of calls on some drivers: the shortest traces to what goes wrong. A
        search within bounds of depth, mappings, pages and time, on hosts of its own. It takes
        long: with Prefer: respond-async it is an operation, which can be cancelled.
        """
        return self.request(
            "POST",
            "/v1/explore",
            body=_given(drivers=drivers, kernel=kernel, goal=goal, depth=depth, pages=pages, mappings=mappings, also=also, seconds=seconds),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def clear_faults(
        self,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Removes every fault injection rule."""
        return self.request(
            "DELETE",
            "/v1/faults",
            query=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def list_faults(
        self,
    ) -> Any:
        """Fault injection rules, counted. Every rule with how many calls it matched and how often
        it struck.
        """
        return self.request(
            "GET",
            "/v1/faults",
        )

    def add_fault(
        self,
        *,
        on: str,
        fault: str = UNSET,
        container: str = UNSET,
        device: str = UNSET,
        nth: int = UNSET,
        every: int = UNSET,
        probability: float = UNSET,
        seed: int = UNSET,
        errno: str = UNSET,
        delay_ms: int = UNSET,
        jitter_ms: int = UNSET,
        drop_callback: Literal[True] = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Adds a rule by which calls fail, take time, or lose their callbacks: on the nth call
        that matches, or on every nth.
        """
        return self.request(
            "POST",
            "/v1/faults",
            body=_given(**{"on": on, "fault": fault, "container": container, "device": device, "nth": nth, "every": every, "probability": probability, "seed": seed, "errno": errno, "delayMs": delay_ms, "jitterMs": jitter_ms, "dropCallback": drop_callback, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def remove_fault(
        self,
        fault: str,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Removes a fault rule."""
        return self.request(
            "DELETE",
            f"/v1/faults/{_part(fault)}",
            query=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def kernel_taint(
        self,
        *,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The taint flags of the kernel: of warnings, of a BUG, and of user space that drives a
        device without IOMMU.
        """
        return self.request(
            "POST",
            "/v1/kernel-taint",
            body=_given(process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_kernels(
        self,
    ) -> Any:
        """Kernel generations. Each kernel that can be emulated, and what it has that the one
        before has not.
        """
        return self.request(
            "GET",
            "/v1/kernels",
        )

    def minimize(
        self,
        body: Mapping[str, Any],
        *,
        respond_async: bool = False,
    ) -> Any:
        """Shrinks a trace to a shortest one that comes to the same splat, deadlock or advisory.
        Steps are left out and made smaller as long as the trace still comes to it, on hosts of
        its own.
        """
        return self.request(
            "POST",
            "/v1/minimize",
            body=body,
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_models(
        self,
    ) -> Any:
        """What driver models keep besides their devices. Guests, queues and the like, by the type
        of the model.
        """
        return self.request(
            "GET",
            "/v1/models",
        )

    def list_operations(
        self,
        *,
        limit: str = UNSET,
        after: str = UNSET,
    ) -> Any:
        """The calls that were answered 202, oldest first; finished ones are forgotten in time. The
        calls and searches of the rig that were answered 202, oldest first, finished ones
        included as long as they are kept.
        """
        return self.request(
            "GET",
            "/v1/operations",
            query=_given(limit=limit, after=after),
        )

    def cancel_operation(
        self,
        operation: str,
    ) -> Any:
        """Ends a search where it is: what it has come to so far is its answer. For searches alone:
        a call is ended by nobody but its driver or a reset.
        """
        return self.request(
            "DELETE",
            f"/v1/operations/{_part(operation)}",
        )

    def get_operations_operation(
        self,
        operation: str,
        *,
        wait: Literal["1"] = UNSET,
        timeout_ms: str = UNSET,
    ) -> Any:
        """A call that was answered 202. Whether it is done, and what it would have been answered.
        With `wait=1` it answers when it is done, or with `timedOut` after `timeoutMs`.
        """
        return self.request(
            "GET",
            f"/v1/operations/{_part(operation)}",
            query=_given(**{"wait": wait, "timeoutMs": timeout_ms}),
        )

    def pause_faults(
        self,
        *,
        fault: str = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Pauses a fault injection rule, or all there are: what is paused strikes nothing and
        counts nothing.
        """
        return self.request(
            "POST",
            "/v1/pause-faults",
            body=_given(fault=fault, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def list_processes(
        self,
        *,
        limit: str = UNSET,
        after: str = UNSET,
    ) -> Any:
        """List processes. The processes of the rig in the order in which they were made, a page at
        a time.
        """
        return self.request(
            "GET",
            "/v1/processes",
            query=_given(limit=limit, after=after),
        )

    def create_process(
        self,
        *,
        process: str = UNSET,
        pid: int = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Makes a user-space process. Its memory is all valid, zero-filled and written until a
        first region is added.
        """
        return self.request(
            "POST",
            "/v1/processes",
            body=_given(process=process, pid=pid),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_process(
        self,
        process: str,
    ) -> Any:
        """One process. A process as it is now."""
        return self.request(
            "GET",
            f"/v1/processes/{_part(process)}",
        )

    def add_memory_region(
        self,
        process: str,
        *,
        start: Address,
        size: Address,
        prot: Union[int, Sequence[Union[Literal["read"], Literal["write"]]]],
        kind: Union[Literal["anonymous"], Literal["shared"], Literal["hugetlb"], Literal["file"], Literal["device"]] = UNSET,
        opened_for_write: bool = UNSET,
        private: bool = UNSET,
        device: str = UNSET,
        offset: Address = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """mmap at a fixed place: [start, start+size) is new memory of the process. From the first
        region on nothing else is valid.
        """
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/add-memory-region",
            body=_given(**{"start": start, "size": size, "prot": prot, "kind": kind, "openedForWrite": opened_for_write, "private": private, "device": device, "offset": offset}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def exec_process(
        self,
        process: str,
        *,
        pid: int = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """exec by uid 0: the process has new memory without any region, and all capabilities; its
        limit and its files stay.
        """
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/exec-process",
            body=_given(pid=pid),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def exit_process(
        self,
        process: str,
        *,
        signal: int = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """The process ends, by itself or by a signal: its memory goes, then its files are closed,
        the last first.
        """
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/exit-process",
            body=_given(signal=signal),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def fill_memory(
        self,
        process: str,
        *,
        vaddr: Address,
        length: int,
        byte: int,
        respond_async: bool = False,
    ) -> Any:
        """Writes one byte’s value all over a range of the process’s memory."""
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/fill-memory",
            body=_given(vaddr=vaddr, length=length, byte=byte),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def fork_process(
        self,
        process: str,
        *,
        child: str = UNSET,
        pid: int = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """fork: the child has copies of all memory, the same limit and capabilities, and shares
        every open file.
        """
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/fork-process",
            body=_given(child=child, pid=pid),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def protect_memory_region(
        self,
        process: str,
        *,
        start: Address,
        size: Address,
        prot: Union[int, Sequence[Union[Literal["read"], Literal["write"]]]],
        respond_async: bool = False,
    ) -> Any:
        """mprotect: what the process may do with its memory from now on."""
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/protect-memory-region",
            body=_given(start=start, size=size, prot=prot),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def read_memory(
        self,
        process: str,
        *,
        vaddr: Address,
        length: int,
        respond_async: bool = False,
    ) -> Any:
        """Reads bytes from the process’s memory."""
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/read-memory",
            body=_given(vaddr=vaddr, length=length),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def remove_memory_region(
        self,
        process: str,
        *,
        start: Address,
        size: Address,
        respond_async: bool = False,
    ) -> Any:
        """munmap: [start, start+size) is no memory of the process any more. What is pinned of it
        stays pinned.
        """
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/remove-memory-region",
            body=_given(start=start, size=size),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def set_capabilities(
        self,
        process: str,
        *,
        drop: Sequence[Union[Literal["CAP_SYS_RAWIO"], Literal["CAP_IPC_LOCK"]]] = UNSET,
        raise_: Sequence[Union[Literal["CAP_SYS_RAWIO"], Literal["CAP_IPC_LOCK"]]] = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Takes capabilities from the process, or gives them back."""
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/set-capabilities",
            body=_given(**{"drop": drop, "raise": raise_}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def set_memlock(
        self,
        process: str,
        *,
        bytes: Union[str, int, Literal["unlimited"]],
        respond_async: bool = False,
    ) -> Any:
        """Sets RLIMIT_MEMLOCK; a number also takes CAP_IPC_LOCK away."""
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/set-memlock",
            body=_given(bytes=bytes),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def write_memory(
        self,
        process: str,
        *,
        vaddr: Address,
        data: str,
        respond_async: bool = False,
    ) -> Any:
        """Writes bytes into the process’s memory."""
        return self.request(
            "POST",
            f"/v1/processes/{_part(process)}/write-memory",
            body=_given(vaddr=vaddr, data=data),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def replay(
        self,
        body: Mapping[str, Any],
    ) -> Any:
        """Runs traces on fresh hosts and answers what differed: one as JSON, or many as NDJSON.
        Every step is made on a fresh host, which is nobody’s rig, and held against its
        `expect`. `differences` is empty where all were as expected.
        """
        return self.request(
            "POST",
            "/v1/replay",
            body=body,
        )

    def reset(
        self,
        *,
        kernel: str = UNSET,
    ) -> Any:
        """Everything back to the start. Containers, devices, processes, journal, trace, once-only
        warnings and ids: all as on a fresh host, optionally on another kernel. Calls under way
        are answered 503.
        """
        return self.request(
            "POST",
            "/v1/reset",
            body=_given(kernel=kernel),
        )

    def resume_faults(
        self,
        *,
        fault: str = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Lets a fault injection rule that is paused strike again, or all there are."""
        return self.request(
            "POST",
            "/v1/resume-faults",
            body=_given(fault=fault, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_rigs(
        self,
    ) -> Any:
        """Rigs. The isolated hosts on this server, oldest first."""
        return self.request(
            "GET",
            "/v1/rigs",
        )

    def delete_rigs_rig(
        self,
        rig: str,
    ) -> Any:
        """Drops a rig. Ends a rig; calls under way in it are answered 503. Without one of that
        name: 404.
        """
        return self.request(
            "DELETE",
            f"/v1/rigs/{_part(rig)}",
        )

    def set_parameters(
        self,
        *,
        dma_entry_limit: Address = UNSET,
        allow_unsafe_interrupts: bool = UNSET,
        enable_unsafe_noiommu_mode: bool = UNSET,
        panic_on_warn: bool = UNSET,
        panic_on_oops: bool = UNSET,
        warn_on_pinned_unmap: bool = UNSET,
        advise_no_callback: bool = UNSET,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """Module parameters of vfio_iommu_type1 and sysctls of the kernel."""
        return self.request(
            "POST",
            "/v1/set-parameters",
            body=_given(**{"dmaEntryLimit": dma_entry_limit, "allowUnsafeInterrupts": allow_unsafe_interrupts, "enableUnsafeNoiommuMode": enable_unsafe_noiommu_mode, "panicOnWarn": panic_on_warn, "panicOnOops": panic_on_oops, "warnOnPinnedUnmap": warn_on_pinned_unmap, "adviseNoCallback": advise_no_callback, "process": process}),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def setup(
        self,
        body: Mapping[str, Any],
    ) -> Any:
        """Makes a rig anew, as after a reset, from a setup, a trace, or calls as NDJSON; nothing
        changes where that is refused. Every field of a setup is an argument of the call that
        makes it. The calls are made on a fresh host of the setup’s kernel; where one is
        refused, the problem names the place in the document, and the rig is what it was.
        """
        return self.request(
            "POST",
            "/v1/setup",
            body=body,
        )

    def sleep(
        self,
        *,
        milliseconds: int,
        process: str = UNSET,
        respond_async: bool = False,
    ) -> Any:
        """User space sleeps: deferred work of the driver models has time to run."""
        return self.request(
            "POST",
            "/v1/sleep",
            body=_given(milliseconds=milliseconds, process=process),
            headers={"Prefer": "respond-async"} if respond_async else None,
        )

    def get_snapshot(
        self,
        *,
        secrets: Literal["1"] = UNSET,
    ) -> Any:
        """The state of the rig as one document; secrets=1: with the secrets of webhooks.
        Everything that matters for what the rig will answer; not its journal, trace and
        operations.
        """
        return self.request(
            "GET",
            "/v1/snapshot",
            query=_given(secrets=secrets),
        )

    def put_snapshot(
        self,
        body: Mapping[str, Any],
    ) -> Any:
        """Replaces the state of the rig; nothing changes where the document is refused. The rig
        becomes what the snapshot says, on the snapshot’s kernel.
        """
        return self.request(
            "PUT",
            "/v1/snapshot",
            body=body,
        )

    def trace(
        self,
        *,
        format: Union[Literal["json"], Literal["curl"]] = UNSET,
    ) -> Any:
        """The calls so far, with expectations; format=curl: as a shell script. What was called
        since the rig’s start or its last reset, each with what it was answered: a trace that
        POST /v1/replay runs anywhere.
        """
        return self.request(
            "GET",
            "/v1/trace",
            query=_given(format=format),
        )

    def verdict(
        self,
        *,
        expect: str = UNSET,
        rigs: Literal["all"] = UNSET,
    ) -> Any:
        """Whether a rig, or each of them, is as it should be at the end of a test: 200 or 409;
        JSON, text or JUnit by Accept. Splats by kind, leaked pins, what is still mapped and
        pinned, wedged containers, calls under way, webhooks that were not delivered,
        advisories. `ok` says whether all of it is as `expect` says; without `expect`, whether
        there is none of it.
        """
        return self.request(
            "GET",
            "/v1/verdict",
            query=_given(expect=expect, rigs=rigs),
        )

    def get_version(
        self,
    ) -> Any:
        """Version. Name and version of the service, and the kernel of rigs that ask for no other."""
        return self.request(
            "GET",
            "/version",
        )
