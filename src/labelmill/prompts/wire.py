"""The requests of a bulk run: each the bytes that DSPy would post, at a fiftieth of the cost of rendering them.

`Template` renders a program's request once, through DSPy's adapter, and splices documents into the bytes. How one
request is rendered is in `rendering`, how answers are read in `answers`.
"""

from __future__ import annotations

import marshal
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
import orjson

from labelmill.prompts.adapter import ADAPTER
from labelmill.prompts.answers import CUT, parse, repair
from labelmill.prompts.rendering import MARK, encode, fingerprint, render, response_format

__all__ = ["CUT", "Template", "Templates", "encode", "fingerprint", "parse", "render", "repair", "response_format"]

_LOUD = """ \t\r\n  "a" b 'c' \\ \\n {d} {{e}} %s {"f": ["g"]} [[ ## h ## ]]\n\n   \n\n[[ ## completed ## ]]\n    i
\r\nj\x00\x01\x1f\x7f\x85\u2028 e\u0301 ﬁ „é“ 🥖🏽 <k> &amp; NAME `l` ```json\n[1]\n```\n\n\t \n """
_SAMPLES = (_LOUD, "", " \n")
"""What an adapter must leave alone if inputs are to be spliced in; blanks at the ends and alone tell of trimming."""

_KEPT = 256

_Rendered = Callable[..., bytes]
"""Renders a request from inputs, and the demonstrations for them where they have their own."""


class Template:
    """The request of one program to one model, with the inputs left open.

    An adapter may do with inputs what it likes. So the cut body is held against rendered ones when it is made: with
    inputs of all sorts, of blanks, of nothing. Where they differ, inputs that begin and end with no white space are
    tried, and splicing is kept to those; where these differ as well, every request is rendered. A predictor that was
    changed since, in whatever way, is noticed at the next request.

    >>> template = Template.of(predict, "my-model", max_tokens=100)  # doctest: +SKIP
    >>> template.body({"text": "Knead the dough."})  # doctest: +SKIP
    b'{"model":"my-model","messages":[...
    """

    def __init__(self, predict: dspy.Predict, rendered: _Rendered) -> None:
        """Take the predictor, and what renders a request from its present state; use `of`."""
        self.predict = predict
        self._rendered = rendered
        self._state: object = None
        self._cut: _Cut | None = None

    @classmethod
    def of(
        cls,
        predict: dspy.Predict,
        model: str,
        *,
        max_tokens: int,
        adapter: dspy.Adapter = ADAPTER,
        narrow: Callable[[type[dspy.Signature]], type[dspy.Signature]] | None = None,
        **extra: Any,
    ) -> Template:
        """Make the template of a predictor's requests.

        Args:
            predict: The program's predictor, with its signature and demonstrations.
            model: The model's name at the server.
            max_tokens: Length of an answer at most.
            adapter: How the program speaks to the model.
            narrow: Makes the signature to ask under from the predictor's.
            extra: More fields of the body, as for `render`.
        """

        def rendered(inputs: Mapping[str, Any], demos: Sequence[dspy.Example] | None = None) -> bytes:
            signature = narrow(predict.signature) if narrow else predict.signature
            asked = {"max_tokens": max_tokens, "adapter": adapter, "signature": signature, "demos": demos}
            return encode(render(predict, model, inputs, **asked, **extra))

        return cls(predict, rendered)

    def body(self, inputs: Mapping[str, str], demos: Sequence[dspy.Example] = ()) -> bytes:
        """Write the request for these inputs: the JSON that DSPy posts, byte for byte.

        Args:
            inputs: A value for every input field.
            demos: Demonstrations for these inputs alone; such a request is rendered, which takes a millisecond or two.

        Raises:
            UnicodeEncodeError: An input holds one half of a surrogate pair. What reads documents has replaced those.
        """
        if demos:
            return self._rendered(inputs, demos)
        state = _state_of(self.predict)
        if state is None:
            return self._rendered(inputs)
        if state != self._state:
            self._cut, self._state = _Cut.of(self.predict, self._rendered), state
        body = self._cut.filled(inputs) if self._cut else None
        return self._rendered(inputs) if body is None else body


@dataclass(frozen=True, slots=True)
class _Cut:
    """A body, cut at its inputs.

    Attributes:
        start: What comes before the first input.
        rest: Each input's name, in order, and what comes behind it.
        names: The inputs' names.
        trims: Whether the adapter may trim inputs, so that only trimmed ones are spliced in.
    """

    start: bytes
    rest: tuple[tuple[str, bytes], ...]
    names: frozenset[str]
    trims: bool

    @classmethod
    def of(cls, predict: dspy.Predict, rendered: Callable[[Mapping[str, Any]], bytes]) -> _Cut | None:
        """Render once with probes, cut there, and see that the pieces give what is rendered; None where they do not."""
        names = list(predict.signature.input_fields)
        probes = {name: f"probe-{number}-{secrets.token_hex(16)}" for number, name in enumerate(names)}
        body = rendered(probes)
        if any(body.count(probe.encode()) != 1 for probe in probes.values()) or MARK.encode() in body:
            return None
        start, rest = body, list[tuple[str, bytes]]()
        for name in sorted(names, key=lambda name: body.index(probes[name].encode()), reverse=True):
            start, _, behind = start.partition(probes[name].encode())
            rest.insert(0, (name, behind))
        for trims, samples in ((False, _SAMPLES), (True, (_LOUD.strip(),))):
            cut = cls(start, tuple(rest), frozenset(names), trims)
            tried = ({name: sample.replace("NAME", name) for name in names} for sample in samples)
            if all(cut.filled(inputs) == rendered(inputs) for inputs in tried):
                return cut
        return None

    def filled(self, inputs: Mapping[str, str]) -> bytes | None:
        """Splice the inputs in; None where that might not be what the adapter does."""
        if inputs.keys() != self.names:
            return None
        parts = [self.start]
        for name, behind in self.rest:
            value = inputs[name]
            if type(value) is not str or (self.trims and (not value or value[0].isspace() or value[-1].isspace())):
                return None
            try:
                parts += orjson.dumps(value)[1:-1], behind
            except orjson.JSONEncodeError:
                return None
        return b"".join(parts)


class Templates:
    """The templates of one program, each made when it is first asked for; a copied program begins without any."""

    def __init__(self) -> None:
        """Begin without any."""
        self._made: dict[Hashable, Template] = {}

    def __deepcopy__(self, _memo: dict[int, object]) -> Templates:
        """Begin anew: the copy of a program has predictors of its own."""
        return Templates()

    def of(self, predict: dspy.Predict, key: Hashable, make: Callable[[], Template]) -> Template:
        """Give the predictor's template of this key, and make it where there is none; the oldest gives way."""
        template = self._made.get(key)
        if template is None or template.predict is not predict:
            self._made.pop(key, None)
            if len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            template = self._made[key] = make()
        return template


def _state_of(predict: dspy.Predict) -> object:
    """Give what a request is made of, as a value that differs where anything of it was changed, in place as well.

    Returns:
        The signature, its fields' types, and the instructions, descriptions and demonstrations as bytes; None where
        a demonstration holds what is no plain data, and cannot be watched.
    """
    signature = predict.signature
    fields = signature.model_fields
    written = [signature.__doc__, [(name, field.json_schema_extra) for name, field in fields.items()]]
    try:
        # Not to be read again. Of all encodings it alone is exact about plain types: NaN, 1 and true, tuple and list.
        content = marshal.dumps([*written, [dict(demo) for demo in predict.demos]], 2)
    except (TypeError, ValueError):
        return None
    return signature, [field.annotation for field in fields.values()], content
