"""The ComfyUI node, in a stand-in for what it uses of ComfyUI, and how others read our files."""

import importlib.util
import re
import sys
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors.torch import load_file
from torch import nn
from torch.profiler import ProfilerActivity, profile

from lineas_core import AffineMap, LowRankMap, SteeringMaps, find_modules, save_maps, steer
from lineas_core.models import TextToImageModel
from lineas_core.steering.affine import SMALLEST_SCALE
from lineas_core.storage.lycoris import export_norms
from tests.fakes import SDXL_UNET, tiny_pipeline

FILE = Path(__file__).parents[2] / "integrations" / "comfyui" / "lineas_steering.py"
NORMS = "all-norms"


class ModelPatcher:
    """What the node uses of ComfyUI's class of this name: patches of attributes, on clones."""

    def __init__(self, model, patches=None):
        self.model, self.object_patches, self.before = model, patches or {}, {}

    def clone(self):
        return ModelPatcher(self.model, dict(self.object_patches))

    def add_object_patch(self, name, value):
        self.object_patches[name] = value

    def get_model_object(self, name):
        for place in (self.object_patches, self.before):
            if name in place:
                return place[name]
        return reduce(getattr, name.split("."), self.model)

    def __enter__(self):
        """Patch the model, as before a run."""
        for name, value in self.object_patches.items():
            self.before[name] = reduce(getattr, name.split("."), self.model)
            self._set(name, value)

    def __exit__(self, *_):
        for name, value in self.before.items():
            self._set(name, value)
        self.before = {}

    def _set(self, name, value):
        *path, last = name.split(".")
        setattr(reduce(getattr, path, self.model), last, value)


@pytest.fixture
def node(tmp_path, monkeypatch):
    """The module of the node, loaded from its file as ComfyUI does."""
    folders = ModuleType("folder_paths")
    places = {}
    folders.models_dir = str(tmp_path)
    folders.add_model_folder_path = lambda name, path: places.update({name: Path(path)})
    folders.get_filename_list = lambda name: sorted(
        str(file.relative_to(places[name])) for file in places[name].rglob("*.*")
    )
    folders.get_full_path_or_raise = lambda name, file: str(places[name] / file)
    monkeypatch.setitem(sys.modules, "folder_paths", folders)
    spec = importlib.util.spec_from_file_location("lineas_steering", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def unet():
    config = {**tiny_pipeline().unet.config, "layers_per_block": 2}
    torch.manual_seed(0)
    return UNet2DConditionModel.from_config(config).eval()


@pytest.fixture
def model(node, unet):
    """The same norms under the names that ComfyUI's UNet has."""
    root = nn.Module()
    for name in find_modules(unet, NORMS):
        *path, last = f"diffusion_model.{node.ldm_name(name)}".split(".")
        place = root
        for each in path:
            if not hasattr(place, each):
                setattr(place, each, nn.Module())
            place = getattr(place, each)
        setattr(place, last, unet.get_submodule(name))
    return ModelPatcher(root)


def _maps(unet, seed=0, modules=NORMS):
    generator = torch.Generator().manual_seed(seed)
    steps = {}
    for name in find_modules(unet, modules):
        width = len(unet.get_submodule(name).weight)
        noise = torch.randn(2, width, generator=generator) * 0.2
        steps[name] = AffineMap(1 + noise[0], noise[1])
    return SteeringMaps(steps, {"model": "sdxl-turbo", "kind": "text-to-image"})


@torch.no_grad()
def _run(unet):
    generator = torch.Generator().manual_seed(3)
    return unet(
        torch.randn(2, unet.config.in_channels, 8, 8, generator=generator),
        399,
        encoder_hidden_states=torch.randn(2, 5, 32, generator=generator),
        added_cond_kwargs={
            "text_embeds": torch.randn(2, 16, generator=generator),
            "time_ids": torch.ones(2, 6),
        },
    ).sample


def _save(maps, tmp_path, name="map"):
    save_maps(maps, tmp_path / "lineas" / name)
    return f"{name}/lineas.safetensors"


@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.4, 1.0])
def test_the_node_steers_as_the_library_does(node, unet, model, tmp_path, strength):
    maps = _maps(unet)
    (steered,) = node.LineasMap().steer(model, _save(maps, tmp_path), strength)
    plain = _run(unet)
    with steer(unet, maps, strength):
        expected = _run(unet)
    with steered:
        found = _run(unet)
    assert (expected - plain).abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(_run(unet), plain)
    assert not model.object_patches


