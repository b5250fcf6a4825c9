"""Weights as a session: a network in torch that keeps the engine contract, for evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from edge3vt.core.errors import EngineError
from edge3vt.core.frame import Pixels
from edge3vt.core.session import Logits
from edge3vt.core.spec import ModelSpec
from edge3vt.learn.networks import gmac
from edge3vt.learn.weights import Weights, load_weights


class TorchSession:
    """A network on this machine's GPU, or its CPU, in float32. params_m: millions; gmac: of one picture."""

    def __init__(self, weights: Weights, size: int | None = None) -> None:
        size = size or weights.spec.height
        self._spec = replace(weights.spec, height=size, width=size)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = weights.model.eval().to(self._device)
        self.params_m = sum(p.numel() for p in weights.model.parameters()) / 1e6
        self.gmac = gmac(weights.model, size)

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @torch.inference_mode()
    def run(self, pixels: Pixels, logits: Logits, view: Logits | None = None) -> None:
        if pixels.shape != self._spec.input_shape or logits.shape != self._spec.logits_shape:
            raise EngineError(
                f"{self._spec.model_id}: pixels {pixels.shape} and logits {logits.shape}, expected "
                f"{self._spec.input_shape} and {self._spec.logits_shape}"
            )
        found, called = self._model(torch.from_numpy(pixels).to(self._device).float())
        logits[...] = found.cpu().numpy()
        if view is not None and called is not None:
            view[...] = called.cpu().numpy()

    def close(self) -> None:
        """Nothing to give back."""


def open_weights(path: Path, size: int | None = None) -> TorchSession:
    """The network in ``path`` at ``size`` px, that of its training where None. Raises ArtifactError."""
    return TorchSession(load_weights(path), size)
