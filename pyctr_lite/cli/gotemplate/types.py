"""The fields of Docker's Go structs that JSON leaves out. In a template they have their zero values.

Docker's client runs a template over its typed structs (moby, api/types, of 20.10 and later: ContainerJSON,
ImageInspect, NetworkResource, Volume, Info) and only then over the JSON. So `{{if .State.Health}}` is false
without a health check, and `{{.State.Helth}}` is an error.
"""

from __future__ import annotations

from pyctr_lite.cli.gotemplate.functions import NIL, NilMap, NilSlice, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Fields(Values):
    """The fields of a struct: each with its zero value, or with its type as Fields, Pointer or Each."""


class Pointer:
    """A pointer to a struct, nil by default."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields


class Each:
    """A slice or map of structs; `zero` is its nil."""

    def __init__(self, fields: Fields, zero: Any) -> None:
        self.fields, self.zero = fields, zero


_GO_NAMES = {"ID": "Id", "AuxAddress": "AuxiliaryAddresses"}
"""Name in Go → key in JSON, where they differ and both are usual in templates."""


class Struct(Values):
    """The members of a struct that are in the JSON; `known` has all its fields."""

    def __init__(self, members: Any, known: Fields) -> None:
        super().__init__(members)
        self.known = known

    def zero(self, name: str) -> Any:
        """Return the zero value of a field that is not in the JSON. Raises KeyError if the field is unknown.

        A field whose name in Go is not that in JSON has its own value.
        """
        if (key := _GO_NAMES.get(name, name)) in self:
            return self[key]
        field = self.known[name]
        if isinstance(field, Fields):
            return Struct({}, field)
        return NIL if isinstance(field, Pointer) else field.zero if isinstance(field, Each) else field


def of_object(value: dict[str, Any]) -> Fields:
    """Return the fields of an inspected object, whose kind is recognized by a key that only it has."""
    if "IPAM" in value:
        return NETWORK
    return CONTAINER if "HostConfig" in value else IMAGE if "RootFS" in value else VOLUME


def inner(known: Fields | None, name: str) -> tuple[Fields | None, bool]:
    """Return the fields of the struct in a field, and whether the field holds many such structs."""
    field = None if known is None else known.get(name)
    if isinstance(field, Each):
        return field.fields, True
    return (field.fields if isinstance(field, Pointer) else field if isinstance(field, Fields) else None), False


def _fields(
    texts: str = "",
    numbers: str = "",
    flags: str = "",
    slices: str = "",
    maps: str = "",
    pointers: str = "",
    **rest: Any,
) -> Fields:
    zeros = ((texts, ""), (numbers, 0), (flags, False), (slices, NilSlice()), (maps, NilMap()), (pointers, NIL))
    return Fields({name: zero for names, zero in zeros for name in names.split()} | rest)


_HEALTH_CHECK = _fields(numbers="Interval Timeout StartPeriod StartInterval Retries", slices="Test")
_CONFIG = _fields(
    texts="Hostname Domainname User Image WorkingDir MacAddress StopSignal",
    flags="AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled",
    slices="Env Cmd Entrypoint OnBuild Shell",
    maps="ExposedPorts Volumes Labels",
    pointers="StopTimeout",
    Healthcheck=Pointer(_HEALTH_CHECK),
)
_STATE = _fields(
    texts="Status Error StartedAt FinishedAt",
    numbers="Pid ExitCode",
    flags="Running Paused Restarting OOMKilled Dead",
    Health=Pointer(_fields(texts="Status", numbers="FailingStreak", slices="Log")),
)
_HOST_CONFIG = _fields(
    texts="ContainerIDFile NetworkMode VolumeDriver CgroupnsMode IpcMode Cgroup PidMode UTSMode UsernsMode "
    "Runtime Isolation CgroupParent CpusetCpus CpusetMems",
    numbers="OomScoreAdj ShmSize CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod "
    "CpuRealtimeRuntime KernelMemory KernelMemoryTCP MemoryReservation MemorySwap CpuCount CpuPercent "
    "IOMaximumIOps IOMaximumBandwidth",
    flags="AutoRemove Privileged PublishAllPorts ReadonlyRootfs",
    slices="Binds VolumesFrom CapAdd CapDrop Capabilities Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links "
    "SecurityOpt BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps "
    "BlkioDeviceWriteIOps Devices DeviceCgroupRules DeviceRequests Ulimits Mounts MaskedPaths ReadonlyPaths",
    maps="PortBindings StorageOpt Tmpfs Sysctls Annotations",
    pointers="MemorySwappiness OomKillDisable PidsLimit Init",
    ConsoleSize=[0, 0],
    LogConfig=_fields(texts="Type", maps="Config"),
    RestartPolicy=_fields(texts="Name", numbers="MaximumRetryCount"),
)
_ADDRESSES = (
    "EndpointID Gateway GlobalIPv6Address IPAddress IPv6Gateway MacAddress",
    "GlobalIPv6PrefixLen IPPrefixLen",
)
_ENDPOINT = _fields(
    texts=f"{_ADDRESSES[0]} NetworkID",
    numbers=f"{_ADDRESSES[1]} GwPriority",
    slices="Links Aliases DNSNames",
    maps="DriverOpts",
    pointers="IPAMConfig",
)
_NETWORK_SETTINGS = _fields(
    texts=f"{_ADDRESSES[0]} Bridge SandboxID SandboxKey LinkLocalIPv6Address",
    numbers=f"{_ADDRESSES[1]} LinkLocalIPv6PrefixLen",
    flags="HairpinMode",
    slices="SecondaryIPAddresses SecondaryIPv6Addresses",
    maps="Ports",
    Networks=Each(_ENDPOINT, NilMap()),
)
_GRAPH_DRIVER = _fields(texts="Name", maps="Data")
CONTAINER = _fields(
    texts="Id ID Created Path Image ResolvConfPath HostnamePath HostsPath LogPath Name Driver Platform MountLabel "
    "ProcessLabel AppArmorProfile",
    numbers="RestartCount",
    slices="Args ExecIDs",
    pointers="Node SizeRw SizeRootFs ImageManifestDescriptor",
    State=Pointer(_STATE),
    HostConfig=Pointer(_HOST_CONFIG),
    GraphDriver=_GRAPH_DRIVER,
    Mounts=Each(_fields(texts="Type Name Source Destination Driver Mode Propagation", flags="RW"), NilSlice()),
    Config=Pointer(_CONFIG),
    NetworkSettings=Pointer(_NETWORK_SETTINGS),
)
IMAGE = _fields(
    texts="Id ID Parent Comment Created Container DockerVersion Author Architecture Variant Os OsVersion",
    numbers="Size VirtualSize",
    slices="RepoTags RepoDigests Manifests",
    pointers="Descriptor",
    ContainerConfig=_CONFIG,
    Config=Pointer(_CONFIG),
    GraphDriver=_GRAPH_DRIVER,
    RootFS=_fields(texts="Type BaseLayer", slices="Layers"),
    Metadata=_fields(texts="LastTagTime"),
)
NETWORK = _fields(
    texts="Name Id ID Created Scope Driver",
    flags="EnableIPv4 EnableIPv6 Internal Attachable Ingress ConfigOnly",
    slices="Peers",
    maps="Options Labels Services",
    IPAM=_fields(
        texts="Driver",
        maps="Options",
        Config=Each(_fields(texts="Subnet IPRange Gateway", maps="AuxAddress AuxiliaryAddresses"), NilSlice()),
    ),
    ConfigFrom=_fields(texts="Network"),
    Containers=Each(_fields(texts="Name EndpointID MacAddress IPv4Address IPv6Address"), NilMap()),
)
VOLUME = _fields(
    texts="CreatedAt Driver Mountpoint Name Scope",
    maps="Labels Options Status",
    UsageData=Pointer(_fields(numbers="RefCount Size")),
    ClusterVolume=Pointer(_fields(texts="ID")),
)
_COMMIT = _fields(texts="ID Expected")
INFO = _fields(
    texts="ID Driver SystemTime LoggingDriver CgroupDriver CgroupVersion KernelVersion OperatingSystem OSVersion "
    "OSType Architecture IndexServerAddress DockerRootDir HttpProxy HttpsProxy NoProxy Name ServerVersion "
    "ClusterStore ClusterAdvertise DefaultRuntime Isolation InitBinary ProductLicense",
    numbers="Containers ContainersRunning ContainersPaused ContainersStopped Images NFd NGoroutines "
    "NEventsListener NCPU MemTotal",
    flags="MemoryLimit SwapLimit KernelMemory KernelMemoryTCP CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit "
    "IPv4Forwarding BridgeNfIptables BridgeNfIp6tables Debug OomKillDisable ExperimentalBuild LiveRestoreEnabled",
    slices="DriverStatus SystemStatus GenericResources Labels SecurityOptions DefaultAddressPools Warnings",
    maps="Runtimes",
    pointers="RegistryConfig",
    Plugins=_fields(slices="Volume Network Authorization Log"),
    Swarm=_fields(
        texts="NodeID NodeAddr LocalNodeState Error", flags="ControlAvailable", numbers="Nodes Managers"
    ),
    ContainerdCommit=_COMMIT,
    RuncCommit=_COMMIT,
    InitCommit=_COMMIT,
)
