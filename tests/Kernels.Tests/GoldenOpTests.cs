using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Ops and small compositions against PyTorch's numbers, forward and gradients.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class GoldenOpTests(string id)
{
    private Device Opened => TestDevices.Open(id);

    /// <summary>The names of a file's cases.</summary>
    private static string[] Names(string file)
    {
        using var golden = GoldenFile.Open($"ops/{file}");
        return [.. golden.Entries.Select(entry => entry.Name.Split('/')[0]).Distinct().Order()];
    }

    private static string[] Convolutions => Names("conv2d");

    private static string[] Linears => Names("linear");

    // Batch normalisation is folded into convolutions by its user and is no op.
    private static string[] Norms => [.. Names("norm").Where(name => name != "batchnorm_eval")];

    private static string[] Softmaxes => [.. Names("elementwise").Where(name => name.StartsWith("softmax", StringComparison.Ordinal))];

    private static string[] Attentions => Names("attention");

    private static string[] Changes => Names("updown");

    private static string[] Embeddings => Names("time_embedding");

    private static string[] Pools => Names("pool");

    private static string[] Resizes => Names("resize");

    private static string[] Blocks => Names("resnet_block");

    [TestCaseSource(nameof(Convolutions))]
    public void Conv2D_matches_golden(string name) => Run("conv2d", name, g =>
    {
        var padding = g.Config.GetProperty("padding");
        g.Check(g.Tape.Conv2D(g["in.x"], g["param.weight"], g.Optional("param.bias"), g.Config.GetProperty("stride")[0].GetInt32(),
            padding[0].GetInt32(), padding[1].GetInt32()));
    });

    [TestCaseSource(nameof(Linears))]
    public void Linear_matches_golden(string name)
        => Run("linear", name, g => g.Check(g.Tape.Linear(g["in.x"], g["param.weight"], g.Optional("param.bias"))));

    [TestCaseSource(nameof(Norms))]
    public void Norm_matches_golden(string name) => Run("norm", name, g => g.Check(name.StartsWith("rms", StringComparison.Ordinal)
        ? g.Tape.RmsNorm(g["in.x"], g.Channels("param.g"))
        : g.Tape.GroupNorm(g["in.x"], g.Config.GetProperty("groups").GetInt32(), g["param.weight"], g["param.bias"])));

    [TestCase("silu")]
    [TestCase("silu_grid")]
    public void Silu_matches_golden(string name) => Run("elementwise", name, g => g.Check(g.Tape.Silu(g["in.x"])));

    [TestCase("gelu_erf")]
    [TestCase("gelu_erf_grid")]
    public void Gelu_matches_golden(string name) => Run("elementwise", name, g => g.Check(g.Tape.Gelu(g["in.x"])));

    [Test]
    public void Relu_matches_golden() => Run("elementwise", "relu", g => g.Check(g.Tape.Relu(g["in.x"])));

    [Test]
    public void Concat_matches_golden() => Run("elementwise", "concat_channel", g => g.Check(g.Tape.Concat(g["in.a"], g["in.b"])));

    [Test]
    public void ScaleShift_matches_golden()
        => Run("elementwise", "scale_shift", g => g.Check(g.Tape.ScaleShift(g["in.x"], ScaleAndShift(g))));

    [TestCaseSource(nameof(Softmaxes))]
    public void Softmax_matches_golden(string name) => Run("elementwise", name, channelsLast: false,
        check: g => g.Check(g.Tape.Softmax(g["in.x"], g.FileConfig.GetProperty("softmax_dims").GetProperty(name).GetInt32())));

    [Test]
    public void MeanSquaredError_matches_golden()
        => Run("elementwise", "mse_mean", g => g.Check(g.Tape.MeanSquaredError(g["in.x"], g["in.target"]), untracked: "in.target"));

    [Test]
    public void MeanSquaredError_matches_golden_when_samples_are_weighted() => Run("elementwise", "mse_per_sample", g =>
    {
        float[] upstream = g.Golden("upstream"), losses = g.Golden("out");
        var weights = g.Tape.Constant([upstream.Length], Array.ConvertAll(upstream, u => u * upstream.Length));
        var loss = g.Tape.MeanSquaredError(g["in.x"], g["in.target"], weights);
        Assert.That(loss.ToArray()[0], Is.EqualTo(upstream.Zip(losses, (u, l) => u * l).Sum()).Within(5e-6));
        g.Tape.Backward(loss);
        g.CheckGradient("in.x");
    });

    [TestCaseSource(nameof(Attentions))]
    public void Attention_matches_golden(string name) => Run("attention", name, g =>
    {
        bool linear = name.StartsWith("linear", StringComparison.Ordinal);
        var x = g["in.x"];
        int n = x.Shape[0], h = x.Shape[1], w = x.Shape[2];
        var qkv = g.Tape.Conv2D(g.Tape.RmsNorm(x, g.Channels("param.norm.g")), g["param.to_qkv.weight"]);
        var tokens = qkv.Reshape([n, h * w, qkv.Shape[3]]);
        var heads = linear ? g.Tape.LinearAttention(tokens, g["param.mem_kv"]) : g.Tape.Attention(tokens, g["param.mem_kv"]);
        var image = heads.Reshape([n, h, w, heads.Shape[2]]);
        g.Check(linear
            ? g.Tape.RmsNorm(g.Tape.Conv2D(image, g["param.to_out.0.weight"], g["param.to_out.0.bias"]), g.Channels("param.to_out.1.g"))
            : g.Tape.Conv2D(image, g["param.to_out.weight"], g["param.to_out.bias"]));
    });

    [TestCaseSource(nameof(Changes))]
    public void Change_of_resolution_matches_golden(string name) => Run("updown", name, g =>
    {
        bool down = name.StartsWith("down", StringComparison.Ordinal) || name == "pixel_unshuffle";
        if (!g.Has("param.1.weight"))
            g.Check(down ? g.Tape.SpaceToDepth(g["in.x"]) : g.Tape.NearestUpsample(g["in.x"]));
        else
        {
            Conv2DInput input = down ? g.Tape.SpaceToDepth(g["in.x"]) : Conv2DInput.NearestUpsample(g["in.x"]);
            g.Check(g.Tape.Conv2D(input, g["param.1.weight"], g["param.1.bias"]));
        }
    });

    [TestCaseSource(nameof(Embeddings))]
    public void Time_embedding_matches_golden(string name) => Run("time_embedding", name, g => g.Check(g.Has("param.weights")
        ? g.Tape.FourierEmbedding(g["in.time"], g["param.weights"])
        : g.Tape.SinusoidalEmbedding(g["in.time"], g.Config.GetProperty("dim").GetInt32(), g.Config.GetProperty("theta").GetSingle())));

    [TestCaseSource(nameof(Pools))]
    public void Pool_matches_golden(string name) => Run("pool", name, g =>
    {
        if (name.StartsWith("adaptive", StringComparison.Ordinal))
        {
            g.Check(g.Tape.GlobalAveragePool(g["in.x"]));
            return;
        }
        int window = g.Config.GetProperty("k").GetInt32();
        int stride = g.Config.GetProperty("s").GetInt32();
        int pad = g.Config.GetProperty("p").GetInt32();
        bool counted = !g.Config.TryGetProperty("count_include_pad", out var included) || included.GetBoolean();
        g.Check(name.StartsWith("max", StringComparison.Ordinal)
            ? g.Tape.MaxPool2D(g["in.x"], window, stride, pad)
            : g.Tape.AveragePool2D(g["in.x"], window, stride, pad, counted));
    });

    [TestCaseSource(nameof(Resizes))]
    public void Resize_matches_golden(string name) => Run("resize", name, g =>
    {
        var size = g.Config.GetProperty("size");
        var mode = name.Split('_')[0] switch
        {
            "antialias" => ResizeMode.BilinearAntialias,
            "nearest" => ResizeMode.Nearest,
            "tf1" => ResizeMode.BilinearTensorFlow1,
            _ => ResizeMode.Bilinear,
        };
        int rowStep = g.Config.TryGetProperty("stored_rows", out var rows) ? int.Parse(rows.GetString()!.AsSpan(2)) : 1;
        g.Check(g.Tape.Resize(g["in.x"], size[0].GetInt32(), size[1].GetInt32(), mode), rowStep);
    });

    [TestCaseSource(nameof(Blocks))]
    public void Residual_block_matches_golden(string name) => Run("resnet_block", name, g =>
    {
        var x = g["in.x"];
        if (name.StartsWith("block", StringComparison.Ordinal))
        {
            g.Check(Block(g, x, "param.", g.Has("in.scale") ? ScaleAndShift(g) : null));
            return;
        }
        var modulation = g.Has("in.time_emb")
            ? g.Tape.Linear(g.Tape.Silu(g["in.time_emb"]), g["param.mlp.1.weight"], g["param.mlp.1.bias"])
            : null;
        var inner = Block(g, Block(g, x, "param.block1.", modulation), "param.block2.", null);
        g.Check(g.Has("param.res_conv.weight")
            ? g.Tape.Conv2D(x, g["param.res_conv.weight"], g["param.res_conv.bias"], residual: inner)
            : g.Tape.Add(inner, x));
    });

    private static Tensor Block(GoldenCase g, Tensor x, string prefix, Tensor? scaleShift) => g.Tape.Conv2DRmsNormSilu(x,
        g[prefix + "proj.weight"], g[prefix + "proj.bias"], g.Channels(prefix + "norm.g"), scaleShift);

    private static Tensor ScaleAndShift(GoldenCase g)
    {
        Shape rows = [g["in.scale"].Shape[0], g["in.scale"].Shape[^1]];
        return g.Tape.Concat(g["in.scale"].Reshape(rows), g["in.shift"].Reshape(rows));
    }

    private void Run(string file, string name, Action<GoldenCase> check, bool channelsLast = true)
    {
        using (var golden = GoldenFile.Open($"ops/{file}"))
        using (var tape = Opened.NewTape())
            check(new GoldenCase(golden, name, tape, channelsLast));
        OpChecks.AssertNoStrayWrites(Opened);
    }
}