def test_at_strength_zero_nothing_is_patched(node, unet, model, tmp_path):
    (steered,) = node.LineasMap().steer(model, _save(_maps(unet), tmp_path), 0.0)
    assert steered is not model
    assert not steered.object_patches


def test_two_nodes_in_a_row_apply_their_maps_one_after_another(node, unet, model, tmp_path):
    first, second = _maps(unet), _maps(unet, seed=1)
    (between,) = node.LineasMap().steer(model, _save(first, tmp_path, "first"), 0.5)
    (both,) = node.LineasMap().steer(between, _save(second, tmp_path, "second"), -0.5)
    with steer(unet, first, 0.5), steer(unet, second, -0.5):
        expected = _run(unet)
    with both:
        torch.testing.assert_close(_run(unet), expected, rtol=1e-4, atol=1e-4)


def test_a_map_that_only_shifts_is_read(node, unet, tmp_path):
    shifting = {name: AffineMap(torch.ones(m.width), m.shift) for name, m in _maps(unet).items()}
    file = tmp_path / "lineas" / _save(SteeringMaps(shifting, {"model": "tiny"}), tmp_path)
    read = node.read_map(str(file))
    assert [*read] == [*shifting]
    for name, (scale, shift) in read.items():
        assert torch.equal(scale, shifting[name].scale)
        assert torch.equal(shift, shifting[name].shift)


def test_half_precision_stays_half(node, unet, model, tmp_path):
    (steered,) = node.LineasMap().steer(model, _save(_maps(unet), tmp_path), 1.0)
    name = "diffusion_model.out.0"
    norm = model.get_model_object(name)
    with steered:
        output = norm.to(torch.bfloat16)(torch.ones(1, norm.num_channels, 2, 2).bfloat16())
    norm.float()
    assert output.dtype == torch.bfloat16


def test_the_strength_is_that_of_the_library(node):
    step = AffineMap(torch.tensor([0.5, -2.0, SMALLEST_SCALE / 2, 1.0]), torch.arange(4.0))
    for strength in (-1.0, -0.5, 0.0, 0.5, 1.0):
        scale, shift = node.at(step.scale, step.shift, strength)
        torch.testing.assert_close(scale, step.at(strength).scale)
        torch.testing.assert_close(shift, step.at(strength).shift)


