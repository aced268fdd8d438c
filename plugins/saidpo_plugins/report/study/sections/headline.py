"""The first screen: the question, and one sentence for each difference that was tested."""

from __future__ import annotations

from saidpo_plugins.report.page import Answer, Section
from saidpo_plugins.report.study.look import interval, is_significant, looks, points, said_p, score_of, verdict
from saidpo_plugins.report.study.reading import Difference, StudyData
from saidpo_plugins.report.text import visible


def section(study: StudyData) -> Section:
    texts = {key: visible(text) for key, text in study.texts.items()}
    source = [f"Source: {texts['source']}"] if "source" in texts else []
    return Section(
        id="summary",
        title="In short",
        short="In short",
        answer=texts.get("question", ""),
        template="headline",
        content={"numbers": [], "answers": [_answer(study, arm, found) for arm, found in study.tested.items()]},
        notes=[*([texts["about"]] if "about" in texts else []), *source, *_how_to_read(study)],
    )


def _answer(study: StudyData, arm: str, found: Difference) -> Answer:
    names = looks(study)
    question = f"{names[arm].name} against {names[study.reference].name}"
    if found.mean is None:
        return Answer(question, "Nothing to compare", "No two runs of one base and seed ended.", "differences")
    said = f"{points(found.mean)} points, {verdict(found)}"
    return Answer(question, said, _sentence(study, arm, found, found.mean), "differences")


def _sentence(study: StudyData, arm: str, found: Difference, mean: float) -> str:
    amount = f"{abs(100 * mean):.1f} points {'above' if mean > 0 else 'below'}" if mean else "level with"
    text = f"Accuracy {score_of(study)}: {visible(arm)} is {amount} {visible(study.reference)}"
    pairs = f"{found.pairs} pair{'s' * (found.pairs != 1)} of runs"
    if is_significant(found) is None:
        return f"{text}, by {pairs}: too few to test, so this may be chance."
    text += f", 95% interval {interval(found.low, found.high)}, p {_equals(found.p)}"
    if len(study.tested) > 1:
        text += f", {said_p(found.p_corrected)} corrected for {len(study.tested)} comparisons"
    text += f" ({pairs}): {verdict(found)}."
    if found.bases_low is not None:
        text += f" For other bases of the kind the interval is {interval(found.bases_low, found.bases_high)}."
    return text


def _equals(p: float | None) -> str:
    said = said_p(p)
    return said if said.startswith("<") else f"= {said}"


def _how_to_read(study: StudyData) -> list[str]:
    found = [is_significant(difference) for difference in study.tested.values()]
    if all(significant is None for significant in found):
        return []
    no = "“Not significant” is not “no difference”: the interval says which differences are possible."
    return [
        *([no] if False in found else []),
        "Intervals speak of new seeds on these bases. A difference is called significant if its p, corrected, is below "
        "5%: where arms are alike, one study of twenty still finds a difference.",
    ]
