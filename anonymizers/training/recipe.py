"""Recipe: how a generator is trained, as its file's metadata keep it."""

from __future__ import annotations

from dataclasses import dataclass

from anonymizers.classical.averaging.bank import CODE, LANDMARKS
from anonymizers.generative.conditioning import CONDITIONINGS
from anonymizers.training import losses


@dataclass(frozen=True)
class Recipe:
    """State how a generator is trained; goes into the metadata of its weights.

    Attributes:
        conditioning: of CONDITIONINGS.
        expression_loss: of EXPRESSION_LOSSES.
        steps, batch, rate, seed: of the descent.
        width: of the network.
        context: side of the low-frequency picture that the encoder sees, px.
        reconstruction, attraction, repulsion, expression, critic, leak, perceptual, price: weights of the losses;
            `price` is of a nat of the codes, and `perceptual` counts only where a perceptual distance is given.
        free: nats that cost nothing.
        patience: share of the steps before the price is asked, and again before it is asked in full: asked from the
            beginning, it closes the channels before the decoder has learned what they are good for.
        means: whether the network draws what differs from mean faces, see `NoisyUNet`.
        prelude: steps of a run before, without a price and without a loss on the expression, that the variants share.

    Raises:
        ValueError: if a name is unknown or a number out of its range.
    """

    conditioning: str = "both"
    expression_loss: str = "both"
    steps: int = 2000
    batch: int = 64
    rate: float = 2e-3
    seed: int = 0
    width: int = 16
    context: int = 14
    reconstruction: float = 8.0
    attraction: float = 2.0
    repulsion: float = 2.0
    expression: float = 1.0
    critic: float = 0.3
    leak: float = 2.0
    perceptual: float = 1.0
    price: float = 0.01
    free: float = 4.0
    patience: float = 0.2
    means: bool = False
    prelude: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("conditioning", self.conditioning, tuple(CONDITIONINGS)),
            ("expression_loss", self.expression_loss, losses.EXPRESSION_LOSSES),
        ):
            if value not in known:
                raise ValueError(f"Recipe.{name}: expected one of {', '.join(known)}, got {value!r}")
        for name in ("steps", "width", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"Recipe.{name}: expected at least 1, got {getattr(self, name)}")
        if self.batch < 2:
            raise ValueError(f"Recipe.batch: expected at least 2 (own and foreign identities), got {self.batch}")

    @property
    def asks(self) -> bool:
        """Tell whether embedder and teacher have a say; without them, every face is drawn as itself."""
        return self.attraction > 0 or self.repulsion > 0 or self.expression > 0

    @property
    def name(self) -> str:
        """Return the variant: conditioning and expression loss."""
        return f"{self.conditioning}-{self.expression_loss}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the signals that the conditioning draws from."""
        return CONDITIONINGS[self.conditioning]


@dataclass(frozen=True)
class Refining:
    """State how a network that refines averages is trained; goes into the metadata of its weights.

    Attributes:
        steps, batch, rate, seed: of the descent.
        width: of the network.
        bank: people among whom donors are looked for, about as many as there will be.
        reconstruction, attraction, expression, code, critic, perceptual: weights of the losses; `perceptual` counts
            only where a perceptual distance is given.
        school: steps in which the reader of codes learns from real faces before the network begins.
        early: share of the steps by which the reconstruction has come down to `late` of its weight.
        late: see there.
        truncated: share of the drawn identities that lie nearer to the mean than people do.

    Raises:
        ValueError: if a number is out of its range.
    """

    steps: int = 1_200
    batch: int = 32
    rate: float = 2e-3
    seed: int = 0
    width: int = 16
    bank: int = 120
    school: int = 600
    reconstruction: float = 8.0
    attraction: float = 8.0
    expression: float = 1.0
    code: float = 2.0
    critic: float = 0.3
    perceptual: float = 1.0
    early: float = 0.3
    late: float = 0.25
    truncated: float = 0.5

    def __post_init__(self) -> None:
        for name in ("steps", "width", "bank"):
            if getattr(self, name) < 1:
                raise ValueError(f"Refining.{name}: expected at least 1, got {getattr(self, name)}")
        if self.batch < 2:
            raise ValueError(f"Refining.batch: expected at least 2 (own and foreign identities), got {self.batch}")
        for name in ("early", "late", "truncated"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Refining.{name}: expected a share in [0, 1], got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """Return the variant."""
        return "refined"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the signals that it draws from."""
        return (*CODE, LANDMARKS)
