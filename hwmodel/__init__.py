"""The hardware model: what a layer costs on an architecture.

    a = arch("scnn")                       a preset, a YAML file or a dict
    c = charge(spec, a, {"I": x, "F": w})  exact, from the real tensors
    c.ops["effectual"], c.cycles, c.energy_pj, c.accounting

It writes accounting Einsums, parses them again and evaluates them by the same engine that
runs the layer.
"""

from zeroskip.hwmodel.accuracy import Accuracy
from zeroskip.hwmodel.arch import Arch, arch, presets
from zeroskip.hwmodel.array_sizes import strong_scaling, weak_scaling
from zeroskip.hwmodel.cascade import CascadeCharge
from zeroskip.hwmodel.cascade_charging import charge_cascade
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.charging import charge
from zeroskip.hwmodel.conversion import Conversion, transpose
from zeroskip.hwmodel.cost_of_scale import cost_of_scale
from zeroskip.hwmodel.energy_sources import energy_table
from zeroskip.hwmodel.energy_tables import EnergyTable
from zeroskip.hwmodel.expectation import expected_storage
from zeroskip.hwmodel.eyexam import eyexam
from zeroskip.hwmodel.flexibility import flexibility
from zeroskip.hwmodel.kept import CascadeMapping
from zeroskip.hwmodel.mapping import Mapping
from zeroskip.hwmodel.measured import metrics_of
from zeroskip.hwmodel.metrics import Metrics
from zeroskip.hwmodel.metrics_tables import compare_metrics
from zeroskip.hwmodel.report import compare
from zeroskip.hwmodel.roofline import roofline_table
from zeroskip.hwmodel.viability import Needs, viability
from zeroskip.hwmodel.whole_accesses import expected_cycles

__all__ = [
    "Accuracy",
    "Arch",
    "CascadeCharge",
    "CascadeMapping",
    "Charge",
    "Conversion",
    "EnergyTable",
    "Mapping",
    "Metrics",
    "Needs",
    "arch",
    "charge",
    "charge_cascade",
    "compare",
    "compare_metrics",
    "cost_of_scale",
    "energy_table",
    "expected_cycles",
    "expected_storage",
    "eyexam",
    "flexibility",
    "metrics_of",
    "presets",
    "roofline_table",
    "strong_scaling",
    "transpose",
    "viability",
    "weak_scaling",
]
