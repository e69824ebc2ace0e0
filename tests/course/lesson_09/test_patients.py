"""The lesson's patients: Bayes' rule against weights by hand, doses against loops, networks against leaks."""

import numpy as np
import pytest
import torch

from mlearn_utils.course.lesson_09 import doctor, patients
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.patients import DAY, FIRST_DOSE, HOURS, NOISE, SAMPLE_HOURS, WINDOW, PatientTasks


@pytest.fixture(scope="module")
def people():
    return PatientTasks().sample(40, seed=3)


def test_the_window_is_what_a_loop_over_hours_counts(people):
    curves = people.level(patients.CURVE_HOURS)
    table = patients.in_window(curves)
    assert table.shape == (40, len(patients.DOSES))
    for patient, place in ((0, 7), (11, 20), (39, 60)):
        dose, inside = patients.DOSES[place], 0
        for k in range(len(HOURS)):
            level = curves[patient, len(HOURS) + k] + dose / FIRST_DOSE * curves[patient, k]
            inside += WINDOW[0] <= level <= WINDOW[1]
        assert table[patient, place] == pytest.approx(inside / len(HOURS))


def test_the_second_day_is_that_of_the_environment(people):
    """Superposition of the two doses is what `PatientEnv` pays."""
    env = PatientTasks().make_env(people[5])
    env.reset(seed=0)
    reward = env.step(np.array([120.0], dtype=np.float32))[1]
    table = patients.in_window(people[5].level(patients.CURVE_HOURS))
    assert reward == pytest.approx(table[0, list(patients.DOSES).index(120.0)])


def test_knowing_the_patient_no_dose_is_better(people):
    curves = people.level(patients.CURVE_HOURS)
    best = patients.score(patients.choose(curves), curves)
    for place in (0, patients.one_for_all(), 30):
        assert best >= patients.score(np.full(40, place), curves)


def test_the_posterior_is_the_prior_times_the_likelihood(people):
    samples = people.sample_blood(seed=9)
    known = patients.posterior(samples, size=200)
    expected = PatientTasks().sample(200, seed=4_000_000).level(SAMPLE_HOURS)
    density = np.prod(
        np.exp(-0.5 * ((samples[4] - expected) / (NOISE * expected)) ** 2) / (NOISE * expected), axis=1
    )
    assert np.allclose(known.weights[4], density / density.sum())
    assert np.allclose(known.mean()[4], known.weights[4] @ known.curves)
    assert known.effective().min() >= 1


def test_exact_samples_find_the_patient():
    """With a patient that is among the draws, and samples without an error, that one is the likeliest."""
    one = PatientTasks().sample(20_000, seed=4_000_000)[17]
    known = patients.posterior(one.level(SAMPLE_HOURS))
    assert known.weights[0].argmax() == 17


def test_data_are_fresh_patients_with_measured_levels():
    batch = patients.PatientData().sample(6, 3, 20, generator=make_generator(0))
    other = patients.PatientData().sample(6, 3, 20, generator=make_generator(1))
    assert batch.support[0].shape == (6, 3, 1)
    assert batch.query[1].shape == (6, 20, 1)
    assert torch.equal(batch.support[0][0, :, 0] * patients.TIME_SCALE, torch.tensor(SAMPLE_HOURS))
    assert not torch.equal(batch.support[1], other.support[1])
    with pytest.raises(ValueError, match="n_support must be 3, got 2"):
        patients.PatientData().sample(6, 2, 20, generator=make_generator(0))


def test_networks_learn_and_are_of_their_seed():
    samples, true = PatientTasks().sample(60, seed=8), None
    true = samples.level(patients.CURVE_HOURS)
    blood = samples.sample_blood(seed=9)
    reader = patients.train_plain(context=True, updates=150, seed=0, lr=0.03)
    again = patients.train_plain(context=True, updates=150, seed=0, lr=0.03)
    curves = patients.by_context(reader)(blood)
    assert np.array_equal(curves, patients.by_context(again)(blood))
    assert curves.shape == true.shape
    assert patients.rmse(curves, true) < 0.8 * patients.rmse(patients.population(blood), true)
    learner = patients.train_maml(inner_lr=0.03, steps=3, updates=60, seed=0)
    before, after = (patients.adapted(learner, steps=k)(blood) for k in (0, 3))
    assert patients.rmse(after, true) < patients.rmse(before, true)


