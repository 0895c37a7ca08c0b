"""The words of the catalogue `fashion`: fabric, occasion and season, in varied wording.

A text says what the picture does not, and the picture what the text does not: no text names a colour or a
pattern.
"""

from __future__ import annotations

import numpy as np

from tfmmrec.types import UsageError

# Each value, and the wordings a description picks from.
FABRICS = {
    "linen": ("pure linen", "washed flax linen", "airy woven flax", "crisp linen cloth"),
    "wool": ("soft merino wool", "boiled lambswool", "fine woollen yarn", "a warm wool blend"),
    "silk": ("mulberry silk", "fluid silk satin", "sandwashed silk", "light habotai silk"),
    "denim": ("sturdy denim", "selvedge jeans cloth", "stonewashed denim", "heavy twill denim"),
    "cotton": ("organic cotton", "brushed cotton", "combed cotton jersey", "everyday cotton poplin"),
    "leather": ("supple leather", "vegetable-tanned hide", "smooth nappa leather", "full-grain leather"),
    "velvet": ("plush velvet", "crushed velvet", "a deep velvet pile", "velveteen"),
    "fleece": ("recycled fleece", "quick-dry fleece", "brushed polar fleece", "technical fleece"),
}
OCCASIONS = {
    "office": ("the office", "long meetings", "days at a desk", "business lunches"),
    "beach": ("the beach", "sand and salt water", "a day by the sea", "the boardwalk"),
    "party": ("parties", "dancing until late", "a night out", "cocktails with friends"),
    "sports": ("sports", "the gym and the running track", "an active weekend", "training sessions"),
    "wedding": ("weddings", "ceremonies and receptions", "formal celebrations", "being a guest of honour"),
    "travel": ("travel", "long flights and train rides", "city breaks", "living out of a suitcase"),
    "home": ("staying at home", "slow mornings on the sofa", "lounging around", "cosy nights in"),
}
SEASONS = {
    "spring": ("spring", "April showers", "the first mild days", "blossom time"),
    "summer": ("summer", "breezy August days", "heatwaves", "long hot afternoons"),
    "autumn": ("autumn", "crisp October mornings", "falling leaves", "foggy harvest weeks"),
    "winter": ("winter", "snow and frost", "freezing January nights", "the coldest months"),
}
NAMES = (
    *("Alma", "Nils", "Freya", "Otto", "Ines", "Bruno", "Clara", "Hugo", "Edda", "Felix", "Greta", "Milo"),
    *(
        "Juno",
        "Oskar",
        "Lotte",
        "Anton",
        "Maren",
        "Theo",
        "Paula",
        "Emil",
        "Selma",
        "Ruben",
        "Tilda",
        "Viggo",
    ),
    *(
        "Nora",
        "Casper",
        "Wanda",
        "Linus",
        "Dora",
        "Elias",
        "Ronja",
        "Magnus",
        "Svea",
        "Arlo",
        "Thea",
        "Jonas",
    ),
)
_NOUNS = {name: f"pair of {name}" for name in ("trousers", "shorts", "shoes")}
_TEMPLATES = (
    "A {noun} in {fabric}, made for {occasion}. Comes into its own in {season}.",
    "Cut from {fabric} with {season} in mind. Just right for {occasion}.",
    "Ready for {occasion}: {fabric}, a relaxed cut and a good fit. Think of {season}.",
    "{season}? This {noun} is the answer. {fabric}, and a cut that suits {occasion}.",
    "We designed it around {occasion} and chose {fabric} for it. Our pick for {season}.",
    "{fabric} is what makes this {noun} special. Take it out for {occasion}, above all in {season}.",
    "Made for {season}. Wear it for {occasion}; {fabric} does the rest.",
    "For {occasion}, and for anyone who loves {fabric}. Best in {season}.",
    "{occasion}, {season}, and nothing to worry about: {fabric} that keeps its shape.",
    "You will reach for this {noun} in {season}. The material is {fabric}; the mood is {occasion}.",
)
_REMARKS = (
    "Fits true to size.",
    "Designed in our own studio.",
    "Made in small batches.",
    "Our model wears a medium.",
    "Repairs are free for two years.",
    "Wash with care.",
)


def describe_garment(type: str, fabric: str, occasion: str, season: str, rng: np.random.Generator) -> tuple[str, str]:
    """Writes the texts of a garment.

    Args:
        type: what it is, named in the title: `"dress"`.
        fabric: one of `FABRICS`.
        occasion: one of `OCCASIONS`.
        season: one of `SEASONS`.
        rng: picks the wording.

    Returns:
        Title and description. The title names at most one of fabric, occasion and season, the description
        all of them.

    Raises:
        UsageError: for a fabric, an occasion or a season that does not exist.
    """
    values = (("fabric", fabric, FABRICS), ("occasion", occasion, OCCASIONS), ("season", season, SEASONS))
    for name, value, known in values:
        if value not in known:
            raise UsageError(f"{name} {value!r} does not exist in the catalogue; pass one of {', '.join(known)}")
    hint = rng.choice(["", "", fabric, occasion, season])
    title = name_garment(type, rng, hint)
    wording = {name: known[value][rng.integers(len(known[value]))] for name, value, known in values}
    text = _TEMPLATES[rng.integers(len(_TEMPLATES))].format(noun=_NOUNS.get(type, type), **wording)
    if rng.random() < 0.5:
        text = f"{text} {_REMARKS[rng.integers(len(_REMARKS))]}"
    return title, text[0].upper() + text[1:]


def name_garment(type: str, rng: np.random.Generator, hint: str = "") -> str:
    """A title: a name, a hint if there is one, and what it is (`"Alma linen dress"`)."""
    return " ".join(word for word in (NAMES[rng.integers(len(NAMES))], hint, type) if word)
