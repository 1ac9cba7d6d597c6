"""How the charts look, and how a notebook shows them: as a picture that needs no JavaScript."""

import hashlib
import json
import os
import struct
import zlib
from pathlib import Path

import altair as alt
import vl_convert

# Okabe and Ito's colours, which people with any colour vision tell apart.
BLUE, ORANGE, GREEN, RED, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#9AA0A6"
INK, FAINT = "#24292F", "#E4E7EB"
SEVERITIES = {"critical": RED, "high": ORANGE, "medium": BLUE, "low": SKY, "info": GREY}

WIDTH = 640
MOST_POINTS = 5000


def _font(size: int, weight: str = "normal") -> dict:
    return {"font": "Liberation Sans, Arial, sans-serif", "fontSize": size, "fontWeight": weight}


def _named(prefix: str, font: dict) -> dict:
    return {prefix + key[0].upper() + key[1:]: value for key, value in font.items()}


@alt.theme.register("orgwatch", enable=True)
def _theme() -> alt.theme.ThemeConfig:
    axis = _named("label", _font(12)) | _named("title", _font(12))
    colours = {"labelColor": INK, "titleColor": INK}
    return {
        "config": {
            "background": "white",
            "padding": 14,
            "view": {"stroke": None, "continuousWidth": WIDTH, "discreteWidth": WIDTH},
            "title": _font(16, "bold")
            | _named("subtitle", _font(12))
            | {"anchor": "start", "frame": "group", "color": INK, "subtitleColor": "#57606A", "offset": 14, "subtitlePadding": 6},
            "axis": axis
            | colours
            | {"gridColor": FAINT, "domainColor": "#8C959F", "tickColor": "#8C959F", "labelLimit": 260, "titlePadding": 10},
            "legend": axis | colours | {"orient": "top", "title": None, "symbolStrokeWidth": 2, "labelLimit": 400},
            "range": {"category": [BLUE, ORANGE, GREEN, RED, SKY, GREY]},
            "text": _font(12) | {"color": INK},
        }
    }


class Picture:
    """A chart as PNG, with its title for those who cannot see it.

    The text also holds a digest of the chart's description and data: two pictures of one text show
    the same.
    """

    def __init__(self, chart: alt.TopLevelMixin):
        self.spec = chart.to_dict()
        self.points = sum(map(len, self.spec.get("datasets", {}).values()))
        assert 0 < self.points <= MOST_POINTS, f"{self.points} points, more than {MOST_POINTS}, or none"

    def _repr_mimebundle_(self, include=None, exclude=None):
        title = self.spec["title"]
        subtitle = title.get("subtitle", "")
        words = [title["text"], *([subtitle] if isinstance(subtitle, str) else subtitle)]
        content = json.dumps(self.spec, sort_keys=True).encode()
        text = f"{'. '.join(filter(None, words))} ({self.points} points, {hashlib.sha256(content).hexdigest()[:12]})"
        return {"image/png": _packed(vl_convert.vegalite_to_png(self.spec, scale=1.5)), "text/plain": text}


def _packed(png: bytes) -> bytes:
    """The same picture in a quarter of the bytes: its one stream of pixels is packed in earnest."""
    chunks, at = [], 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks.append((kind, png[at + 8 : at + 8 + size]))
        at += 12 + size
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    kept = [chunks[0], (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return png[:8] + b"".join(
        struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in kept
    )


def show(chart: alt.TopLevelMixin, title: str, subtitle: str | list[str] = "", file: str | None = None) -> Picture:
    """The chart under the sentence that it shows.

    `file` is the name of an SVG for pages elsewhere. It is only written where NOTEBOOK_PICTURES names
    a folder, as make.py does when it makes notebooks anew.
    """
    picture = Picture(chart.properties(title=alt.Title(title, subtitle=subtitle)))
    folder = os.environ.get("NOTEBOOK_PICTURES")
    if file and folder:
        (Path(folder) / file).write_text(vl_convert.vegalite_to_svg(picture.spec))
    return picture
