"""The U-Net and Inception-v3 of this project in plain PyTorch modules, with the parameter names of their weight files."""
import math

import torch
from torch import nn
from torch.nn import functional as F


class RmsNorm(nn.Module):
    """Normalises every pixel's channel vector to length sqrt(C) and scales each channel."""

    def __init__(self, channels):
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        return F.normalize(x, dim=1) * (self.g * self.g.numel() ** 0.5)


class Block(nn.Module):
    """3x3 convolution, norm, an optional scale and shift, SiLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = RmsNorm(outputs)

    def forward(self, x, scale_shift=None):
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            scale, shift = scale_shift[:, :, None, None].chunk(2, dim=1)
            x = x * (scale + 1) + shift
        return F.silu(x)


class ResnetBlock(nn.Module):
    """Two blocks beside a shortcut; the time scales and shifts the first one."""

    def __init__(self, inputs, outputs, time_channels):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time_channels, 2 * outputs))
        self.block1 = Block(inputs, outputs)
        self.block2 = Block(outputs, outputs)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, time):
        return self.block2(self.block1(x, self.mlp(time))) + self.res_conv(x)


class LinearAttention(nn.Module):
    """Attention at a cost linear in the pixels, with four learned keys and values; added to its input by the caller."""

    def __init__(self, channels, heads, width):
        super().__init__()
        self.heads, self.width = heads, width
        self.mem_kv = nn.Parameter(torch.randn(2, heads, width, 4))
        self.norm = RmsNorm(channels)
        self.to_qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(heads * width, channels, 1), RmsNorm(channels))

    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = self.to_qkv(self.norm(x)).reshape(n, 3, self.heads, self.width, h * w).unbind(1)
        k, v = (torch.cat([memory.expand(n, -1, -1, -1).to(part.dtype), part], dim=-1) for memory, part in zip(self.mem_kv, (k, v)))
        q, k = q.softmax(dim=-2) * self.width ** -0.5, k.softmax(dim=-1)
        summary = k @ v.transpose(-1, -2)
        return self.to_out((summary.transpose(-1, -2) @ q).reshape(n, self.heads * self.width, h, w))


class Attention(nn.Module):
    """Attention at a cost quadratic in the pixels, with four learned keys and values; added to its input by the caller."""

    def __init__(self, channels, heads, width):
        super().__init__()
        self.heads, self.width = heads, width
        self.mem_kv = nn.Parameter(torch.randn(2, heads, 4, width))
        self.norm = RmsNorm(channels)
        self.to_qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.to_out = nn.Conv2d(heads * width, channels, 1)

    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = self.to_qkv(self.norm(x)).reshape(n, 3, self.heads, self.width, h * w).transpose(-1, -2).unbind(1)
        k, v = (torch.cat([memory.expand(n, -1, -1, -1).to(part.dtype), part], dim=-2) for memory, part in zip(self.mem_kv, (k, v)))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(y.transpose(-1, -2).reshape(n, self.heads * self.width, h, w))


class FoldedConv2d(nn.Conv2d):
    """2x2 pixels folded into channels and mixed, as one convolution of stride 2; the file has the folded filter [K, 4C, 1, 1]."""

    def __init__(self, inputs, outputs):
        super().__init__(4 * inputs, outputs, 1)

    def forward(self, x):
        return F.conv2d(x, self.weight.reshape(self.out_channels, -1, 2, 2), self.bias, stride=2)


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time at fixed frequencies."""

    def __init__(self, channels, theta=10000):
        super().__init__()
        half = channels // 2
        exponents = torch.arange(half, dtype=torch.float64) * (-math.log(theta) / (half - 1))
        self.register_buffer("frequencies", exponents.exp(), persistent=False)

    def forward(self, time):
        angles = time[:, None] * self.frequencies.to(time.dtype)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Unet(nn.Module):
    """From noisy images and times to what the diffusion model predicts."""

    def __init__(self, dim=64, dim_mults=(1, 2, 4, 8), channels=3, attn_heads=4, attn_dim_head=32):
        super().__init__()
        time_channels = 4 * dim
        widths = [dim] + [dim * mult for mult in dim_mults]
        stages = list(zip(widths, widths[1:]))
        last = len(stages) - 1

        def attention(stage, inputs):
            return (Attention if stage == last else LinearAttention)(inputs, attn_heads, attn_dim_head)

        def residual(inputs, outputs):
            return ResnetBlock(inputs, outputs, time_channels)

        self.init_conv = nn.Conv2d(channels, dim, 7, padding=3)
        self.time_mlp = nn.Sequential(TimeEmbedding(dim), nn.Linear(dim, time_channels), nn.GELU(),
                                      nn.Linear(time_channels, time_channels))
        self.downs = nn.ModuleList(
            nn.ModuleList([residual(a, a), residual(a, a), attention(stage, a),
                           nn.Conv2d(a, b, 3, padding=1) if stage == last else nn.Sequential(nn.Identity(), FoldedConv2d(a, b))])
            for stage, (a, b) in enumerate(stages))
        wide = widths[-1]
        self.mid_block1 = residual(wide, wide)
        self.mid_attn = Attention(wide, attn_heads, attn_dim_head)
        self.mid_block2 = residual(wide, wide)
        self.ups = nn.ModuleList(
            nn.ModuleList([residual(a + b, b), residual(a + b, b), attention(stage, b), nn.Conv2d(b, a, 3, padding=1) if stage == 0
                           else nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(b, a, 3, padding=1))])
            for stage, (a, b) in reversed(list(enumerate(stages))))
        self.final_res_block = residual(2 * dim, dim)
        self.final_conv = nn.Conv2d(dim, channels, 1)

    def forward(self, x, time):
        x = start = self.init_conv(x)
        time = self.time_mlp(time)
        skips = []
        for first, second, attend, resample in self.downs:
            x = first(x, time)
            skips.append(x)
            x = second(x, time)
            x = attend(x) + x
            skips.append(x)
            x = resample(x)
        x = self.mid_block1(x, time)
        x = self.mid_block2(self.mid_attn(x) + x, time)
        for first, second, attend, resample in self.ups:
            x = first(torch.cat([x, skips.pop()], dim=1), time)
            x = second(torch.cat([x, skips.pop()], dim=1), time)
            x = resample(attend(x) + x)
        return self.final_conv(self.final_res_block(torch.cat([x, start], dim=1), time))


