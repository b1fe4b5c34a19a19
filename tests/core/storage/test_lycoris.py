import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lineas_core import AffineMap, SteeringMaps, UserError, find_modules, fold
from lineas_core.models.base import fingerprint
from lineas_core.storage.lycoris import export_norms, exportable, reader_note
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


def _key(name):
    return "lora_unet_" + {"conv_norm_out": "out_0"}.get(name, name.replace(".", "_"))


@pytest.mark.parametrize("strength", [-1.0, -0.35, 0.35, 1.0])
def test_a_patch_at_weight_lambda_is_the_map_folded_at_lambda(maps, model, tmp_path, strength):
    file = load_file(export_norms(maps, model, tmp_path, "a-map")[strength < 0])
    assert len(file) == 2 * len(maps)
    for name in maps:
        norm, key = model.network.get_submodule(name), _key(name)
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
            norm, key = twin.network.get_submodule(name), _key(name)
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
    with pytest.raises(UserError, match="1 of 1 modules are not norms of a UNet with weight and"):
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


@pytest.mark.parametrize(
    "name",
    [
        "down_blocks.0.downsamplers.0.norm1",
        "down_blocks.0.motion_modules.0.transformer_blocks.0.norm1",
        "mid_block.attentions.0.transformer_blocks.0.attn1.norm_q",
        "up_blocks.0.attentions.0.group_norm",
        "blocks.0.norm2",  # of a transformer: other programs may have it under another name
        "transformer_blocks.0.norm1",
    ],
)
def test_a_norm_that_other_programs_would_skip_is_refused_by_name(maps, model, tmp_path, name):
    more = SteeringMaps({**maps.maps, name: AffineMap.identity(8)}, maps.metadata)
    assert not exportable(more)
    with pytest.raises(UserError, match=f"1 of {len(more)} modules .* such as {name}") as caught:
        export_norms(more, model, tmp_path, "a")
    assert "all-norms" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("layers", "told"), [(2, ""), ([2, 2, 2], ""), (1, "has 1, so A1111"), ([1, 2, 2], "1 or 2")]
)
def test_a_unet_that_a1111_does_not_know_is_told_of(layers, told):
    model = tiny_image_model()
    model.network.register_to_config(layers_per_block=layers)
    note = reader_note(model)
    assert told in note
    assert bool(note) == bool(told)