def test_fine_tuning_leaves_the_joint_network_alone(people):
    joint = patients.train_plain(context=False, updates=5, seed=0)
    before = [value.clone() for value in joint.parameters()]
    samples = people.sample_blood(seed=1)
    plain = patients.fine_tuned(joint, rate=0.1, steps=0)(samples)
    tuned = patients.fine_tuned(joint, rate=0.1, steps=3)(samples)
    assert np.allclose(plain, plain[0])
    assert not np.allclose(tuned, tuned[0])
    assert all(torch.equal(a, b) for a, b in zip(before, joint.parameters(), strict=True))


def test_to_have_met_the_patient_helps_and_without_noise_is_everything(monkeypatch):
    leak = patients.leak(draws=20)
    assert leak["tested on the last visits"] < 0.9 * leak["tested on the last patients"]
    exact = type(PatientTasks().sample(1, seed=0))
    monkeypatch.setattr(exact, "sample_blood", lambda self, *, seed: self.level(SAMPLE_HOURS))
    leak = patients.leak(draws=5)
    assert leak["tested on the last visits"] == 0
    assert leak["tested on the last patients"] > 0.05


# --- be the doctor


def test_the_doctor_sees_what_the_doses_do():
    days = doctor.levels(3, (100.0, 60.0, 60.0, 60.0))
    one = PatientTasks().sample(doctor.PATIENTS, seed=doctor.SEED)[3]
    second = one.level(HOURS + DAY, 100.0)[0] + one.level(HOURS, 60.0)[0]
    assert np.allclose(days[1], second)
    explorer = doctor.doctor()
    explorer.explore(patient=3, second=60, third=60, fourth=60)
    mean = np.mean([doctor.share(day) for day in days[1:]])
    assert f"<b>{mean:.0%}</b>" in explorer.caption.value


def test_the_level_is_shown_on_demand_and_never_cut_off():
    explorer = doctor.doctor()
    explorer.explore(patient=0, second=300, third=300, fourth=300)
    (ax,) = explorer.picture.figure.axes
    assert len(np.asarray(ax.lines[0].get_xdata())) == 0
    assert ax.get_ylim()[1] > np.max(ax.lines[1].get_ydata())
    explorer.explore(show=True)
    assert len(np.asarray(ax.lines[0].get_xdata())) == 4 * len(HOURS)
    assert ax.get_ylim()[1] > np.max(ax.lines[0].get_ydata())


def test_curves_that_ran_away_choose_no_dose():
    with pytest.raises(ValueError, match="curves must be finite"):
        patients.choose(np.full((2, 192), np.nan))


def test_a_doubted_curve_gets_the_dose_that_is_best_over_what_it_may_be(people):
    """Against drawings of the factor, cut and rounded as the doubt's own: no other dose does better."""
    curves, rng = people.level(patients.CURVE_HOURS)[:20], np.random.default_rng(0)
    draws = np.round(2 * rng.normal(size=4000)) / 2
    draws = draws[abs(draws) <= 1.5]
    possible = np.mean([patients.in_window(curves * np.exp(0.3 * z)) for z in draws], axis=0)
    chosen, plain = (patients.choose(curves, doubt=doubt) for doubt in (0.3, 0.0))
    rows = np.arange(20)
    assert (possible[rows, chosen] > possible.max(axis=1) - 0.01).all()
    assert possible[rows, chosen].mean() > possible[rows, plain].mean() + 0.02
    assert np.array_equal(plain, patients.in_window(curves).argmax(axis=1))
