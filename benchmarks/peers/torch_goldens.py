"""Shows that the peer's networks are this project's: outputs and gradients in float64 beside the golden files, or no timing."""
import json
import os
import struct

import torch
from torch.nn import functional as F

from torch_networks import Inception, Unet

# The files hold float64 results rounded to float32.
TOLERANCE = 1e-6
TYPES = {"F32": torch.float32, "I64": torch.int64, "U8": torch.uint8}


def read(path):
    """The tensors of a safetensors file."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    length, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        part = data[8 + length + first:8 + length + last]
        tensors[name] = torch.frombuffer(part, dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def compare(name, got, wanted):
    """Fails where a tensor is not the golden one."""
    got, wanted = got.detach().double().cpu(), wanted.double()
    deviation = float((got - wanted).abs().max() / wanted.abs().max())
    if not deviation <= TOLERANCE:
        raise AssertionError(f"{name}: deviates by {deviation:.2g} of the largest value, expected at most {TOLERANCE}")
    return deviation


def check_unet(folder, name, device):
    """Output, input gradient and all weight gradients of one golden network."""
    path = os.path.join(folder, "unet", name)
    with open(path + ".json", encoding="utf-8") as file:
        options = json.load(file)["config"]["unet"]
    golden, gradients = read(path + ".safetensors"), read(path + ".grads.safetensors")
    unet = Unet(**options).double()
    unet.load_state_dict({key[6:]: value for key, value in golden.items() if key.startswith("param.")})
    unet.to(device)
    x = golden["in.x"].double().to(device).requires_grad_()
    y = unet(x, golden["in.time"].double().to(device))
    y.backward(golden["upstream"].double().to(device))
    worst = max(compare(f"{name} out", y, golden["out"]), compare(f"{name} grad.in.x", x.grad, golden["grad.in.x"]))
    for key, parameter in unet.named_parameters():
        worst = max(worst, compare(f"{name} grad.{key}", parameter.grad, gradients["grad." + key]))
    return worst


def mix(z):
    """SplitMix64's finaliser on 64-bit words, which torch holds as signed ones."""
    def shifted(z, bits):
        return (z >> bits) & ((1 << (64 - bits)) - 1)
    z = (z ^ shifted(z, 30)) * signed(0xBF58476D1CE4E5B9)
    z = (z ^ shifted(z, 27)) * signed(0x94D049BB133111EB)
    return z ^ shifted(z, 31)


def signed(word):
    """A 64-bit word as a signed number."""
    return word - (1 << 64) if word >> 63 else word


def hashed(name, shape):
    """The golden networks' weights of a name: a hash of the name and the index, scaled by the kind of parameter."""
    base = 0xCBF29CE484222325
    for letter in name.encode():
        base = (base ^ letter) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    base = mix(torch.tensor(signed(base ^ 1)))
    count = shape.numel()
    bits = (mix(base + torch.arange(1, count + 1) * signed(0x9E3779B97F4A7C15)) >> 40) & 0xFFFFFF
    uniform = (bits - (1 << 23)).float() * 2.0 ** -23
    if name.endswith("conv.weight"):
        scale, offset = (6.0 / (shape[1] * shape[2] * shape[3])) ** 0.5, 0
    else:
        scale, offset = (0.5 if name.endswith("running_var") else 0.25), (1 if name.endswith(("bn.weight", "running_var")) else 0)
    return (uniform * torch.tensor(scale, dtype=torch.float32) + offset).reshape(shape)


def hashed_inception():
    """Inception-v3 with the golden weights, which mean nothing; for inference."""
    network = Inception().eval()
    state = network.state_dict()
    network.load_state_dict({name: value if name.endswith("num_batches_tracked") else hashed(name, value.shape)
                             for name, value in state.items()})
    return network.requires_grad_(False)


def check_inception(folder, device, images=1):
    """The four averaged outputs of small golden images."""
    golden = read(os.path.join(folder, "inception", "full_hash_32x32.safetensors"))
    network = hashed_inception().double().to(device)
    x = golden["in.images"][:images].double().to(device) / 255
    x = 2 * F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False) - 1
    worst = 0
    for stage in network.stages(x):
        name = f"feat{stage.shape[1]}"
        worst = max(worst, compare(f"inception {name}", stage.mean(dim=(2, 3)), golden[name][:images]))
    return worst


def check(folder, device):
    """All checks; returns what they found in words."""
    found = [f"{name} {check_unet(folder, name, device):.1g}" for name in ("a_dim8_m12_c1", "b_dim8_m1248_c3")]
    with torch.no_grad():
        found.append(f"inception {check_inception(folder, device):.1g}")
    return "deviation from the golden outputs and gradients: " + ", ".join(found)
