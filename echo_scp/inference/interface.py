"""What a network takes and gives, as the tables [input], [sampling] and [output] of a manifest say it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from echo_scp.model import Structure, View

BACKGROUND = "background"
IGNORE = "ignore"  # a class of the network that nobody asks for

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class WrongFieldError(ValueError):
    """Fields that are right alone and wrong together; carries what a ManifestError needs."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


class Table(BaseModel):
    """A table of a manifest: unknown keys are errors, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InputTensor(Table):
    """Frames as float32; with grey from 0 to 255, each value is (grey / scale - mean) / std.

    `layout` counts (N, C, H, W), (N, H, W, C) or, for networks that see time, (N, C, T, H, W). How the `area` of the
    picture is fitted into the square: "letterbox" keeps millimetres true and pads with black, "stretch" fills the
    square, "crop" takes the centred square and cuts `border`, a share of its side, off on each side. A network whose
    sides may be any `multiple_of` a number up to `size` is spared most of the letterbox's black. Interpolation "area"
    averages where the picture shrinks. What lies outside an upright sector of `sector_degrees` below the top centre of
    the area is black.
    """

    tensor: str
    size: int = Field(ge=16, le=2048)
    channels: Literal[1, 3] = 1
    layout: Literal["NCHW", "NHWC", "NCTHW"] = "NCHW"
    scale: Positive = 255.0
    mean: Finite | tuple[Finite, ...]
    std: Positive | tuple[Positive, ...]
    area: Literal["region", "picture"] = "region"
    fit: Literal["letterbox", "stretch", "crop"] = "letterbox"
    border: float = Field(0.0, ge=0, le=0.4)
    multiple_of: int | None = Field(None, ge=1)
    interpolation: Literal["area", "linear", "cubic"] = "area"
    sector_degrees: float | None = Field(None, gt=0, lt=180)

    @property
    def shortest(self) -> int:
        """Return the shortest side that the network takes."""
        return self.multiple_of or self.size

    @property
    def factors(self) -> tuple[float, ...]:
        """Return, per channel, what a grey value is multiplied with before its offset is added."""
        return tuple(1 / (self.scale * std) for std in self._per_channel(self.std))

    @property
    def offsets(self) -> tuple[float, ...]:
        """Return, per channel, what the network is given for black."""
        means, stds = self._per_channel(self.mean), self._per_channel(self.std)
        return tuple(-mean / std for mean, std in zip(means, stds, strict=True))

    def _per_channel(self, value: float | tuple[float, ...]) -> tuple[float, ...]:
        return value if isinstance(value, tuple) else (value,) * self.channels

    @model_validator(mode="after")
    def _fields_agree(self) -> InputTensor:
        for name in ("mean", "std"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.channels:
                raise WrongFieldError(f"input.{name}", f"one number, or {self.channels}: one per channel")
        if self.border and self.fit != "crop":
            raise WrongFieldError("input.border", f'0, or fit = "crop"; fit is "{self.fit}"')
        if self.multiple_of is not None:
            if (self.layout, self.fit) != ("NCHW", "letterbox"):
                raise WrongFieldError("input.multiple_of", 'layout = "NCHW" and fit = "letterbox", or no such number')
            if self.size % self.multiple_of:
                raise WrongFieldError("input.multiple_of", f"a divisor of size, {self.size}")
        return self


class Sampling(Table):
    """Which frames a network sees together: `frames` of them, every `period`-th one or `interval_ms` apart.

    Mode "clip" takes up to `clips` such runs, evenly placed; "beat" takes one around each end-systole. What is computed
    from them is averaged. Frames that the clip does not have are zeros to the network.
    """

    frames: int = Field(ge=1, le=1000)
    period: int | None = Field(None, ge=1, le=100)
    interval_ms: float | None = Field(None, gt=0, le=10_000)
    mode: Literal["clip", "beat"] = "clip"
    clips: int = Field(10, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_distance(self) -> Sampling:
        if (self.period is None) == (self.interval_ms is None):
            raise WrongFieldError("sampling.period", "either period or interval_ms")
        return self


class Value(Table):
    """A number that a network gives, and its unit (UCUM)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    unit: str = Field(min_length=1, max_length=16)


class OutputTensor(Table):
    """Channel k means `labels[k]`, or `values[k]`.

    "logits" and "probabilities" have a channel per label; "sigmoid" with labels is one channel that is positive where
    `labels[1]` is. Values are numbers as they come ("regression"), or probabilities whose logits come ("sigmoid").
    """

    tensor: str
    activation: Literal["logits", "sigmoid", "probabilities", "regression"] = "logits"
    labels: tuple[str, ...] = ()
    values: tuple[Value, ...] = ()

    @property
    def channels(self) -> int:
        """Return how many channels the tensor has."""
        if self.values:
            return len(self.values)
        return 1 if self.activation == "sigmoid" else len(self.labels)

    @property
    def structures(self) -> tuple[Structure, ...]:
        """Return what a segmentation network outlines, without what is ignored."""
        return tuple(dict.fromkeys(Structure(label) for label in self.labels if label not in (BACKGROUND, IGNORE)))

    @property
    def label_values(self) -> tuple[int, ...]:
        """Return, per label, its value in a Segmentation: 0, or 1 + its place among `structures`."""
        places = {structure.value: place for place, structure in enumerate(self.structures, 1)}
        return tuple(places.get(label, 0) for label in self.labels)

    @property
    def views(self) -> tuple[View, ...]:
        """Return the views that a view network tells apart."""
        return tuple(dict.fromkeys(View(label) for label in self.labels))

    @field_validator("values")
    @classmethod
    def _names_differ(cls, value: tuple[Value, ...]) -> tuple[Value, ...]:
        names = [item.name for item in value]
        if len(set(names)) != len(names):
            raise ValueError(f"names that differ, not {', '.join(names)}")
        return value

    @model_validator(mode="after")
    def _channels_have_one_meaning(self) -> OutputTensor:
        if bool(self.labels) == bool(self.values):
            raise WrongFieldError("output.labels", "either labels or values")
        if self.labels and self.activation == "regression":
            raise WrongFieldError("output.values", 'names and units; activation is "regression"')
        if self.values and self.activation not in ("regression", "sigmoid"):
            raise WrongFieldError("output.activation", f'"regression" or "sigmoid" for values, not "{self.activation}"')
        if self.labels and (len(self.labels) < 2 or (self.activation == "sigmoid" and len(self.labels) != 2)):
            raise WrongFieldError("output.labels", 'two labels or more, exactly two when activation is "sigmoid"')
        return self
