"""Words of series' names in the languages that scanners are set to, in lower case and without accents.

English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish, Swedish, Danish, Russian, and Japanese and
Chinese, romanised too. Stems stand for all words that begin with them; writings without spaces are looked for anywhere.
"""

LOCALIZER_STEMS = (
    "locali", "lokali", "lokaal", "reperage", "scout", "aascout", "aahscout", "survey", "pilot", "topogra",
    "ubersicht", "uebersicht", "overzicht", "overview", "dreiplan", "threeplan", "triplan", "3pl", "3ebenen", "tripilot",
    "planscan", "przeglad", "oversikt", "oversigt", "scano", "centrator", "centratur", "centraje", "posizionament", "kilavuz",
    "konumland", "explorador", "verkenn", "orientier", "planejament", "planificacion", "planification", "planung", "planow",
    "ichigime", "ichikime", "ichidori", "dingwei", "обзорн", "локали",
)  # fmt: skip
LOCALIZER_WORDS = frozenset(("locator", "lokator", "repere", "reperes", "suchlauf"))
LOCALIZER_ABBREVIATIONS = frozenset(("loc", "lok", "locs", "topo", "tripl", "3p"))
"""They stand in names of other series too."""
LOCALIZER_PAIRS = frozenset((
    ("plan", "scan"), ("3", "pl"), ("3", "plan"), ("3", "plane"), ("3", "planes"), ("3", "plans"), ("three", "plane"),
    ("tri", "plane"), ("drei", "ebenen"), ("3", "ebenen"), ("3", "plano"), ("3", "planos"), ("tres", "planos"), ("3", "piani"),
    ("tre", "piani"), ("3", "vlakken"), ("drie", "vlakken"), ("3", "plaszczyzny"), ("trzy", "plaszczyzny"),
    ("3", "duzlem"), ("uc", "duzlem"), ("vue", "ensemble"), ("ichi", "gime"), ("ichi", "kime"), ("ding", "wei"),
))  # fmt: skip
LOCALIZER_SIGNS = ("定位", "位置決", "定像", "スカウト")

SERVICE_STEMS = (
    "calib",
    "kalib",
    "shim",
    "prescan",
    "refscan",
    "syscard",
    "sys2d",
    "sys3d",
    "phoenix",
    "patientprotocol",
)
"""What a scanner stores for itself."""

MYELOGRAM_ROOTS = ("myelogr", "mielogr", "miyelogr")
MYELOGRAM_ENDS = ("myelo", "mielo", "miyelo", "mrm", "mielorm", "myelorm", "myelomr")
"""Whole words, or their ends: Myelon is the cord, and a myeloma or a myelopathy is a disease."""
MYELOGRAM_SIGNS = ("水成像", "脊髓造影", "ミエロ")

DIFFUSION_STEMS = ("diffus", "difus", "difuz", "diffuz", "dyfuz", "dwi", "adc", "tracew", "dti", "kakusan", "misan")
DIFFUSION_WORDS = frozenset(("diff", "trace", "ivim", "ep2d", "resolve", "dwibs", "eadc", "ezoom"))
DIFFUSION_SIGNS = ("弥散", "扩散", "拡散")

STIR_STEMS = ("irfse", "irtse", "fseir", "tseir", "turboir", "invers", "hanten", "fanzhuan", "odwroc")
STIR_WORDS = frozenset(("ir", "fir", "tir", "sti"))

DENSITY_WORDS = frozenset((
    "pd", "pdw", "pdwi", "dp", "pdt2", "rho", "densite", "densidad", "densidade", "densita", "dichte", "protonen",
    "protondichte", "protonendichte", "protonique", "protonow", "protonowa", "protonica", "proton", "pdfs", "pdspair",
    "pdtse", "pdfse", "fspd", "pdfatsat", "pdstir", "dichtheid", "yogunluk", "yogunlugu", "purotonmitsudo", "zhizimidu",
))  # fmt: skip
DENSITY_SIGNS = ("质子", "プロトン")

GRADIENT_WORDS = frozenset((
    "medic", "merge", "cosmic", "mffe", "ffe", "tffe", "gre", "fgre", "fgr", "starvibe", "spgr", "fspgr", "mpgr", "grass",
    "fe", "vibe", "lava", "thrive", "ethrive", "swi", "swan", "swip", "hemo", "haemo",
    "me2d", "me3d", "t2star", "t1star", "tfe", "btfe", "bffe", "balanced", "bssfp", "ssfp", "trufi", "truefisp", "trufisp",
    "fisp", "psif", "fiesta", "fiestac", "ciss", "dess", "basg", "rssg", "pbsg", "sarge", "tof", "pca", "qflow", "qfl",
    "flash", "fl2d", "fl3d", "mprage", "mp2rage", "bravo", "opax", "fastgre", "t2gre",
    "gret2", "t2ffe", "t2hemo", "t2merge", "t2medic", "eg", "t2eg", "adage", "tigre",
))  # fmt: skip
GRADIENT_STEMS = ("gradient",)
GRADIENT_PAIRS = frozenset((
    ("field", "echo"), ("m", "ffe"), ("b", "ffe"), ("b", "tfe"), ("true", "fisp"), ("t2", "star"), ("2d", "fe"),
))  # fmt: skip

