import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lineas_core import AffineMap, SteeringMaps, UserError, find_modules, fold
from lineas_core.models.base import fingerprint
from lineas_core.storage.lycoris import export_norms, exportable
from tests.fakes import tiny_image_model, tiny_language_model
from tests.tolerance import IMAGE_NETWORK, tolerance


@pytest.fixture(scope="module")
def model():
    model = tiny_image_model()
    torch.manual_seed(0)
    for name in model.default_modules:  # fresh norms have γ = 1 and β = 0
        for parameter in model.network.get_submodule(name).parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def maps(model):
    steps = {}
    for name in model.default_modules:
        width = len(model.network.get_submodule(name).weight)
        steps[name] = AffineMap(0.5 + torch.rand(width), torch.randn(width))
    steps[name].scale[0] = 0  # no inverse here
    print_of = fingerprint(model.network, list(steps))
    facts = {"model": model.name, "title": "A map", "kind": "text-to-image"}
    return SteeringMaps(steps, {**facts, "fingerprint": print_of})


@pytest.mark.parametrize("strength", [-1.0, -0.35, 0.35, 1.0])
def test_a_patch_at_weight_lambda_is_the_map_folded_at_lambda(maps, model, tmp_path, strength):
    file = load_file(export_norms(maps, model, tmp_path, "a-map")[strength < 0])
    assert len(file) == 2 * len(maps)
    for name in maps:
        norm, key = model.network.get_submodule(name), f"lora_unet_{name.replace('.', '_')}"
        patched = {
            "weight": norm.weight + abs(strength) * file[f"{key}.w_norm"],
            "bias": norm.bias + abs(strength) * file[f"{key}.b_norm"],
        }
        with fold(model.network, maps, strength):
            for part, value in patched.items():
                limits = tolerance(terms=16, scale=value.abs().max().item())
                torch.testing.assert_close(getattr(norm, part).data, value, **limits)


def test_a_patched_network_predicts_what_the_folded_one_does(maps, model, tmp_path):
    file = load_file(export_norms(maps, model, tmp_path, "a-map")[0])
    inputs = model.encode(["a b", "c d"])
    with torch.no_grad(), fold(model.network, maps):
        folded = model.forward(inputs)
    twin = tiny_image_model()
    twin.network.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        untouched = twin.forward(inputs)
        for name in maps:
            norm, key = twin.network.get_submodule(name), f"lora_unet_{name.replace('.', '_')}"
            norm.weight.add_(file[f"{key}.w_norm"])
            norm.bias.add_(file[f"{key}.b_norm"])
        patched = twin.forward(inputs)
    assert not torch.allclose(untouched, folded, atol=1e-2)
    limits = tolerance(terms=IMAGE_NETWORK, scale=folded.abs().max().item())
    torch.testing.assert_close(patched, folded, **limits)


def test_the_files_tell_what_they_belong_to(maps, model, tmp_path):
    plain, inverse = export_norms(maps, model, tmp_path / "new", "a-map")
    assert [plain.name, inverse.name] == ["a-map.safetensors", "a-map-inverse.safetensors"]
    for file, hint in ((plain, "0 to 1"), (inverse, "0 to -1")):
        with safe_open(file, "pt") as opened:
            facts = opened.metadata()
        assert facts["lineas.fingerprint"] == maps.metadata["fingerprint"]
        assert facts["lineas.model"] == model.name
        assert facts["modelspec.usage_hint"].endswith(hint)


def test_what_is_no_norm_with_a_bias_is_refused_by_name(tmp_path):
    model = tiny_language_model()
    name = find_modules(model.network, "post-layernorms")[0]  # an RMSNorm
    maps = SteeringMaps({name: AffineMap.identity(32)}, {"model": "tiny"})
    with pytest.raises(UserError, match="1 of 1 modules are not norms with weight and bias"):
        export_norms(maps, model, tmp_path, "a")
    assert list(tmp_path.iterdir()) == []
    assert not exportable(maps)


def test_maps_of_another_model_are_not_exported(maps, tmp_path):
    with pytest.raises(UserError, match="this map was learnt on"):
        export_norms(maps, tiny_image_model(seed=1), tmp_path, "a")


def test_only_norms_of_image_models_look_exportable(maps):
    assert exportable(maps)
    other = {"mid_block.attentions.0.transformer_blocks.0.ff.net.2": AffineMap.identity(2)}
    assert not exportable(SteeringMaps({**maps.maps, **other}, maps.metadata))