def test_the_names_are_those_of_the_checkpoints_of_sdxl(node):
    """The converter of diffusers, which goes the other way, finds each norm again."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(SDXL_UNET)
    names = find_modules(unet, NORMS)
    ours = {f"model.diffusion_model.{node.ldm_name(name)}.weight": name for name in names}
    others = [
        f"model.diffusion_model.label_emb.0.{k}.{p}" for k in (0, 2) for p in ("weight", "bias")
    ]
    # An entry without a norm, the layer that halves the resolution, counts as a block, too.
    others += [f"model.diffusion_model.input_blocks.{k}.0.op.weight" for k in (0, 3, 6)]
    checkpoint = {**ours, **dict.fromkeys(others, "")}
    found = convert_ldm_unet_checkpoint(checkpoint, {**SDXL_UNET, "class_embed_type": None})
    for name in names:
        assert found[f"{name}.weight"] == name
    assert len(ours) == len(names) > 100


def _in_a1111(key, native):
    """The norm of a key in A1111: names of diffusers are translated, others taken as native."""
    name = key.removeprefix("lora_unet_")
    if found := re.fullmatch(r"(down|up)_blocks_(\d+)_(resnets|attentions)_(\d+)_(.+)", name):
        way, block, kind, layer, inner = found.groups()
        index = 3 * int(block) + int(layer)
        place = f"input_blocks_{index + 1}" if way == "down" else f"output_blocks_{index}"
        part = int(kind == "attentions")
    elif found := re.fullmatch(r"mid_block_(resnets|attentions)_(\d+)_(.+)", name):
        kind, layer, inner = found.groups()
        place, part = "middle_block", 1 if kind == "attentions" else 2 * int(layer)
    else:
        return native.get(name)
    if kind == "resnets":
        inner = {"norm1": "in_layers_0", "norm2": "out_layers_0"}.get(inner, inner)
    return native.get(f"{place}_{part}_{inner}")


def _in_others(key, native):
    """The norm of a key in ComfyUI, Forge and SD.Next, which know it by both of its names."""
    diffusers = {name.replace(".", "_"): name for name in native.values()}
    return {**native, **diffusers}.get(key.removeprefix("lora_unet_"))


@pytest.mark.parametrize("reader", [_in_a1111, _in_others])
def test_every_norm_of_an_exported_file_is_found_by_other_programs(node, unet, tmp_path, reader):
    """What a program does not find it skips; see their sources, networks.py and comfy/lora.py."""
    pipeline = tiny_pipeline()
    pipeline.register_modules(unet=unet)
    maps = _maps(unet)
    native = {node.ldm_name(name).replace(".", "_"): name for name in maps}
    for path in export_norms(maps, TextToImageModel(pipeline, name="sdxl-turbo"), tmp_path, "a"):
        patches = load_file(path)
        found = {key: reader(key.partition(".")[0], native) for key in patches}
        assert sorted(found.values()) == sorted([*maps] * 2)
        strength = -1.0 if "inverse" in path.name else 1.0
        for key, name in found.items():
            norm, step = unet.get_submodule(name), maps[name].at(strength)
            before, shift = (norm.weight, 0) if "w_norm" in key else (norm.bias, step.shift)
            torch.testing.assert_close(patches[key], (step.scale - 1) * before + shift)


def test_a_map_learnt_anew_under_its_name_is_read_anew(node, unet, tmp_path):
    changed = node.LineasMap.IS_CHANGED
    file = _save(_maps(unet), tmp_path)
    before = changed(map=file, strength=1.0)
    assert changed(map=file, strength=0.5) == before
    _save(_maps(unet, seed=1), tmp_path)
    assert changed(map=file, strength=1.0) != before


def test_a_map_is_copied_to_a_device_once(node, tmp_path):
    root = nn.Module()
    root.diffusion_model = nn.Module()
    root.diffusion_model.out = nn.ModuleList([nn.GroupNorm(1, 3, device="meta")])
    maps = SteeringMaps({"conv_norm_out": AffineMap(torch.rand(3), torch.rand(3))}, {})
    (steered,) = node.LineasMap().steer(ModelPatcher(root), _save(maps, tmp_path), 1.0)
    with steered, profile(activities=[ProfilerActivity.CPU]) as run:
        for _ in range(3):
            root.diffusion_model.out[0](torch.ones(1, 3, 2, 2, device="meta"))
    copies = [event for event in run.events() if event.name == "aten::_to_copy"]
    assert len(copies) == 2  # scale and shift


def test_the_node_offers_the_maps_of_its_folder_and_a_slider(node, unet, tmp_path):
    file = _save(_maps(unet), tmp_path)
    assert node.NODE_CLASS_MAPPINGS.keys() == node.NODE_DISPLAY_NAME_MAPPINGS.keys()
    (kind,) = node.NODE_CLASS_MAPPINGS.values()
    needed = kind.INPUT_TYPES()["required"]
    assert needed["map"] == ([file],)
    name, slider = needed["strength"]
    assert (name, slider["min"], slider["max"]) == ("FLOAT", -1.0, 1.0)
    assert kind.RETURN_TYPES == ("MODEL",)
    assert callable(getattr(kind, kind.FUNCTION))


def test_what_the_node_cannot_apply_is_refused(node, unet, model, tmp_path):
    steering = node.LineasMap().steer
    low = LowRankMap(torch.ones(2, 1), torch.ones(1, 2), torch.zeros(1))
    step = AffineMap(torch.ones(3), torch.ones(3))
    for maps, reason in (
        (SteeringMaps({"conv_norm_out": low}, {}), "low rank"),
        (SteeringMaps({"conv_norm_out": step}, {}), "does not fit this model: .*3 coordinates"),
        (SteeringMaps({"down_blocks.7.resnets.0.norm1": step}, {}), "is missing"),
        (SteeringMaps({"model.layers.0.norm": step}, {}), "not a norm of a Stable Diffusion UNet"),
        (_maps(unet, modules="attention-v"), "is not a norm. Learn the map on norms"),
    ):
        with pytest.raises(ValueError, match=reason):
            steering(model, _save(maps, tmp_path), 1.0)
    (tmp_path / "lineas" / "lora.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="not a map of LinEAS Studio"):
        steering(model, "lora.safetensors", 1.0)
