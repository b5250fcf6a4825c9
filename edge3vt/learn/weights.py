"""Weights on disk: safetensors with the ModelSpec and the network's name inside, and nothing that can run code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edge3vt.core.documents import parse_json, suggestion, to_json, whole_file
from edge3vt.core.errors import ArtifactError, DataError
from edge3vt.core.spec import ModelSpec
from edge3vt.learn.networks import Lone, build, output_stride

KEY = "edge3vt"  # one entry: safetensors writes several in any order, and the same weights should be the same bytes
ASSETS = Path(__file__).resolve().parents[1] / "assets"


@dataclass(frozen=True, slots=True)
class _Head:
    network: str
    spec: ModelSpec


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A network with its weights, in evaluation mode, and what it is."""

    model: nn.Module
    spec: ModelSpec
    network: str


def find_weights(name: str) -> Path:
    """The file that ``name`` means: a path, or the name of a shipped student. Raises ArtifactError."""
    path = Path(name)
    if path.is_dir():
        path = path / "weights.safetensors"
    if path.is_file():
        return path
    shipped = {found.parent.name: found for found in ASSETS.glob("*/student.safetensors")}
    if name in shipped:
        return shipped[name]
    raise ArtifactError(f"{name}: no such weights{suggestion(name, shipped)}")


def save_weights(path: Path, model: nn.Module, spec: ModelSpec, network: str) -> None:
    """Write weights whole or not at all. Raises DataError where they cannot be written."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_tensors(path, tensors, {KEY: to_json(_Head(network, spec), indent=None).strip()})


def load_weights(path: Path, network: str | None = None) -> Weights:
    """The network in ``path``. Raises ArtifactError for anything else.

    network: its name or import path, where the file does not tell.
    """
    tensors, metadata = read_tensors(path)
    if KEY not in metadata:
        raise ArtifactError(
            f"{path}: no '{KEY}' in its metadata, so nobody knows what it is; train it with edge3vt, or, as a teacher, "
            "name its class as teacher.network"
        )
    head = parse_json(_Head, metadata[KEY], where=f"{path}: {KEY}")
    network = network or head.network
    model = build(network, len(head.spec.classes))
    _fill(model, tensors, path, network)
    return Weights(model.eval(), head.spec, network)


def load_foreign(path: Path, network: str, classes: Sequence[str], size: int) -> Weights:
    """What another tool trained: the state of ``network``, in safetensors, for these classes and size x size px.

    A file that tells what it is, as ours do, is taken at its word. Raises ArtifactError.
    """
    tensors, metadata = read_tensors(path)
    if KEY in metadata:
        return load_weights(path, network)
    model = build(network, len(classes))
    _fill(model.network if isinstance(model, Lone) else model, tensors, path, network)
    spec = ModelSpec(
        schema=1,
        name="foreign",
        version="1",
        classes=tuple(classes),
        height=size,
        width=size,
        stride=output_stride(model, size),
        has_view=False,
        full_range=True,
        training="trained with another tool",
    )
    return Weights(model.eval(), spec, network)


def _fill(model: nn.Module, tensors: dict[str, Tensor], path: Path, network: str) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ArtifactError(f"{path}: its weights are not those of {network} ({_line(error)})") from error


def initialise(model: nn.Module, path: Path) -> list[str]:
    """Start ``model`` from the weights in ``path``; returns what does not fit and so stays as it was, such as a head
    for other classes. Raises ArtifactError for weights of another network.
    """
    tensors, _ = read_tensors(path)
    own = model.state_dict()
    fitting = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if len(fitting) < 0.9 * len(own):
        raise ArtifactError(
            f"{path}: {len(fitting)} of {len(own)} tensors fit, so it holds another network; start from its own"
        )
    model.load_state_dict(fitting, strict=False)
    return sorted(set(own) - set(fitting))


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all. Raises DataError where it cannot be written."""
    with whole_file(path) as partial:
        mode = partial.stat().st_mode
        try:
            save_file(tensors, partial, metadata)
            partial.chmod(mode)  # which that made the owner's alone
        except SafetensorError as error:  # a full disk is no OSError there
            raise DataError(f"{path}: cannot be written ({_line(error)}); choose another output") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file. Raises ArtifactError."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path}: not weights in safetensors ({_line(error)}); check the path") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
