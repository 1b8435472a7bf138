using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>Inception-v3 in the variant that FID is defined with, up to the depth that is wanted, on one device.</summary>
/// <remarks>pytorch-fid's inception.py: four outputs of 64, 192, 768 and 2048 channels. Every image's results are the same bits whatever
/// batch it is in.</remarks>
public sealed class InceptionV3 : IDisposable
{
    /// <summary>Height and width of the images it sees, in pixels.</summary>
    public const int ImageSize = 299;

    private readonly Dictionary<string, FoldedConvolution> _convolutions = new(StringComparer.Ordinal);
    private readonly Tensor? _classWeight;
    private readonly Tensor? _classBias;

    /// <summary>Folds the weights and brings those that are needed to a device.</summary>
    /// <param name="device">Where the network runs.</param>
    /// <param name="weights">Not needed afterwards.</param>
    /// <param name="dims">Channels of the deepest output wanted: 64, 192, 768 or 2048.</param>
    /// <exception cref="ArgumentException">No output has that many channels.</exception>
    /// <exception cref="DeviceException">The device has no room.</exception>
    public InceptionV3(Device device, InceptionWeights weights, int dims = InceptionLayout.Features)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(weights);
        LastStage = StageOf(dims);
        try
        {
            foreach (var layer in InceptionLayout.Layers.Where(layer => StageOf(layer.Name) <= LastStage))
            {
                _convolutions.Add(layer.Name, FoldedConvolution.Create(device, [layer.K, layer.C, layer.R, layer.S],
                    part => weights.Values($"{layer.Name}.{part}")));
            }
            if (LastStage == Depths.Count - 1)
            {
                _classWeight = device.NewTensor([InceptionLayout.Classes, InceptionLayout.Features], weights.Values("fc.weight"));
                _classBias = device.NewTensor([InceptionLayout.Classes], weights.Values("fc.bias"));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Channels of the four outputs, from the shallowest on.</summary>
    public static IReadOnlyList<int> Depths { get; } = [64, 192, 768, InceptionLayout.Features];

    /// <summary>The deepest stage that the weights are there for.</summary>
    internal int LastStage { get; }

    /// <summary>The filters by the names of their layers.</summary>
    internal IEnumerable<(string Layer, Tensor Filter)> Filters => _convolutions.Select(entry => (entry.Key, entry.Value.Filter));

    /// <summary>The means over all positions of the deepest output.</summary>
    /// <param name="tape">A tape that does not record.</param>
    /// <param name="images">[N, 299, 299, 3] from −1 to 1.</param>
    /// <returns>[N, dims].</returns>
    public Tensor Features(Tape tape, Tensor images)
    {
        ArgumentNullException.ThrowIfNull(tape);
        using var scope = tape.Scope();
        var x = images;
        for (int stage = 0; stage <= LastStage; stage++)
        {
            using var inner = tape.Scope();
            x = inner.Keep(Stage(tape, x, stage));
        }
        return scope.Keep(tape.GlobalAveragePool(x));
    }

    /// <summary>The classifier on top of the deepest output.</summary>
    /// <param name="tape">A tape that does not record.</param>
    /// <param name="features">[N, 2048].</param>
    /// <param name="biased">False leaves the bias out, as the Inception Score of guided-diffusion and torch-fidelity does.</param>
    /// <returns>[N, 1008].</returns>
    /// <exception cref="InvalidOperationException">The network was made for a shallower output.</exception>
    public Tensor Logits(Tape tape, Tensor features, bool biased = true)
    {
        ArgumentNullException.ThrowIfNull(tape);
        return tape.Linear(features, _classWeight ?? throw new InvalidOperationException(
            $"Logits: this network ends at {Depths[LastStage]} channels; make it with dims {InceptionLayout.Features}."),
            biased ? _classBias : null);
    }

    /// <summary>Returns the weights' memory.</summary>
    public void Dispose()
    {
        foreach (var convolution in _convolutions.Values)
            convolution.Dispose();
        _convolutions.Clear();
        _classWeight?.Dispose();
        _classBias?.Dispose();
    }

    /// <summary>One of the four stages: from the output before, or the images, to the next output [N, H, W, channels].</summary>
    internal Tensor Stage(Tape tape, Tensor x, int stage)
    {
        using var scope = tape.Scope();
        return scope.Keep(stage switch
        {
            0 => Stem(tape, x),
            1 => tape.MaxPool2D(Layer("Conv2d_4a_3x3").Apply(tape, Layer("Conv2d_3b_1x1").Apply(tape, x), padded: false), 3, 2),
            2 => Chain(tape, x,
                ("Mixed_5b", (block, x) => block.A(tape, x)),
                ("Mixed_5c", (block, x) => block.A(tape, x)),
                ("Mixed_5d", (block, x) => block.A(tape, x)),
                ("Mixed_6a", (block, x) => block.B(tape, x)),
                ("Mixed_6b", (block, x) => block.C(tape, x)),
                ("Mixed_6c", (block, x) => block.C(tape, x)),
                ("Mixed_6d", (block, x) => block.C(tape, x)),
                ("Mixed_6e", (block, x) => block.C(tape, x))),
            _ => Chain(tape, x,
                ("Mixed_7a", (block, x) => block.D(tape, x)),
                ("Mixed_7b", (block, x) => block.E(tape, x, maximum: false)),
                ("Mixed_7c", (block, x) => block.E(tape, x, maximum: true))),
        });
    }

    /// <summary>The index of the output with that many channels.</summary>
    internal static int StageOf(int dims)
    {
        for (int stage = 0; stage < Depths.Count; stage++)
        {
            if (Depths[stage] == dims)
                return stage;
        }
        throw new ArgumentException($"dims is {dims}, expected {string.Join(", ", Depths)}", nameof(dims));
    }

    private static int StageOf(string layer) => layer switch
    {
        "Conv2d_1a_3x3" or "Conv2d_2a_3x3" or "Conv2d_2b_3x3" => 0,
        "Conv2d_3b_1x1" or "Conv2d_4a_3x3" => 1,
        _ => layer.StartsWith("Mixed_7", StringComparison.Ordinal) ? 3 : 2,
    };

    /// <summary>299 × 299 to 73 × 73. The largest activations of the network: each dies as soon as it was read.</summary>
    private Tensor Stem(Tape tape, Tensor x)
    {
        using (var scope = tape.Scope())
        {
            var first = Layer("Conv2d_1a_3x3").Apply(tape, x, stride: 2, padded: false);
            x = scope.Keep(Layer("Conv2d_2a_3x3").Apply(tape, first, padded: false));
        }
        return tape.MaxPool2D(Layer("Conv2d_2b_3x3").Apply(tape, x), window: 3, stride: 2);
    }

    /// <summary>One block after the other; each output dies when the next one is there.</summary>
    private Tensor Chain(Tape tape, Tensor x, params ReadOnlySpan<(string Name, Func<InceptionBlocks, Tensor, Tensor> Run)> blocks)
    {
        if (blocks.IsEmpty)
            return x;
        var (name, run) = blocks[^1];
        using var scope = tape.Scope();
        return scope.Keep(run(new InceptionBlocks(layer => Layer($"{name}.{layer}")), Chain(tape, x, blocks[..^1])));
    }

    private FoldedConvolution Layer(string name) => _convolutions[name];
}
