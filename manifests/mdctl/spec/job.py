"""DiffusionJob: the one description of a job that the YAML file, the CRD, the CLI overrides and the pod all read."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mdctl.spec import checks
from mdctl.spec.catalogue import CatalogueModel, find_model
from mdctl.spec.errors import MdctlError
from mdctl.spec.layout import Layout, resolve_layout
from mdctl.spec.model import AttentionSpec, Directory, ModelSpec, VideoSpec, join
from mdctl.spec.outputs import CHECKPOINTS, PRIOR
from mdctl.spec.part import Part
from mdctl.spec.placement import (
    Capacity,
    MeshSpec,
    Queue,
    Resources,
    Restarts,
    SecretReference,
    Timeouts,
)
from mdctl.spec.sampling import Sampling
from mdctl.spec.slices import Slice, resolve_slice
from mdctl.spec.text import DnsLabel, DnsSubdomain, EnvironmentName, ImageName
from mdctl.spec.training import Batch, DataSpec, Training

API_VERSION: Literal["mdctl.dev/v1alpha1"] = "mdctl.dev/v1alpha1"


QUEUE_FIELDS = {
    "kueue.x-k8s.io/queue-name": "queue.name",
    "kueue.x-k8s.io/priority-class": "queue.priority",
    "kueue.x-k8s.io/max-exec-time-seconds": "restarts.maxHours",
}
"""Labels of Kueue, and the fields that set them."""


class Metadata(Part):
    """The job's name and where it lives."""

    name: DnsLabel
    namespace: DnsLabel | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _labels_are_the_users(cls, labels: dict[str, str]) -> dict[str, str]:
        for key in labels:
            prefix = key.rpartition("/")[0]
            if prefix.endswith("k8s.io") or prefix in ("kubernetes.io", "batch.kubernetes.io"):
                field = QUEUE_FIELDS.get(key)
                way_out = f"set {field}" if field else "choose a prefix of your own"
                raise ValueError(f"{key!r} is read by controllers, so it is not a user's label; {way_out}")
        return labels


class JobSpec(Part):
    """What to do, with which model, on what."""

    task: Literal["train", "generate"]
    model: ModelSpec = ModelSpec()
    slice: str = "v5p-64"
    """Such as `v5p-64`, `v6e-8`, `h100-16`, or `cpu-2x4` for 2 local processes of 4 devices; see `mdctl slices`."""
    num_slices: Annotated[int, Field(ge=1, le=512)] = 1
    """One program spans them all; but task `generate` on slices of one host runs a program on each, and divides the
    prompts among them."""
    hardware: Literal["tpu", "gpu", "cpu"] | None = None
    """What the slice must be; unset takes any."""
    capacity: Capacity = Capacity()
    mesh: MeshSpec = MeshSpec()
    attention: AttentionSpec = AttentionSpec()
    remat: str = "full"
    """What the backward pass keeps of the forward pass: `none` computes nothing anew, `full` keeps what flows into each
    block, `attention` also what attention kernels gave, `hidden_state_with_offload` the same in the host's memory,
    `matmul_without_batch` products with weights, `offload_matmul_without_batch` those in the host's memory."""
    video: VideoSpec = VideoSpec()
    batch: Batch = Batch()
    """Unset is one video for each group of devices that shares parameters' batch (data x fsdp)."""
    data: DataSpec = DataSpec()
    training: Training = Training()
    sampling: Sampling = Sampling()
    output_dir: Directory | None = None
    """A folder or `gs://bucket/path`: checkpoints, videos, metrics, logs."""
    compilation_cache_dir: Directory | None = None
    """Compiled programs are kept here between attempts."""
    image: ImageName | None = None
    """Container image; unset is this version's own."""
    image_pull_secrets: tuple[DnsSubdomain, ...] = ()
    resources: Resources = Resources()
    queue: Queue = Queue()
    restarts: Restarts = Restarts()
    timeouts: Timeouts = Timeouts()
    service_account: DnsSubdomain | None = None
    """With Workload Identity, the identity that reads and writes `gs://`."""
    secrets: tuple[SecretReference, ...] = ()
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)

    @field_validator("slice")
    @classmethod
    def _slice_exists(cls, value: str) -> str:
        try:
            return resolve_slice(value).name
        except MdctlError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if problems := checks.problems(self):
            raise ValueError("\n".join(problems))
        return self

    @property
    def resolved_slice(self) -> Slice:
        """One slice of those the job runs on."""
        return resolve_slice(self.slice)

    @property
    def catalogue_model(self) -> CatalogueModel:
        """The catalogue's facts of the model."""
        return find_model(self.model.name)

    @property
    def fans_out(self) -> bool:
        """Whether each slice runs a program alone, on its own shard of the prompts."""
        return self.task == "generate" and self.num_slices > 1 and self.resolved_slice.hosts == 1

    @property
    def num_shards(self) -> int:
        """Programs that the job is."""
        return self.num_slices if self.fans_out else 1

    @property
    def slices_per_program(self) -> int:
        """Slices that one program, its mesh and its batch, spans."""
        return self.num_slices // self.num_shards

    @property
    def layout(self) -> Layout:
        """The mesh of one program with every `-1` filled, and the batch over it."""
        return resolve_layout(self.mesh, self.batch, self.resolved_slice.devices, self.slices_per_program)

    @property
    def training_shift(self) -> float:
        """The shift of the times that are trained on: the spec's, or what models of the kind are trained with."""
        shift = self.training.objective.shift
        return self.catalogue_model.training_shift if shift is None else shift

    @property
    def weights(self) -> str | None:
        """Where the repository of weights is: the spec's, or the catalogue's."""
        return self.model.weights or self.catalogue_model.weights

    @property
    def denoiser_file(self) -> str | None:
        """The file in the place of the repository's denoiser, if there is one."""
        distilled = self.catalogue_model.distilled.get(self.sampling.steps)
        return self.model.denoiser or (None if distilled is None else distilled.denoiser)

    @property
    def checkpoint_dir(self) -> str:
        """Where checkpoints go."""
        assert self.output_dir is not None
        return self.training.checkpoint.directory or join(self.output_dir, CHECKPOINTS)

    @property
    def prior_dir(self) -> str:
        """Where pictures of the subject's class are, and those that are lacking are put."""
        assert self.output_dir is not None
        assert self.training.prior is not None
        return self.training.prior.path or join(self.output_dir, PRIOR)


class DiffusionJob(Part):
    """A training or generation job."""

    api_version: Literal["mdctl.dev/v1alpha1"] = API_VERSION
    kind: Literal["DiffusionJob"] = "DiffusionJob"
    metadata: Metadata
    spec: JobSpec
