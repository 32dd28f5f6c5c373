"""How well the model of a map tells the map's places apart, in words."""

from __future__ import annotations

from progeo_core.localization.consensus import usual_place_radius_m
from progeo_core.localization.look_alikes import alike_by_chance
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap

_POORLY = "this model tells this map's places apart poorly: "
_TWO_REASONS = "they do not overlap, or this model sees nothing of what tells places apart"
# Neighbours that are not this much more alike than far places (standard deviations) do not stand
# out at all.
_STANDS_OUT = 0.5


def how_places_are_told_apart(place_map: PlaceMap) -> str:
    """Return one line, "" for a map of less than two places; `DataError` for a damaged one."""
    if len(place_map) < 2:
        return ""
    return _in_words(PreparedMap(place_map, PlaceIndex.open(place_map)))


def _in_words(prepared: PreparedMap) -> str:
    spacing, spread = prepared.spacing, prepared.far_spread
    if spacing.neighbour_similarity < _STANDS_OUT * spread:
        return f"neighbours look no more alike than places far apart: {_TWO_REASONS}"
    share = prepared.look_alikes(usual_place_radius_m(spacing.spacing_m))
    line = f"{share:.0%} of the places look more like one far away than like their neighbours"
    return f"{_POORLY}{line}" if share and alike_by_chance(spread) else line
