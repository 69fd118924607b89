"""Join a header's evidence with the network's probabilities: Bayes' rule, and when neither is believed."""

from __future__ import annotations

from dataclasses import replace

from echo_scp.evidence.header import Evidence
from echo_scp.model import View, ViewEstimate

Probabilities = dict[View, float]


def weigh(estimate: ViewEstimate, evidence: Evidence | None, threshold: float) -> ViewEstimate:
    """Return the estimate with the evidence counted in; `threshold` is the engine's.

    A source that errs in e of all clips multiplies the odds of the view it names by (1 - e) / e. The answer is
    View.OTHER below the threshold, when the network alone gives the named view too little, and when a confident network
    contradicts what was written for this very clip: a wrong view measured is worse than a clip not measured.
    """
    if evidence is None:
        return estimate
    prior = dict(estimate.probabilities)
    named = evidence.view if evidence.view in prior else View.OTHER
    posterior = _posterior(prior, named, evidence.source.error_rate)
    view, doubt = _decide(prior, posterior, named, evidence, threshold)
    said = f"{evidence.source.name} names {evidence.view}"
    return replace(
        estimate,
        view=view,
        confidence=posterior.get(view, 0.0),
        probabilities=tuple(posterior.items()),
        evidence=f"{said}; {doubt}" if doubt else said,
    )


def _posterior(prior: Probabilities, named: View, error_rate: float) -> Probabilities:
    ratio = (1 - error_rate) / error_rate
    weighted = {view: p * (ratio if view is named else 1.0) for view, p in prior.items()}
    total = sum(weighted.values())
    return {view: p / total for view, p in weighted.items()} if total > 0 else prior


def _decide(
    prior: Probabilities, posterior: Probabilities, named: View, evidence: Evidence, threshold: float
) -> tuple[View, str]:
    """Return the view and, where there was a reason to doubt, that reason."""
    seen = max(prior, key=prior.__getitem__)
    best = max(posterior, key=posterior.__getitem__)
    if evidence.source.per_clip and seen is not named and prior[seen] >= threshold:
        return View.OTHER, f"the network sees {seen} ({prior[seen]:.2f}): neither is believed"
    if posterior[best] < threshold:
        return View.OTHER, f"the network sees {seen} ({prior[seen]:.2f}): not sure enough"
    if best is named and prior[named] < evidence.source.own_probability:
        return View.OTHER, f"the network gives it {prior[named]:.2f} only"
    return best, ""
