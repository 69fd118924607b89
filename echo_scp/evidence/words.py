"""Free text -> the views that it names, in the spellings of machines and of people in several languages.

A view is a plane (the number of chambers, long axis, short axis) seen through a window (apical, parasternal,
subcostal). Text that names two planes or two windows is ambiguous, and says so by naming several views.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from echo_scp.model import View

NOTHING: frozenset[View] = frozenset()
AMBIGUOUS = frozenset(View)


class _Window(StrEnum):
    APICAL = "apical"
    PARASTERNAL = "parasternal"
    SUBCOSTAL = "subcostal"
    SUPRASTERNAL = "suprasternal"
    ELSEWHERE = "elsewhere"  # through the oesophagus, or of a fetus


class _Plane(StrEnum):
    TWO = "2"
    THREE = "3"
    FOUR = "4"
    FIVE = "5"
    LONG = "long axis"
    SHORT = "short axis"


_COUNTS = {
    _Plane.TWO: r"2|two|zwei|deux|dos|due|dois|duas|twee|двух|二|两|兩",
    _Plane.THREE: r"3|three|drei|trois|tres|tre|drie|трех|三",
    _Plane.FOUR: r"4|four|vier|quatre|cuatro|quattro|quatro|четырех|四",
    _Plane.FIVE: r"5|five|funf|cinq|cinco|cinque|vijf|пяти|五",
}
_CHAMBERS = r"ch|cv|kb|chamb\w*|chmb\w*|kammer\w*|kamer\w*|camer\w*|camar\w*|cav\w*|камер\w*|腔\w*"
_APEX = r"ap|api|apic|apical\w*|apikal\w*"
_PROBE = r"(?! (?:d|rs|s|sc)(?![a-z]))"  # "4C-RS" is the name of an abdominal probe


def _word(pattern: str) -> re.Pattern[str]:
    """Match whole Latin words; other scripts join theirs."""
    return re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])")


_CHAMBER_PLANES = {
    plane: _word(
        rf"(?:(?:a|{_APEX}) ?)?(?:(?:{count}) ?(?:{_CHAMBERS})|{plane}c{_PROBE})|(?:{_APEX}) ?{plane}(?! ?d(?![a-z]))"
    )
    for plane, count in _COUNTS.items()
}
_PLANES = {
    **_CHAMBER_PLANES,
    _Plane.LONG: _word(
        r"(?:a|ap|p|ps)?lax|(?:ap|ps)lx|long axis|lange achse|grand axe|eje largo|asse lungo|eixo longo"
        r"|\w*(?:长轴|長軸)\w*"
    ),
    _Plane.SHORT: _word(
        r"(?:p|ps|sc)?sax|pssx|short axis|kurze achse|petit axe|eje corto|asse corto|eixo curto|\w*(?:短轴|短軸)\w*"
    ),
}
_WINDOWS = {
    _Window.APICAL: _word(rf"{_APEX}|apex|a[2345]c\w?|a(?:p)?lax|aplx|апикал\w*|верхуш\w*|\w*心尖\w*"),
    _Window.PARASTERNAL: _word(r"ps?[ls]ax|ps[ls]x|ps|pst|para ?e?stern\w*|парастерн\w*|\w*(?:胸骨旁|胸骨左)\w*"),
    _Window.SUBCOSTAL: _word(
        r"sub ?[ck]ost\w*|subc|sub ?xi?ph\w*|sous ?cost\w*|sottocost\w*|sc ?(?:\dc\w*|lax|sax|ivc)|субкост\w*"
        r"|\w*(?:剑突下|剣突下)\w*"
    ),
    _Window.SUPRASTERNAL: _word(r"supra ?stern\w*|ssn|супрастерн\w*|\w*胸骨上\w*"),
    _Window.ELSEWHERE: _word(
        r"tee|toe|trans ?o?esoph\w*|mid ?o?esoph\w*|me ?[2345]\w*|trans ?gastr\w*|fo?et(?:al|us)\w*"
        r"|\w*(?:経食|经食|胎)\w*"
    ),
}
# The right heart, a detail, or a plane off its axis: the LV is cut or foreshortened.
_NOT_FOR_THE_LEFT_VENTRICLE = _word(
    r"rv\w*|right ventric\w*|rechts\w*|focus\w*|fokus\w*|foreshort\w*|zoom\w*|off ?axis|modified|\w*(?:右室|右心)\w*"
)
_THROUGH_THE_CHEST = _word(r"tte|trans ?thora\w*")
_BY_WINDOW = {
    _Window.SUBCOSTAL: View.SUBCOSTAL,
    _Window.SUPRASTERNAL: View.OTHER,
    _Window.ELSEWHERE: View.OTHER,
}
_APICAL_VIEWS = {
    _Plane.TWO: View.A2C,
    _Plane.THREE: View.A3C,
    _Plane.FOUR: View.A4C,
    _Plane.FIVE: View.A5C,
    _Plane.LONG: View.A3C,
}
_PARASTERNAL_VIEWS = {_Plane.LONG: View.PLAX, _Plane.SHORT: View.PSAX}


def views_in_text(text: str) -> frozenset[View]:
    """Return the one view that `text` names, no view, or several where it is ambiguous."""
    plain = _plain(text)
    windows = {window for window, pattern in _WINDOWS.items() if pattern.search(plain)}
    planes = {plane for plane, pattern in _PLANES.items() if pattern.search(plain)}
    if _Window.ELSEWHERE in windows:
        return NOTHING if _THROUGH_THE_CHEST.search(plain) else frozenset({View.OTHER})
    if planes == {_Plane.THREE, _Plane.LONG}:
        planes = {_Plane.THREE}  # two names of one plane
    if _Plane.SHORT in planes:
        windows -= {_Window.APICAL}  # the level of the cut, not where the probe is
    if len(windows) > 1 or len(planes) > 1:
        return NOTHING if not planes else AMBIGUOUS
    if planes and _NOT_FOR_THE_LEFT_VENTRICLE.search(plain):
        return AMBIGUOUS
    return _view(windows.pop() if windows else None, planes.pop() if planes else None)


def is_off_plane(text: str) -> bool:
    """Tell whether `text` says that a view is not the standard one of the LV."""
    return bool(_NOT_FOR_THE_LEFT_VENTRICLE.search(_plain(text)))


def _view(window: _Window | None, plane: _Plane | None) -> frozenset[View]:
    if window in _BY_WINDOW:
        return frozenset({_BY_WINDOW[window]})
    if plane is None:
        return NOTHING
    if window is _Window.PARASTERNAL:
        return frozenset({_PARASTERNAL_VIEWS.get(plane, View.OTHER)})
    if window is None and plane in _PARASTERNAL_VIEWS:
        return frozenset({_PARASTERNAL_VIEWS[plane]})  # as the views of a stress protocol are called
    return frozenset({_APICAL_VIEWS[plane]})


def _plain(text: str) -> str:
    """Return lower case without accents, every other sign a space."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", letters).strip()
