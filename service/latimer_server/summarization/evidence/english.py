"""English word lists for the checks of summaries.

They decide which words a true sentence can lose without becoming untrue, and which words refer to an earlier sentence.
`compression` and `context` contain the rules.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "not no never none neither nor without cannot nothing nobody nowhere hardly barely rarely scarcely seldom few "
    "little unable fail failed fails refuse refused refuses deny denied denies lack lacked lacks"
)
# `compression` keeps a part of a sentence that contains one of these conditions, limits or doubts (HEDGES and
# ATTRIBUTIONS in most places), because the rest would mean something else without it.
CONDITIONS = _words(
    "if unless until except provided providing whether otherwise only merely solely once subject assuming lest than "
    "rather instead"
)
HEDGES = _words(
    "about nearly almost around roughly least most more less over under up approximately some fewer part partly half "
    "some many several would could might may should must likely possibly perhaps probably alleged allegedly "
    "reportedly apparently seemingly supposedly seems seemed appears appeared expected planned plans proposed "
    "intended intends hoped hopes wanted wants tried agreed decided former acting would-be mainly mostly largely "
    "early estimated quarter third two-thirds theory potential potentially partial partially claim claims allegation "
    "allegations rumour rumours rumor rumors alleges allege"
)
ATTRIBUTIONS = _words(
    "said says say saying told tells according argued argues claimed claims insisted insists believed believes "
    "thought thinks suggested suggests accused expects predicted predicts warned warns promised promises wrote "
    "writes added asked asks reported reports stated states announced announces felt called estimates"
)
# `compression` keeps a final clause with one of these, because it states a rule that the rest of the sentence may need.
DUTIES = _words("shall must may only")
# If a sentence keeps one of these, `compression` keeps its places, times and reasons too, because the claim would be
# wider without them.
SENSITIVE = NEGATIONS | _words(
    "only first last all every each any both either best worst most least highest lowest largest smallest biggest "
    "record sole always more less than fewer other next same until total full never average"
)
CLAUSE_OPENERS = _words(
    "although though while whereas which who whose whom where and because as after with including so despite "
    "such since following"
)
BARE_OPENERS = _words("because after although though while despite during since where following")
LEADING = _words("after in on at during since while as with following despite although though by")
# An opening phrase that begins with one of these states a fact (`After the flood, ...`) and may be left out, unlike `In
# theory` or `With luck`.
EVENTS = _words("after during since following despite although though")
CONNECTIVES = _words("but and however meanwhile then also so moreover furthermore still yet")
RELATIVE = _words("which who whose whom where including such")
FILLERS = _words("that the a an also then afterwards very just later again")
PLACE_OR_TIME = _words("in on at during last this yesterday today tonight since from")
TIMES = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december morning afternoon evening night week month year spring summer autumn "
    "winter weekend yesterday today tonight noon midnight"
)
PREPOSITIONS = _words("by to with from for against of in on at into over under between among through")
# A relative clause between commas stays if one of these follows it, because the text behind may continue the clause: `,
# which belonged to a firm, not to him`.
CONTINUATIONS = NEGATIONS | PREPOSITIONS | CLAUSE_OPENERS | CONNECTIVES | _words("or nor as than")
PRONOUNS = _words("he she they him her them his hers their theirs it its")
DEPENDENT_STARTS = PRONOUNS | _words(
    "this that these those such here but however instead so then yet nor both neither either another others"
    " meanwhile moreover furthermore therefore thus hence otherwise also still one"
)
PERSONAL = _words("he she they him her them his hers their theirs")
# Adverbs that may be left out: the statement stays true, unlike without `partially`, `officially` or `previously`.
MANNERS = _words(
    "quickly slowly quietly loudly suddenly immediately promptly carefully finally eventually easily happily sadly "
    "angrily rapidly sharply steadily heavily firmly gently softly repeatedly comfortably badly severely strongly "
    "warmly closely deeply highly calmly bitterly briefly unkindly successfully brightly"
)
# A sentence that contains one of these, in any position, refers to an earlier sentence.
POINTERS = _words("however then therefore thus hence otherwise instead moreover furthermore meanwhile likewise")
# A sentence that contains one of these reacts to an earlier statement or topic, and so refers to another sentence.
ANSWERS = _words(
    "replied answered retorted agreed disagreed objected countered asked wondered reply answer response replies answers"
)
ORDINALS = _words("first second third fourth firstly secondly thirdly finally next lastly last")
# After `the`, these words refer to something that an earlier sentence names: `the affected accounts`, `the question`.
POINTING_AFTER_THE = _words(
    "affected same latter resulting said above remaining rest other others former first second question matter issue "
    "reason reasons dispute"
)
# A part with one of these is not taken for a title before a name, such as `the substitute` in `the substitute Lind`.
NO_TITLE = PREPOSITIONS | _words("and or that as was is were had has have")
# `claim_support` ignores these words when it compares a generated sentence with its source: sentences that differ only
# in them mean the same.
FUNCTION_WORDS = _words("the a an that which who is are was were be been being has have had will do does did")