class Convolution(nn.Module):
    """A convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs, outputs, size, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


def same(inputs, outputs, *size):
    """A convolution that keeps the size."""
    size = size if len(size) == 2 else size * 2
    return Convolution(inputs, outputs, size, padding=(size[0] // 2, size[1] // 2))


def average(x):
    """The average of the part of a 3x3 window that lies inside the image."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: 1x1, 5x5, two 3x3, average."""

    def __init__(self, inputs, pool):
        super().__init__()
        self.branch1x1 = same(inputs, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = same(inputs, 48, 1), same(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3 = same(inputs, 64, 1), same(64, 96, 3), same(96, 96, 3)
        self.branch_pool = same(inputs, pool, 1)

    def forward(self, x):
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)),
                          self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))), self.branch_pool(average(x))], 1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17: 3x3, two 3x3, maximum."""

    def __init__(self, inputs):
        super().__init__()
        self.branch3x3 = Convolution(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = same(inputs, 64, 1), same(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x):
        return torch.cat([self.branch3x3(x), self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
                          F.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """17 x 17: 1x1, a 7x7 in two parts, one in four, average."""

    def __init__(self, inner):
        super().__init__()
        self.branch1x1 = same(768, 192, 1)
        self.branch7x7_1, self.branch7x7_2, self.branch7x7_3 = same(768, inner, 1), same(inner, inner, 1, 7), same(inner, 192, 7, 1)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = same(768, inner, 1), same(inner, inner, 7, 1)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = same(inner, inner, 1, 7), same(inner, inner, 7, 1)
        self.branch7x7dbl_5 = same(inner, 192, 1, 7)
        self.branch_pool = same(768, 192, 1)

    def forward(self, x):
        narrow = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        return torch.cat([self.branch1x1(x), self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
                          self.branch7x7dbl_5(self.branch7x7dbl_4(narrow)), self.branch_pool(average(x))], 1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8: 3x3, a 7x7 in two parts and a 3x3, maximum."""

    def __init__(self):
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = same(768, 192, 1), Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2, self.branch7x7x3_3 = same(768, 192, 1), same(192, 192, 1, 7), same(192, 192, 7, 1)
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x):
        wide = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(wide), F.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """8 x 8: 1x1, a 3x3 as 1x3 beside 3x1, the same after another 3x3, and a pool: maxima in the network's last block."""

    def __init__(self, inputs, maximum):
        super().__init__()
        self.maximum = maximum
        self.branch1x1 = same(inputs, 320, 1)
        self.branch3x3_1 = same(inputs, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = same(384, 384, 1, 3), same(384, 384, 3, 1)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = same(inputs, 448, 1), same(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = same(384, 384, 1, 3), same(384, 384, 3, 1)
        self.branch_pool = same(inputs, 192, 1)

    def forward(self, x):
        narrow, wide = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.maximum else average(x)
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(narrow), self.branch3x3_2b(narrow), self.branch3x3dbl_3a(wide),
                          self.branch3x3dbl_3b(wide), self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """Inception-v3 in the variant of FID: [N, 3, 299, 299] from -1 to 1 to the four outputs, averaged over their positions."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = same(32, 64, 3)
        self.Conv2d_3b_1x1 = same(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = BlockC(128), BlockC(160), BlockC(160), BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, maximum=False), BlockE(2048, maximum=True)

    def stages(self, x):
        """The four outputs [N, C, H, W]."""
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, stride=2)
        yield x
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        yield x
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        yield x
        yield self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))

    def forward(self, x):
        for x in self.stages(x):
            pass
        return x.mean(dim=(2, 3))
