"""`Layer`: one line of Einsum (or a cascade) that can be printed, called and bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from zeroskip.calling import by_memory, in_turn, like_operands, memory_of, name_operands
from zeroskip.einsum_spec.spec import Spec, make_spec
from zeroskip.formats.format import Format
from zeroskip.native.bound import Bound
from zeroskip.native.engine import evaluate
from zeroskip.native.recent import Recent
from zeroskip.subscripted import as_statement, check_optimize

if TYPE_CHECKING:
    from zeroskip.einsum_spec.counts import Ops
    from zeroskip.einsum_spec.padding import PadLike

BACKEND = "c"
NOTHING: tuple[str, ...] = ()
"""Of calls as they mostly are, which go the shortest way: told by identity, which takes least."""


class Layer:
    """A layer: what to compute, without the numbers.

    Made by `zeroskip.layer`.  Calling it computes; nothing about it changes.

    Attributes
    ----------
    text : str
        The line as written.
    expr : sympy.Eq
        The same as a SymPy expression, sums written out.
    ranks : tuple of str
        Index variables, in order of appearance.
    operands : tuple of str
        Names of the operands, in the order in which a call takes them.
    spec : Spec

    Examples
    --------
    >>> import numpy as np
    >>> fc = layer("O[b,o] = relu(B[o] + W[o,i]*X[b,i])")
    >>> fc.ranks
    ('b', 'o', 'i')
    >>> fc(B=np.zeros(2), W=np.eye(2), X=np.array([[3.0, -1.0]]))
    array([[3., 0.]])
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._called = False
        self._alike: Bound | None = None

    @property
    def text(self) -> str:
        return self.spec.text

    @property
    def expr(self) -> Any:
        return self.spec.expr

    @property
    def ranks(self) -> tuple[str, ...]:
        return self.spec.ranks

    @property
    def operands(self) -> tuple[str, ...]:
        return self.spec.operands

    def extents(self, /, **shapes: tuple[int, ...]) -> dict[str, int]:
        """Extent of every rank, for operands of these shapes.

        >>> layer("O[p] = I[p+r]*F[r]").extents(I=(10,), F=(3,))
        {'p': 8, 'r': 3}
        """
        return dict(self.spec.extents(shapes).ranks)

    def ops(self, /, **shapes: tuple[int, ...]) -> Ops:
        """Multiplications and additions on dense operands of these shapes."""
        return self.spec.ops(shapes)

    def bind(self, /, *, schedule: Any = None, tune: Any = False, **operands: object) -> BoundLayer:
        """Fix operands that stay over many calls, such as weights.

        They are packed for the fastest kernel once.  Arrays are copied: a later change of
        the original is not seen, bind again.

        Parameters
        ----------
        **operands : array, Tensor, SciPy matrix or torch tensor, by name
        schedule : Schedule, or a mapping of them by result, optional
            What is fixed of how every call runs: `Schedule`.  Without one the tiles of a layer
            go by how dense the bound operand is, which `explain` shows of the bound layer.
        tune : bool
            Whether the first call for each set of shapes measures a few schedules, for about a
            second, and keeps the fastest; it is remembered in the cache directory, and found there
            by other processes.

        Returns
        -------
        BoundLayer
            Called with the remaining operands.

        Raises
        ------
        ZeroskipError
            EinsumError for a name that is no operand, TensorError for one that cannot be read,
            KernelError for what is no schedule of the layer.
        """
        return BoundLayer(self, operands, schedule, tune)

    def __call__(
        self,
        /,
        *operands: object,
        out: Any = None,
        format: Any = None,
        backend: str = "c",
        skip: str | Collection[str] = (),
        convert: bool = True,
        order: Any = None,
        schedule: Any = None,
        **named: object,
    ) -> Any:
        """Compute the layer's (last) result.

        Parameters
        ----------
        *operands, **named : array, Tensor, SciPy matrix or torch tensor
            In the order of ``operands``, or by name.
        out : ndarray or dense torch tensor, optional
            Where the result goes; under ``+=`` it is added to.
        format : Format or str, or a mapping of them by result, optional
            A format for the result, which is then a `Tensor`; ``{"T": "CSR"}`` keeps the
            result of one line of a cascade sparse on its way to the next.  ``"auto"`` counts
            the entries and takes the one of dense, bitmask, CSR and COO that costs the
            fewest bits for as many (a `Tensor` all the same), which `explain` foretells.
        backend : ``"c"``, ``"interpreter"`` or ``"numpy"``
        skip : str or names of operands, optional
            Refuse to run unless the loops visit only what these store: where an absent value
            adds something (``A[i,k]*x[k]`` with a fill of 1), they cannot.
        convert : bool
            Whether an operand whose order or levels the loops cannot follow is stored anew at
            every call, which `explain` shows; False refuses, and says which order is wanted.
        order : str, or a mapping of them by result, optional
            Every rank of the last line, the outermost loop first (``"m,k,n"``): loops keep to
            it.  An operand that stores its axes in another order is converted, or refused with
            ``convert=False``.
        schedule : Schedule, or a mapping of them by result, optional
            What is fixed of how the last line runs: `Schedule`.  One that the line cannot take
            is refused.

        Returns
        -------
        ndarray, or Tensor where ``format=`` is given, or torch.Tensor where torch came in

        Raises
        ------
        ZeroskipError
            EinsumError for shapes that contradict each other, TensorError for operands
            that cannot be read, KernelError for what cannot be run.
        """
        plain = (
            out is None
            and (format is None or isinstance(format, str | Format))
            and isinstance(backend, str)
            and backend == "c"
            and isinstance(skip, tuple)
            and not skip
            and convert is True
            and order is None
            and schedule is None
        )
        alike = self._calls_alike() if plain else None
        if alike is not None and format is None:
            placed = in_turn(alike.rest, operands, named)
            found = None if placed is None else by_memory(alike.at_once, placed)
            if found is not None:
                return found
        given = name_operands(self.operands, operands, named, self.text)
        if alike is not None:
            return like_operands(alike.run(given, format=format), given)
        last = self.spec.results[-1]
        results = evaluate(
            self.spec,
            given,
            backend=backend,
            out=memory_of(out),
            format=format,
            wanted=(last,),
            skip=skip,
            convert=convert,
            order=order,
            schedule=schedule,
        )
        return like_operands(results[last], given, out)

    def _calls_alike(self) -> Bound | None:
        """What keeps kernels filled for calls like those before; None at the first call, which may
        be the only one."""
        if self._alike is None and self._called:
            self._alike = Bound(self.spec, {})
        self._called = True
        return self._alike

    def __reduce__(self) -> tuple[Any, ...]:
        return Layer, (self.spec,)

    def __eq__(self, other: object) -> bool:
        return self.spec == other.spec if isinstance(other, Layer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        return repr(self.spec).replace("Spec(", "layer(", 1)

    def __str__(self) -> str:
        return self.text


class BoundLayer:
    """A layer with operands fixed; call it with the rest.

    Attributes
    ----------
    layer : Layer
    operands : tuple of str
        What a call still takes, in order.
    """

    def __init__(
        self, bound: Layer, held: Mapping[str, object], schedule: Any = None, tune: bool = False
    ) -> None:
        self.layer = bound
        self._bound = Bound(bound.spec, held, schedule, tune)
        self._at_once = self._bound.at_once
        self.operands = self._bound.rest

    def __call__(
        self,
        /,
        *operands: object,
        out: Any = None,
        format: Any = None,
        backend: str = BACKEND,
        skip: str | Collection[str] = NOTHING,
        convert: bool = True,
        order: Any = None,
        **named: object,
    ) -> Any:
        """As `Layer.__call__`, with the remaining operands."""
        usual = format is None and order is None and convert is True
        if usual and backend is BACKEND and skip is NOTHING:
            whole = not named and len(operands) == len(self.operands)
            placed = operands if whole else in_turn(self.operands, operands, named)
            found = None if placed is None else by_memory(self._at_once, placed, out)
            if found is not None:
                return found
        given = name_operands(self.operands, operands, named, self.layer.text)
        result = self._bound.run(
            given,
            backend=backend,
            out=memory_of(out),
            format=format,
            skip=skip,
            convert=convert,
            order=order,
        )
        return like_operands(result, given, out)

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundLayer, (self.layer, self.held, self.schedule, self.tune)

    @property
    def held(self) -> dict[str, Any]:
        """The operands that are bound, by name."""
        return dict(self._bound.held)

    @property
    def schedule(self) -> Any:
        """What was fixed of the schedule when the operands were bound."""
        return self._bound.schedule

    @property
    def tune(self) -> bool:
        """Whether schedules are measured."""
        return self._bound.tune

    def __repr__(self) -> str:
        held = ", ".join(self._bound.held)
        return f"<{self.layer.text!r} with {held or 'nothing'} bound>"


def layer(
    text_or_Eq: object,
    /,
    *,
    consts: Mapping[str, int | float] | None = None,
    sizes: Mapping[str, int] | None = None,
    pad: PadLike = None,
) -> Layer:
    """A layer from one line of Einsum, several lines, or a SymPy `Eq`.

    Parameters
    ----------
    text_or_Eq : str, sympy.Eq or sequence of sympy.Eq
    consts : mapping, optional
        Values of named constants: ``{"U": 2}``.
    sizes : mapping, optional
        Extents of ranks that no operand fixes: ``{"r": 2}``.
    pad : int, pair or mapping, optional
        Padding with 0: ``1`` (every axis of a window), ``{"I": {"h": (1, 1), "w": 1}}``.

    Examples
    --------
    >>> conv = layer("O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]", consts={"U": 2}, pad=1)
    >>> conv.extents(I=(1, 3, 224, 224), F=(64, 3, 3, 3))["p"]
    112
    """
    return Layer(make_spec(text_or_Eq, consts, sizes, pad))


def einsum(
    text: object = "",
    /,
    *operands: object,
    out: Any = None,
    format: Any = None,
    backend: str = "c",
    optimize: object = False,
    skip: str | Collection[str] = (),
    convert: bool = True,
    order: Any = None,
    schedule: Any = None,
    consts: Mapping[str, int | float] | None = None,
    sizes: Mapping[str, int] | None = None,
    pad: PadLike = None,
    **named: object,
) -> Any:
    """Compute one line of Einsum at once; see `layer` and `Layer.__call__`.

    What `numpy.einsum` takes means what it means there: ``"ij,jk->ik"``, ``"...ij,jk"``, the
    interleaved form, axes of extent 1 that are repeated.  ``optimize=`` is accepted and
    changes nothing: the order of loops is the engine's, or that of ``order=``.

    >>> import numpy as np
    >>> einsum("y[i] = A[i,j]*x[j]", np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([1.0, 1.0]))
    array([3., 3.])
    >>> einsum("...i,i", np.ones((2, 2, 3)), [1.0, 2.0, 3.0])
    array([[6., 6.],
           [6., 6.]])
    """
    check_optimize(optimize)
    if not named:
        text, operands = as_statement(text, operands)
    made = _layer_of(text, consts, sizes, pad)
    return made(
        *operands,
        out=out,
        format=format,
        backend=backend,
        skip=skip,
        convert=convert,
        order=order,
        schedule=schedule,
        **named,
    )


MOST_TEXTS = 256
"""Layers that `einsum` remembers by their text; parsing takes longer than a small product."""

_made: Recent[tuple[object, ...], Layer] = Recent(MOST_TEXTS)


def _layer_of(text: object, consts: Any, sizes: Any, pad: Any) -> Layer:
    """`layer`, made once for what is written alike."""
    key = tuple(map(_content, (text, consts, sizes, pad)))
    try:
        found = _made.get(key)
    except TypeError:  # something in it has no hash; `layer` says what is wrong with it
        return layer(text, consts=consts, sizes=sizes, pad=pad)
    return found or _made.keep(key, layer(text, consts=consts, sizes=sizes, pad=pad))


def _content(value: object) -> object:
    """A key that tells 2 from 2.0 and from True, which are equal and mean different layers."""
    if isinstance(value, Mapping):
        return "mapping", *((name, _content(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return type(value), *map(_content, value)
    return type(value), value
