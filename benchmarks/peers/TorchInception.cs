using Diffusion.Gpu.Fid;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace Diffusion.Gpu.Benchmarks.Peers;

/// <summary>The same network on libtorch: channels last, batch norm folded, ReLU in place, no gradients.</summary>
internal sealed class TorchInception
{
    private readonly Dictionary<string, (Tensor Filter, Tensor Bias)> _convolutions = [];

    public TorchInception(InceptionWeights weights)
    {
        foreach (var layer in InceptionLayout.Layers)
        {
            var (filter, bias) = FoldedConvolution.Fold([layer.K, layer.C, layer.R, layer.S],
                part => weights.Values($"{layer.Name}.{part}"));
            _convolutions.Add(layer.Name, (ChannelsLast(filter, layer.K, layer.R, layer.S, layer.C), tensor(bias)));
        }
    }

    /// <summary>Values [n, h, w, c] as PyTorch's [n, c, h, w] over the same memory order.</summary>
    public static Tensor ChannelsLast(float[] values, long n, long h, long w, long c) => tensor(values, [n, h, w, c]).permute(0, 3, 1, 2);

    /// <summary>[N, 3, 299, 299] to [N, 2048].</summary>
    public Tensor Features(Tensor x)
    {
        x = Conv("Conv2d_1a_3x3", x, 2, 0);
        x = Conv("Conv2d_2a_3x3", x, 1, 0);
        x = max_pool2d(Conv("Conv2d_2b_3x3", x), [3, 3], [2, 2]);
        x = Conv("Conv2d_4a_3x3", Conv("Conv2d_3b_1x1", x), 1, 0);
        x = max_pool2d(x, [3, 3], [2, 2]);
        foreach (string block in new[] { "Mixed_5b", "Mixed_5c", "Mixed_5d" })
            x = A(block, x);
        x = cat([Conv("Mixed_6a.branch3x3", x, 2, 0), Two3x3("Mixed_6a", x, 2), max_pool2d(x, [3, 3], [2, 2])], 1);
        foreach (string block in new[] { "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e" })
            x = C(block, x);
        x = D("Mixed_7a", x);
        x = E("Mixed_7b", x, Average);
        x = E("Mixed_7c", x, y => max_pool2d(y, [3, 3], [1, 1], [1, 1]));
        return x.mean([2, 3]);
    }

    private Tensor A(string block, Tensor x) => cat(
    [
        Conv($"{block}.branch1x1", x), Conv($"{block}.branch5x5_2", Conv($"{block}.branch5x5_1", x)), Two3x3(block, x, 1),
        Conv($"{block}.branch_pool", Average(x)),
    ], 1);

    private Tensor C(string block, Tensor x)
    {
        var once = Conv($"{block}.branch7x7_3", Conv($"{block}.branch7x7_2", Conv($"{block}.branch7x7_1", x)));
        var twice = x;
        for (int i = 1; i <= 5; i++)
            twice = Conv($"{block}.branch7x7dbl_{i}", twice);
        return cat([Conv($"{block}.branch1x1", x), once, twice, Conv($"{block}.branch_pool", Average(x))], 1);
    }

    private Tensor D(string block, Tensor x)
    {
        var once = Conv($"{block}.branch3x3_2", Conv($"{block}.branch3x3_1", x), 2, 0);
        var twice = Conv($"{block}.branch7x7x3_3", Conv($"{block}.branch7x7x3_2", Conv($"{block}.branch7x7x3_1", x)));
        return cat([once, Conv($"{block}.branch7x7x3_4", twice, 2, 0), max_pool2d(x, [3, 3], [2, 2])], 1);
    }

    private Tensor E(string block, Tensor x, Func<Tensor, Tensor> pool)
    {
        var once = Conv($"{block}.branch3x3_1", x);
        var twice = Conv($"{block}.branch3x3dbl_2", Conv($"{block}.branch3x3dbl_1", x));
        return cat(
        [
            Conv($"{block}.branch1x1", x), Conv($"{block}.branch3x3_2a", once), Conv($"{block}.branch3x3_2b", once),
            Conv($"{block}.branch3x3dbl_3a", twice), Conv($"{block}.branch3x3dbl_3b", twice), Conv($"{block}.branch_pool", pool(x)),
        ], 1);
    }

    private Tensor Two3x3(string block, Tensor x, int stride)
    {
        var wide = Conv($"{block}.branch3x3dbl_2", Conv($"{block}.branch3x3dbl_1", x));
        return Conv($"{block}.branch3x3dbl_3", wide, stride, stride == 1 ? 1 : 0);
    }

    private static Tensor Average(Tensor x) => avg_pool2d(x, [3, 3], [1, 1], [1, 1], ceil_mode: false, count_include_pad: false);

    private Tensor Conv(string name, Tensor x, int stride = 1, int? pad = null)
    {
        var (filter, bias) = _convolutions[name];
        return conv2d(x, filter, bias, [stride, stride], [pad ?? filter.shape[2] / 2, pad ?? filter.shape[3] / 2]).relu_();
    }
}
