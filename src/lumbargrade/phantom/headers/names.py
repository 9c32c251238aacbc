"""What series are called, by the language that a scanner is set to, and the character set in which that is written."""

from typing import NamedTuple

from lumbargrade.phantom.headers.scan import Kind


class Naming(NamedTuple):
    """Names of series.

    Attributes:
        charset: Values of SpecificCharacterSet; none for plain ASCII.
        study: StudyDescription.
    """

    t1: str
    t2: str
    stir: str
    axial: str
    study: str
    charset: tuple[str, ...] = ("ISO_IR 100",)

    def of(self, kind: Kind) -> str:
        """The name of a series."""
        return {"T1": self.t1, "T2": self.t2, "STIR": self.stir, "axial": self.axial}[kind]


ENGLISH = Naming("SAG T1", "SAG T2", "SAG STIR", "AX T2", "MRI LUMBAR SPINE W/O CONTRAST", ())
GERMAN = Naming("T1 sag", "T2 sag", "STIR sag", "T2 tra", "LWS nativ, Wirbelsäule")
FRENCH = Naming("Sag T1", "Sag T2", "Sag STIR", "Ax T2 étagé", "Rachis lombaire, séance unique", ("ISO 2022 IR 100",))
SPANISH = Naming("SAG T1", "SAG T2", "SAG STIR", "AXIAL T2", "Columna lumbosacra, exploración")
ITALIAN = Naming("T1 sagittale", "T2 sagittale", "STIR sagittale", "T2 assiale", "Rachide lombosacrale, perché no")
PORTUGUESE = Naming("T1 sagital", "T2 sagital", "STIR sagital", "T2 axial", "Coluna lombar, ressonância")
DUTCH = Naming("T1 sagittaal", "T2 sagittaal", "STIR sagittaal", "T2 transversaal", "LWK, hernia ruggenwervel")
POLISH = Naming(
    "T1 strzałkowe", "T2 strzałkowe", "STIR strzałkowe", "T2 poprzeczne", "Kręgosłup lędźwiowy", ("ISO_IR 101",)
)
TURKISH = Naming("T1 sagital", "T2 sagital", "STIR sagital", "T2 aksiyel", "Lomber omurga, ağrı", ("ISO_IR 148",))
RUSSIAN = Naming(
    "T1 сагиттально", "T2 сагиттально", "STIR сагиттально", "T2 аксиально", "Поясничный отдел", ("ISO_IR 144",)
)
JAPANESE = Naming("T1 矢状断", "T2 矢状断", "STIR 矢状断", "T2 横断", "腰椎", ("", "ISO 2022 IR 87"))
CHINESE = Naming("T1 矢状位", "T2 矢状位", "STIR 矢状位", "T2 横断位", "腰椎平扫", ("GB18030",))
EVERYWHERE = Naming("T1 SAG", "T2 SAG", "STIR SAG", "T2 TRA", "L-SPINE ÄÖÜ", ("ISO_IR 192",))
