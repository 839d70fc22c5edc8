"""The cost of scale: what many inferences take, on many devices."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.checks import kind_of
from zeroskip.errors import ArchError
from zeroskip.hwmodel.figures import METRICS, check_whole
from zeroskip.hwmodel.metrics import Metrics
from zeroskip.table import Column, Table

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Scale:
    """Every device goes over images of its own, so many passes over each, all side by side.

    metrics : of an inference.
    images : of each device; passes : over each image, all at the cost of an inference: a pass of
        training, which costs more, is not told from one.
    """

    metrics: Metrics
    images: int
    passes: int
    devices: int

    @property
    def inferences(self) -> int:
        return self.images * self.passes * self.devices

    @property
    def seconds(self) -> float:
        """From the first image to the last, at the throughput of whole batches."""
        return self.images * self.passes / self.metrics.inferences_per_s

    @property
    def joules(self) -> float | None:
        """Of all devices; None where nobody knows that of an inference."""
        each = self.metrics.joules_per_inference
        return None if each is None else self.inferences * each

    @property
    def off_chip_bits(self) -> float | None:
        each = self.metrics.off_chip_bits
        return None if each is None else self.inferences * each

    def table(self) -> Table:
        """A row a figure; those that nobody knows are left out and named."""
        joules, bits = self.joules, self.off_chip_bits
        watts = None if self.metrics.watts is None else self.metrics.watts * self.devices
        rows = [
            ("inferences", "", self.inferences),
            ("operations", "MAC", self.inferences * self.metrics.macs),
            ("time", "s", self.seconds),
            ("time", "days", self.seconds / 86_400),
            ("energy", "J", joules),
            ("energy", "kWh", None if joules is None else joules / JOULES_PER_KWH),
            ("power of all devices", "W", watts),
            ("off chip", "bits", bits),
        ]
        title = (
            f"{self.metrics.network or 'a network'} on {self.metrics.design or 'a design'}: "
            f"{self.images:,} images x {self.passes:,} passes x {self.devices:,} devices"
        )
        missing = [f"no {name}: not given" for name, _, value in rows if value is None]
        columns = [Column("figure"), Column("unit"), Column("value", "", "by size")]
        known = [row for row in rows if row[2] is not None]
        return Table(title, columns, known, list(dict.fromkeys(missing)))

    def __str__(self) -> str:
        return str(self.table())


def cost_of_scale(metrics: Metrics, *, images: int, passes: int = 1, devices: int = 1) -> Scale:
    """Time and energy of images x passes x devices inferences.

    Raises `ArchError` for what is no `Metrics`, and counts that are not whole numbers of 1 or more.

    >>> eyeriss = Metrics(666e6, 34.7, watts=0.278)
    >>> cost_of_scale(eyeriss, images=1_000, passes=90).seconds / 3600      # doctest: +ELLIPSIS
    0.72...
    """
    return Scale(
        kind_of("cost of scale", metrics, Metrics, METRICS, ArchError),
        check_whole("images", images),
        check_whole("passes", passes),
        check_whole("devices", devices),
    )