COMPUTED_WORDS = {
    "mip": "a projection", "minip": "a projection", "mnip": "a projection", "maxip": "a projection",
    "projection": "a projection", "subtract": "a subtraction", "subtracted": "a subtraction",
    "sub": "a subtraction", "subs": "a subtraction",
    "subtraction": "a subtraction", "subtraktion": "a subtraction", "soustraction": "a subtraction",
    "substraccion": "a subtraction", "resta": "a subtraction", "subtracao": "a subtraction", "sottrazione": "a subtraction",
    "odejmowanie": "a subtraction", "fatfraction": "a map", "fatfrac": "a map", "r2star": "a map", "t2map": "a map",
    "t1map": "a map", "map": "a map", "mapit": "a map", "fused": "a fusion",
    "colormap": "a map", "report": "a report", "screensave": "a screen shot", "screenshot": "a screen shot",
    "posdisp": "a picture of where slices lie",
}  # fmt: skip
"""Words, or pairs of them without the space, of what is computed from images in names and in ImageType, and what that is."""
REFORMAT_WORDS = frozenset(
    ("mpr", "mpvr", "reformat", "reformatted", "cpr", "rekonstruktion", "recons", "reconstruction")
)

FAT_WORDS = frozenset((
    "fat", "fett", "fet", "fette", "graisse", "graisses", "gras", "grasa", "grasas", "grasso", "gordura", "vet", "tluszcz",
    "tluszczu", "tkanki", "yag", "shibo", "shibou", "zhifang", "lipid", "adiposo", "grassi", "chem",
))  # fmt: skip
SUPPRESSION_STEMS = (
    "sat", "supp", "supr", "sup", "soppr", "unterdr", "gesatt", "gesaett", "satt", "saett", "onderdr", "tlum", "bask",
    "yokusei", "yizhi", "yazhi", "annul", "nulled", "free", "wygasz", "supress", "zayif",
)  # fmt: skip
SUPPRESSED_WORDS = frozenset((
    "fs", "fsat", "fsupp", "spair", "spir", "aspir", "spectralfs", "chess", "chemfs", "we", "watex",
    "proset", "wats", "pastfs", "dfs", "satgr", "satgord", "fst1", "fst2", "wfst2", "fsfse", "fstse", "fs2d", "tsefs", "fsefs",
    "frfsefs", "t1fs", "t2fs", "pdfs", "t2spair", "t1spair", "t2spir", "t1spir", "pdspair", "fspd", "yazhi",
))  # fmt: skip
SUPPRESSED_SIGNS = ("脂肪抑", "压脂", "壓脂", "抑脂")
SPECTRAL_WORDS = frozenset(("spair", "spir", "aspir", "t2spair", "t1spair", "t2spir", "t1spir", "pdspair"))
"""Fat is suppressed by its frequency: an inversion time beside is that of the preparation, and makes no STIR."""

DIXON_WORDS = frozenset(("ideal", "flex", "idealiq", "wfs", "wfst2", "wfop", "fatsep"))
PART_WORDS = {
    "w": "water", "water": "water", "wasser": "water", "eau": "water", "agua": "water", "acqua": "water", "woda": "water",
    "su": "water", "mizu": "water", "shui": "water", "dixonw": "water", "mdixonw": "water",
    "f": "fat", "fat": "fat", "fett": "fat", "graisse": "fat", "grasa": "fat", "grasso": "fat", "gordura": "fat",
    "tluszcz": "fat", "yag": "fat", "dixonf": "fat", "mdixonf": "fat",
    "in": "in-phase", "ip": "in-phase", "inphase": "in-phase", "inph": "in-phase",
    "opp": "opposed-phase", "op": "opposed-phase", "out": "opposed-phase", "oop": "opposed-phase",
    "outphase": "opposed-phase", "opphase": "opposed-phase", "oppphase": "opposed-phase", "outph": "opposed-phase",
    "opposed": "opposed-phase", "opposedphase": "opposed-phase", "outofphase": "opposed-phase", "wateronly": "water",
    "fatonly": "fat",
}  # fmt: skip

AGENT_WORDS = frozenset((
    "gd", "gad", "gadavist", "dotarem", "multihance", "magnevist", "prohance",
    "omniscan", "clariscan", "elucirem", "vueway", "primovist", "dtpa", "km", "kmgabe", "ivkm", "kmiv",
    "mdc", "ce", "civ", "enhanced", "inj", "injetado", "t1c", "t1gd", "t1km", "t1post",
))  # fmt: skip
AGENT_STEMS = (
    "gado", "kontrastmittel", "injec", "zosei", "zoei", "zouei", "zengqiang", "poscon", "postcon", "postkon", "postg",
    "postkm", "postmdc", "postinj", "contrast", "kontras",
)  # fmt: skip
BEFORE_WORDS = frozenset((
    "pre", "before", "vor", "ohne", "without", "wo", "avant", "sans", "antes", "sin", "prima", "senza", "sem", "zonder", "voor",
    "bez", "przed", "oncesi", "non", "no", "nativ", "native", "nativo", "natief", "natywn", "natywne", "plain", "precontrast",
    "kontrastsiz", "tanjun", "pingsao", "unenhanced", "noncontrast", "precontraste",
))  # fmt: skip
OPERATION_STEMS = ("op", "surg", "lami", "fus", "trauma")
"""Of what else a series is after."""
BEFORE_SIGNS = ("平扫", "平掃", "単純", "造影前", "造影なし", "增强前")
AGENT_SIGNS = ("造影", "增强", "增強")
NOTHING_STEMS = (
    "none", "nothing", "kein", "geen", "aucun", "nessun", "ningun", "nenhum", "brak", "yok", "nashi", "nihil", "nicht",
)  # fmt: skip
NOTHING_WORDS = BEFORE_WORDS | {
    "n",
    "na",
    "not",
    "nil",
    "null",
    "nein",
    "nao",
    "nie",
    "nee",
    "net",
    "wu",
    "false",
    "unknown",
    "other",
}
"""What a ContrastBolusAgent begins with that is none, or says nothing."""
NOTHING_SIGNS = ("無", "无", "なし", "未", "不", "нет", "без")
