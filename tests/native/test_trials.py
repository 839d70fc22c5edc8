"""A few hundred random kernels before every judge; ``make fuzz`` draws twenty thousand."""

import os

import pytest
import trials
from standalone import sanitizes

SEED = int(os.environ.get("ZEROSKIP_SEED", "20171113"))
BATCH = 64


def judged(k, place=None):
    """A batch of seeds of its own; the trials of which none is wrong."""
    first = SEED + BATCH * k
    print(f"seeds from {first}; tools/fuzz.py --seed N --count 1 repeats one")
    batch = [trials.Trial(first + n) for n in range(BATCH)]
    trials.judge(batch, place)
    for trial in batch:
        assert not trial.wrong, f"--seed {trial.seed}: {trial.case}\n{trial.verdict}"
    return batch


@pytest.mark.parametrize("k", range(6))
def test_random_kernels(k):
    batch = judged(k)
    kernels = set().union(*(t.kernels for t in batch if t.verdict.startswith("ok")))
    assert len(kernels) > BATCH * 2 // 3
    assert any(trial.symbolic for trial in batch)


@pytest.mark.sanitize
@pytest.mark.parametrize("k", range(6, 16))
def test_random_kernels_under_sanitizers(tmp_path, k):
    if not sanitizes(tmp_path):
        pytest.skip("this compiler has no sanitizers")
    judged(k, tmp_path)


def test_kernels_are_distinct_where_more_than_names_and_comments_differ():
    text = "/* y[i] = A[i] */ int32_t zs_kernel(zs_args *args) { return A_i + 1; }"
    again = "/* z[j] = B[j] */ int32_t zs_kernel(zs_args *a) {\n return B_j + 1; /* end */ }"
    assert trials.digest(text) == trials.digest(again)
    assert trials.digest(text) != trials.digest(text.replace("1", "2"))
    assert trials.digest("a + a") != trials.digest("a + b")


def test_a_wrong_result_is_found(monkeypatch, tmp_path):
    """The judges see what they are there to see: here the C gets other data."""
    trial = trials.Trial(SEED + 2)
    trial.guarded(trial.draw)
    assert trial.verdict is None
    record = trial.records[-1]
    (at,) = [k for k, key in enumerate(record.prepared.lowered.buffers) if key == ("vals", "O")]
    record.after[at][...] = record.after[at] + 1
    if sanitizes(tmp_path):
        trials.sanitize(tmp_path, [trial])
        assert "WRONG, sanitized: ('vals', 'O')" in trial.verdict
    trial.verdict = None
    trial.want = {name: x + 1 for name, x in trial.want.items()}
    trial.guarded(trial.judge)
    assert trial.wrong
