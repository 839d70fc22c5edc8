"""The Einsum language: text ↔ tree ↔ SymPy, forms, extents.

    spec = make_spec("O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]", consts={"U": 2})
    spec.extents({"I": (1, 3, 9, 9), "F": (8, 3, 3, 3)}).shapes["O"]       # (1, 8, 4, 4)

Importing this package does not import SymPy; `Spec.expr`, and a spec made from an `Eq`, do.
"""

from zeroskip.einsum_spec.counts import Ops
from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.explicit import form_text, make_explicit
from zeroskip.einsum_spec.extents import Extents, solve
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.spec import Spec, make_spec

__all__ = [
    "Extents",
    "Form",
    "Ops",
    "Spec",
    "Term",
    "deparse",
    "elaborate",
    "form_text",
    "make_explicit",
    "make_spec",
    "parse",
    "solve",
]
