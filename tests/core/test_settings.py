"""Settings: refusals that name key, value and rule; and the command line derived from the same declarations."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from cyclopts import Parameter
from pydantic import ValidationError

from striate.cli.options import merge, setting_parameters
from striate.core.errors import SettingsError
from striate.core.settings import GROUPS, Settings, TrainSettings, override


def refused(**values: object) -> str:
    with pytest.raises(SettingsError) as caught:
        TrainSettings.parse(values, where="here.yaml")
    assert caught.value.exit_code == 2
    assert "here.yaml" in str(caught.value)
    assert "\nfix: " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("epoch", "epochs"), ("batchsize", "batch_size"), ("learning-momentum", "momentum"), ("flips", "flip")],
)
def test_unknown_key_is_refused_with_the_nearest_known_one(key, nearest):
    message = refused(**{key: 1})
    assert f"'{key.replace('-', '_')}'" in message
    assert f"did you mean '{nearest}'?" in message


def test_unknown_key_like_nothing_gets_no_suggestion():
    message = refused(zzzzqqqq=1)
    assert "'zzzzqqqq'" in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("epochs", "many", "integer"),
        ("epochs", 1.5, "integer"),
        ("epochs", [1], "integer"),
        ("lr", "fast", "number"),
        ("lr", {"peak": 1}, "number"),
        ("flip", "perhaps", "boolean"),
        ("model", 3, "string"),
        ("optimizer", "sdg", "'sgd', 'adam', 'adamw' or 'muon'"),
        ("channels", 2, "1 or 3"),
        ("schedule", 7, "'one-cycle'"),
        ("data_dir", 3, "path"),
        ("rotate", None, "number"),
        # YAML reads 'yes', 'no', 'on' and 'off' as truth values: 'epochs: on' is not one epoch
        ("epochs", True, "true and false"),
        ("channels", True, "true and false"),
        ("lr", True, "true and false"),
        ("seed", False, "true and false"),
        ("model", True, "true and false"),
    ],
)
def test_wrong_type_is_refused_naming_key_value_and_rule(key, value, rule):
    message = refused(**{key: value})
    assert f"{key} = {value!r}" in message
    assert rule in message


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("epochs", 0, "greater than or equal to 1"),
        ("epochs", 100_001, "less than or equal to 100000"),
        ("batch_size", 0, "greater than or equal to 1"),
        ("lr", 0, "greater than 0"),
        ("lr", -1.0, "greater than 0"),
        ("momentum", 1.0, "less than 1"),
        ("momentum", -0.1, "greater than or equal to 0"),
        ("val_share", -0.1, "greater than or equal to 0"),
        ("val_share", 1, "less than 1"),
        ("test_share", 1.0, "less than 1"),
        ("img_size", 7, "greater than or equal to 8"),
        ("hue", 0.6, "less than or equal to 0.5"),
        ("rotate", 181, "less than or equal to 180"),
        ("erase", 1.01, "less than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**32, "less than 4294967296"),
        ("first", 0, "greater than or equal to 1"),
        ("ema", 1, "less than 1"),
        ("checkpoint_every", -1, "greater than or equal to 0"),
    ],
)
def test_value_out_of_range_is_refused_naming_key_value_and_rule(key, value, rule):
    message = refused(**{key: value})
    assert f"{key} = {value!r}" in message
    assert rule in message


NUMBERS = [name for name, field in TrainSettings.model_fields.items() if "float" in str(field.annotation)]


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf"])
def test_numbers_that_are_not_finite_are_refused(key, value):
    message = refused(**{key: value})
    assert f"{key} = {value!r}" in message
    assert "finite" in message


def test_all_offenders_are_named_at_once():
    message = refused(epochs=0, lr="fast", bacth_size=3, optimizer="sdg", rotate=math.nan)
    for part in ("epochs = 0", "lr = 'fast'", "'bacth_size'", "'batch_size'", "optimizer = 'sdg'", "rotate = nan"):
        assert part in message


def test_keys_may_be_spelled_with_dashes():
    assert TrainSettings.parse({"batch-size": 7, "val-share": 0.25}).batch_size == 7


def test_one_setting_in_both_spellings_is_refused():
    message = refused(**{"batch-size": 1, "batch_size": 2})
    assert "batch_size" in message
    assert "twice" in message


def test_truth_values_are_taken_where_the_setting_is_one():
    parsed = TrainSettings.parse({"flip": True, "skip_bad": True, "nesterov": False})
    assert (parsed.flip, parsed.skip_bad, parsed.nesterov) == (True, True, False)


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        TrainSettings().epochs = 3


def test_settings_survive_json_unchanged():
    ours = TrainSettings.parse(
        {"data_dir": Path("/tmp/data"), "epochs": 3, "lr": 0.1 + 0.2, "channels": 3, "flip": False, "model": "fast"}
    )
    text = json.dumps(ours.model_dump(mode="json"), allow_nan=False)
    again = TrainSettings.parse(json.loads(text))
    assert again == ours
    assert again.differences(ours) == {}
    assert TrainSettings.parse(json.loads(TrainSettings().model_dump_json())) == TrainSettings()


def test_with_values_changes_a_copy_and_validates_it_again():
    ours = TrainSettings()
    changed = ours.with_values(epochs=4)
    assert (ours.epochs, changed.epochs) == (None, 4)
    assert ours.differences(changed) == {"epochs": (None, 4)}
    with pytest.raises(SettingsError, match="epochs = 0"):
        ours.with_values(epochs=0)


def test_groups_divide_the_settings_without_overlap():
    names = [name for group in GROUPS.values() for name in group.model_fields]
    assert len(names) == len(set(names))
    assert set(names) < set(TrainSettings.model_fields)
    assert set(TrainSettings.model_fields) - set(names) == {"checkpoint_every"}


def test_every_setting_has_a_description():
    for name, field in TrainSettings.model_fields.items():
        assert field.description, name
        assert len(field.description) > 8, name


def options() -> dict[str, Parameter]:
    return {parameter.name: parameter.annotation.__metadata__[0] for parameter in setting_parameters()}


def test_every_setting_is_exactly_one_option():
    names = [parameter.name for parameter in setting_parameters()]
    assert sorted(names) == sorted(TrainSettings.model_fields)
    flags = [flag for parameter in options().values() for flag in parameter.name]
    assert len(flags) == len(set(flags))
    for name in TrainSettings.model_fields:
        assert f"--{name.replace('_', '-')}" in flags


def test_options_that_are_not_given_do_not_count_as_given():
    assert all(parameter.default is None for parameter in setting_parameters())


@pytest.mark.parametrize("name", TrainSettings.model_fields)
def test_an_options_help_says_what_it_is_and_its_default(name):
    field = TrainSettings.model_fields[name]
    text = options()[name].help
    assert text.startswith(field.description)
    default = text[len(field.description) :].strip()
    if field.default is None:
        expected = "[chosen from the data" if field.json_schema_extra else "[off"
    elif isinstance(field.default, bool):
        expected = "[on" if field.default else "[off"
    else:
        expected = f"[{field.default}"
    assert default.startswith((expected + "]", expected + ";"))


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("epochs", "1 ≤ x ≤ 100000"),
        ("val_share", "0 ≤ x < 1"),
        ("momentum", "0 ≤ x < 1"),
        ("clip_norm", "0 < x"),
        ("first", "1 ≤ x"),
    ],
)
def test_an_options_help_says_its_range(name, limits):
    assert options()[name].help.endswith(f"; {limits}]")


def test_merge_lets_flags_win_over_the_file_and_says_what_was_given(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("epochs: 3\nbatch-size: 64\nlr: 0.5\n")
    parsed, given = merge(config, {"epochs": 7, "seed": 1})
    assert (parsed.epochs, parsed.batch_size, parsed.lr, parsed.seed) == (7, 64, 0.5, 1)
    assert given == {"epochs", "batch_size", "lr", "seed"}


def test_merge_without_a_file_or_flags_is_the_defaults():
    assert merge(None, {}) == (TrainSettings(), frozenset())


def test_merge_names_the_file_for_a_wrong_value_in_it_even_where_a_flag_would_win(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("epochs: 0\n")
    with pytest.raises(SettingsError, match=r"epochs = 0.*config\.yaml"):
        merge(config, {"epochs": 7})


def test_merge_names_the_options_for_a_wrong_flag(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("epochs: 1\n")
    with pytest.raises(SettingsError, match=r"^epochs = 0: input should be greater than or equal to 1\n"):
        merge(config, {"epochs": 0})


def test_merge_refuses_one_setting_in_both_spellings(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("batch-size: 1\nbatch_size: 2\n")
    with pytest.raises(SettingsError, match="batch_size"):
        merge(config, {})


def test_a_group_of_its_own_obeys_the_same_rules():
    class Brew(Settings):
        minutes: float = 3.0

    with pytest.raises(SettingsError, match="did you mean 'minutes'"):
        Brew.parse({"minuts": 2})
    with pytest.raises(SettingsError, match="finite"):
        Brew.parse({"minutes": math.inf})


def test_what_a_recipe_sets_for_another_choice_than_the_users_is_left_out() -> None:
    base = {"optimizer": "sgd", "momentum": 0.0, "nesterov": False, "epochs": 9, "lr": 0.1}
    assert override(base, {"optimizer": "adam"}) == {"optimizer": "adam", "epochs": 9, "lr": 0.1}
    assert override(base, {"optimizer": "muon"}) == {**base, "optimizer": "muon"}
    assert override(base, {"time_budget": 60.0}) == {**{k: base[k] for k in base if k != "epochs"}, "time_budget": 60.0}
    shares = {**base, "val_share": 0.0}
    assert override(shares, {"folds": 5}) == {**base, "folds": 5}
    assert override(base, {}) == base
