"""For every conformance check a component that fails it: the one that ``saidpo new-plugin`` writes, with one flaw.

``FLAWS[kind, check]`` is what is replaced in the template, and by what. Checks of every kind are failed by one kind.
"""

from __future__ import annotations

Flaw = tuple[str, str]

_WEIGHTS = "        import numpy as np\n\n        now = "
_FIRST = "first = embeddings"

FLAWS: dict[tuple[str, str], Flaw] = {
    ("difficulty", "tells_what_it_does"): (
        'summary="pass rate, then the spread of the responses\' lengths: fewer right and more spread are harder"',
        'summary=""',
    ),
    ("difficulty", "options_are_frozen"): ("@dataclass(frozen=True, kw_only=True)", "@dataclass"),
    ("difficulty", "options_have_help"): ('"how much a difference in length counts"', '""'),
    ("difficulty", "options_come_back_from_toml"): (
        "low=0)\n",
        'low=0)\n\n    def __post_init__(self):\n        object.__setattr__(self, "scale", self.scale + 1)\n',
    ),
    ("difficulty", "imports_nothing_heavy"): ("from statistics import pstdev", "from statistics import pstdev\nimport numpy"),
    ("difficulty", "building_does_no_work"): ("self.options = options", "self.options = options\n        import numpy"),
    ("difficulty", "pickles_or_says_not"): ("self.options = options", "self.options = options\n        self.f = lambda: 0"),
    ("sampler", "works_on_ordinary_input"): ("self.options.floor + share", "np.nan * share"),
    ("clusterer", "works_on_one"): (_FIRST, "1 / (len(embeddings) - 1)\n        first = embeddings"),
    ("clusterer", "works_on_duplicates"): (
        "np.unique(areas, return_inverse=True)[1]", "areas + (len(set(areas.tolist())) == 1)"
    ),
    ("difficulty", "works_on_extremes"): (" if attempts.counted else 0.0", ""),
    ("clusterer", "works_on_huge_input"): (_FIRST, "np.zeros(10_000 - len(embeddings))\n        first = embeddings"),
    ("verifier", "works_on_nothing"): ("return [self._judge(problem", "cases[0]\n        return [self._judge(problem"),
    ("clusterer", "leaves_its_input_alone"): (_FIRST, "embeddings[0] = 0\n        first = embeddings"),
    ("sampler", "same_seed_same_result"): ("floor + share", "floor + share + np.random.default_rng().random()"),
    ("sampler", "another_process_gives_the_same"): ("floor + share", "floor + share + hash('a') % 997"),
    ("sampler", "keeps_no_state_between_calls"): (
        _WEIGHTS, "        import numpy as np\n\n        self.calls = getattr(self, 'calls', 0) + 1\n"
        "        if self.calls > 1:\n            return np.ones(len(evidence.clusters))\n        now = ",
    ),
    ("sampler", "reads_no_global_random_state"): ("floor + share", "floor + share + np.random.random()"),
    ("sampler", "leaves_global_random_state_alone"): ("        now = ", "        np.random.seed(0)\n        now = "),
    ("sampler", "prints_nothing"): ("        now = ", "        print('weighing')\n        now = "),
    ("pool", "works_with_any_seed"): (
        "        numbers = ", "        if rng.random() < 0.5:\n            return ProblemSets(problems=())\n        numbers = "
    ),
    ("pool", "domains_are_named"): ("group=size,", "group=size,\n        domain='',"),
    ("pool", "its_plan_is_a_size"): ("            build=", "            plan=lambda options: 5,\n            build="),
    ("evaluator", "its_plan_is_a_number"): ("            build=", "            plan=lambda *given: -1,\n            build="),
    ("generator", "its_plan_is_an_estimate"): ("            build=", "            plan=lambda *given: None,\n            build="),
    ("trainer", "its_plan_is_an_estimate"): ("            build=", "            plan=lambda *given: None,\n            build="),
    ("tagger", "order_of_problems_does_not_matter"): (
        "[self._tags_of(problem) for problem in problems]", "[(str(row),) for row in range(len(problems))]"
    ),
    ("embedder", "order_of_texts_does_not_matter"): ("            progress(", "            vectors[row, 0] += row\n            progress("),
    ("embedder", "different_texts_differ"): ("+= 1", "+= 0"),
    ("embedder", "parts_give_what_the_whole_gives"): ("+= 1", "+= len(texts)"),
    ("clusterer", "order_of_problems_does_not_matter"): ("sides @ (2 ** np.arange(sides.shape[1]))", "np.arange(len(sides)) // 9"),
    ("clusterer", "works_with_any_seed"): (_FIRST, "1 / (rng.random() < 0.7)\n        first = embeddings"),
    ("difficulty", "order_of_problems_does_not_matter"): (
        "[self._keys_of(item) for item in attempts]", "[(row, 0.0) for row in range(len(attempts))]"
    ),
    ("difficulty", "problems_differ"): ("return error_rate, self.options.scale * spread", "return 0.0, 0.0"),
    ("sampler", "numbers_of_clusters_mean_nothing"): ("floor + share", "floor + share + np.arange(len(share))"),
    ("sampler", "order_of_problems_does_not_matter"): (
        "[evidence.clusters]", "[evidence.clusters] + np.arange(len(evidence.clusters))"
    ),
    ("pair-builder", "a_usable_problem_gives_a_pair"): ("for good, bad in chosen", "for good, bad in chosen[1:]"),
    ("pair-builder", "no_pair_comes_twice"): ("for good, bad in chosen", "for good, bad in chosen * 2"),
    ("generator", "refuses_a_folder_that_is_no_model"): ("if not (policy / name).is_file():", "if False:"),
    ("generator", "a_seed_decides_its_own_response"): ("None if greedy else seed)", "None if greedy else seed + len(request.seeds))"),
    ("generator", "other_seeds_give_other_responses"): ("manual_seed(seed)", "manual_seed(0)"),
    ("generator", "greedy_uses_no_seed"): ("None if greedy else seed", "seed"),
    ("generator", "warns_in_words_before_it_is_asked"): (
        "    @contextmanager\n", "    def preflight(self, policy, requests):\n        return [1]\n\n    @contextmanager\n"
    ),
    ("verifier", "names_its_domains"): ('domains=("bad-verifier",)', "domains=()"),
    ("verifier", "passes_its_own_test"): ('!= ["right", "wrong"]', '== ["right", "wrong"]'),
    ("verifier", "tells_right_from_wrong"): ("right = _tidy(answer) == _tidy(problem.answer)", "right = True"),
    ("verifier", "a_case_is_judged_on_its_own"): (
        "[self._judge(problem, response) for problem, response in cases]",
        "[Verdict(outcome='right' if i else 'wrong') for i in range(len(cases))]",
    ),
    ("verifier", "closes_twice"): (
        '"""End worker processes here, if you have some."""', "1 / (not hasattr(self, 'gone'))\n        self.gone = True"
    ),
    ("trainer", "leaves_the_policy_alone"): ("        model.save", "        (job.policy / 'mine.txt').write_text('')\n        model.save"),
    ("trainer", "the_new_policy_loads"): ("        model.save", "        torch.save({}, job.out / 'state.pt')\n        model.save"),
    ("trainer", "training_changes_the_weights"): ("            optimizer.step()\n", ""),
    ("trainer", "progress_comes_to_its_end"): ("job.progress(step, len(order))", "job.progress(0, len(order))"),
    ("evaluator", "all_right_is_one_and_all_wrong_is_zero"): ("accuracy_pool=_mean(groups, pool_shares)", "accuracy_pool=0.5"),
    ("evaluator", "a_truncated_response_is_not_right"): (" and not response.truncated", ""),
    ("evaluator", "brings_the_same_problems_again"): (
        "    def evaluate(",
        "    def engine_options(self):\n        return {}\n\n    def problems(self, held_out):\n        return ()\n\n    def evaluate(",
    ),
}  # fmt: skip
