"""Header -> the view that the machine or the operator says this is.

Sources are heard from the most to the least trustworthy; the first that names a view speaks alone, for they all come
from one hand or one protocol. One that names several views ends the search: there is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from echo_scp.evidence.words import AMBIGUOUS, NOTHING, is_off_plane, views_in_text
from echo_scp.model import View

_SNOMED_RT = {"SNM3", "99SDM", "SRT"}  # PS3.16 8.1: older designators of one coding scheme
_OFF_AXIS = Code("103341000", "SCT", "Off axis")
_VIEW_CODES: tuple[tuple[View, tuple[Code, ...]], ...] = (
    (View.A4C, (codes.SCT.ApicalFourChamber,)),
    (View.A2C, (codes.SCT.ApicalTwoChamber,)),
    (View.A3C, (codes.SCT.ApicalLongAxis,)),
    (View.A5C, (codes.SCT.FiveChamber,)),
    (View.PLAX, (codes.SCT.ParasternalLongAxis,)),
    (
        View.PSAX,
        (
            codes.SCT.ParasternalShortAxis,
            codes.SCT.ParasternalShortAxisAtTheAorticValveLevel,
            codes.SCT.ParasternalShortAxisAtTheLevelOfTheMitralChords,
            codes.SCT.ParasternalShortAxisAtTheMitralValveLevel,
            codes.SCT.ParasternalShortAxisAtThePapillaryMuscleLevel,
        ),
    ),
    (
        View.SUBCOSTAL,
        (
            codes.SCT.SubcostalLongAxis,
            codes.SCT.SubcostalObliqueCoronalView,
            codes.SCT.SubcostalShortAxis,
            codes.SCT.SubcostalShortAxisViewAtAorticValveLevel,
            codes.SCT.SubcostalShortAxisViewAtMitralValveLevel,
            codes.SCT.SubcostalShortAxisViewAtPapillaryMuscleLevel,
            codes.SCT.SubcostalShortAxisViewAtVenousInflowLevel,
            codes.SCT.SubcostalViewOfCardiacOutletsDirectedAnteriorly,
        ),
    ),
    (
        View.OTHER,
        (
            codes.DCM.ApicalFourChamberRVFocused,
            codes.DCM.ApicalFourChamberRVModified,
            Code("131029", "DCM", "Four chamber view"),  # of a fetus, CID 12312
            codes.SCT.ParasternalLongAxisViewOfTheRVInflowTract,
            codes.SCT.ParasternalLongAxisViewOfTheRVOutflowTract,
            codes.SCT.RightVentricularInflowTractView,
            codes.SCT.RightVentricularOutflowTractView,
            codes.SCT.SuprasternalCoronalView,
            codes.SCT.SuprasternalLongAxis,
            codes.SCT.SuprasternalLongAxisViewOfAorticArch,
            codes.SCT.SuprasternalSagittalView,
            codes.SCT.SuprasternalShortAxis,
            codes.SCT.TransesophagealShortAxisView,
        ),
    ),
)
"""PS3.16 CID 12226, in SNOMED CT; pydicom compares SNOMED RT codes with them."""

_NOT_THE_HEART = {"ABDOMEN", "ARTERY", "BREAST", "CAROTID", "FETUS", "KIDNEY", "LIVER", "NECK", "PELVIS", "UTERUS"}


@dataclass(frozen=True, slots=True)
class Source:
    """A place in the header.

    `error_rate` is how often a view named there is not the clip's. `own_probability` is what the network itself must
    give that view before it may be claimed. `per_clip` says that it is written for one clip, so that a network that
    contradicts it must not be believed either.
    """

    name: str
    read: Callable[[Dataset], frozenset[View]]
    error_rate: float
    own_probability: float
    per_clip: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """The view that a header names, and where."""

    view: View
    source: Source


def read_evidence(header: Dataset) -> Evidence | None:
    """Return what the most trustworthy source that speaks says; None when none does or it names several views."""
    for source in _SOURCES:
        named = source.read(header)
        if named:
            return Evidence(next(iter(named)), source) if len(named) == 1 else None
    return None


def _coded_views(header: Dataset) -> frozenset[View]:
    """Read View Code Sequence (0054,0220) with its modifiers (0054,0222)."""
    return frozenset().union(*map(_coded_view, _items(header, "ViewCodeSequence")))


def _coded_view(item: Dataset) -> frozenset[View]:
    if any(
        _code(modifier) == _OFF_AXIS or is_off_plane(_text(modifier, "CodeMeaning")) for modifier in _modifiers(item)
    ):
        return AMBIGUOUS
    code = _code(item)
    known = [view for view, view_codes in _VIEW_CODES if code in view_codes]
    return frozenset(known) or views_in_text(_text(item, "CodeMeaning"))


def _modifiers(item: Dataset) -> tuple[Dataset, ...]:
    return _items(item, "ViewModifierCodeSequence")


def _code(item: Dataset) -> Code:
    scheme = _text(item, "CodingSchemeDesignator")
    return Code(_text(item, "CodeValue"), "SRT" if scheme in _SNOMED_RT else scheme, "")


def _named_views(header: Dataset, keywords: tuple[str, ...]) -> frozenset[View]:
    """Read elements of text, and the meanings in sequences of codes."""
    return frozenset().union(*(views_in_text(text) for keyword in keywords for text in _texts(header, keyword)))


def _study_views(header: Dataset) -> frozenset[View]:
    elsewhere = {part.upper() for part in _texts(header, "BodyPartExamined")} & _NOT_THE_HEART
    named = _named_views(header, ("StudyDescription", "RequestedProcedureDescription"))
    return named | ({View.OTHER} if elsewhere else NOTHING)


def _texts(header: Dataset, keyword: str) -> Iterator[str]:
    if keyword.endswith("Sequence"):
        yield from (_text(item, "CodeMeaning") for item in _items(header, keyword))
    else:
        value = header.get(keyword)
        yield from (str(part).strip() for part in (value if isinstance(value, MultiValue) else [value or ""]))


def _text(item: Dataset, keyword: str) -> str:
    return next(_texts(item, keyword), "")


def _items(header: Dataset, keyword: str) -> tuple[Dataset, ...]:
    value = header.get(keyword)
    return tuple(value) if value is not None and header[keyword].VR == "SQ" else ()


# Nobody has published how often these err. The rates are ours and cautious: a code or a protocol's view is chosen from
# a list for this clip; a comment is typed, and at times left from the clip before; a series often holds every view.
_SOURCES = (
    Source("View Code Sequence (0054,0220)", _coded_views, 0.02, 0.20, True),
    Source("View Name (0008,2127)", partial(_named_views, keywords=("ViewName", "StageName")), 0.05, 0.25, True),
    Source("Image Comments (0020,4000)", partial(_named_views, keywords=("ImageComments",)), 0.10, 0.30, True),
    Source(
        "the description of the series",
        partial(
            _named_views,
            keywords=(
                "SeriesDescription",
                "ProtocolName",
                "AcquisitionProtocolName",
                "PerformedProcedureStepDescription",
                "PerformedProtocolCodeSequence",
            ),
        ),
        0.20,
        0.35,
        False,
    ),
    Source("the description of the study", _study_views, 0.33, 0.40, False),
)
