using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Refusals name the op, the argument, what it was and what it should be.</summary>
public sealed class ShapeErrorTests
{
    private Tape _tape = null!;

    private static IEnumerable<TestCaseData> Misuses =>
    [
        Misuse("Add", "b", "[2, 3]", "[3, 2]", t => t.Add(Of(t, 3, 2), Of(t, 2, 3))),
        Misuse("Attention", "qkv", "[1, 4, 10]", "[N, T, 12]", t => t.Attention(Of(t, 1, 4, 10), Of(t, 2, 2, 3, 2))),
        Misuse("Attention", "memory", "[1, 2, 3, 2]", "keys, values", t => t.Attention(Of(t, 1, 4, 12), Of(t, 1, 2, 3, 2))),
        Misuse("AveragePool2D", "pad", "2", "half the window", t => t.AveragePool2D(Of(t, 1, 4, 4, 1), 3, 1, 2)),
        Misuse("Concat", "b", "[3, 2]", "[2, 2] but for the channels", t => t.Concat(Of(t, 2, 2), Of(t, 3, 2))),
        Misuse("Conv2D", "x", "[2, 3]", "[N, H, W, C]", t => t.Conv2D(Of(t, 2, 3), Of(t, 1, 1, 1, 3))),
        Misuse("Conv2D", "x", "[1, 8, 7, 3]", "[1, 8, 8, 2] but for the channels",
            t => t.Conv2D(Conv2DInput.Concat(Of(t, 1, 8, 8, 2), Of(t, 1, 8, 7, 3)), Of(t, 1, 1, 1, 5))),
        Misuse("Conv2D", "filter", "[5, 3, 3, 4]", "[K, R, S, 5]",
            t => t.Conv2D(Conv2DInput.Concat(Of(t, 1, 8, 8, 2), Of(t, 1, 8, 8, 3)), Of(t, 5, 3, 3, 4))),
        Misuse("Conv2D", "filter", "[5, 3, 3, 4]", "[K, R, S, 3]", t => t.Conv2D(Of(t, 1, 8, 8, 3), Of(t, 5, 3, 3, 4))),
        Misuse("Conv2D", "filter", "[5, 9, 9, 3]", "8x8", t => t.Conv2D(Of(t, 1, 8, 8, 3), Of(t, 5, 9, 9, 3), padHeight: 0, padWidth: 0)),
        Misuse("Conv2D", "bias", "[4]", "[5]", t => t.Conv2D(Of(t, 1, 8, 8, 3), Of(t, 5, 3, 3, 3), Of(t, 4))),
        Misuse("Conv2D", "stride", "0", "at least 1", t => t.Conv2D(Of(t, 1, 8, 8, 3), Of(t, 5, 3, 3, 3), stride: 0)),
        Misuse("Conv2D", "stride", "2", "1 for an upsampled input",
            t => t.Conv2D(Conv2DInput.NearestUpsample(Of(t, 1, 4, 4, 3)), Of(t, 5, 3, 3, 3), stride: 2)),
        Misuse("Conv2D", "residual", "[1, 8, 8, 3]", "[1, 8, 8, 5]",
            t => t.Conv2D(Of(t, 1, 8, 8, 3), Of(t, 5, 3, 3, 3), residual: Of(t, 1, 8, 8, 3))),
        Misuse("Conv2DInto", "y", "[1, 8, 8, 9]", "[1, 4, 4, 5] but for the channels", t => Into(t, Of(t, 1, 8, 8, 9), 0, 5, stride: 2)),
        Misuse("Conv2DInto", "y", "channels 5 to 9 of [1, 8, 8, 9]", "5 of its channels", t => Into(t, Of(t, 1, 8, 8, 9), 5, 5)),
        Misuse("Conv2DInto", "y", "channels 0 to 3 of [1, 8, 8, 9]", "5 of its channels", t => Into(t, Of(t, 1, 8, 8, 9), 0, 4)),
        Misuse("Conv2DRmsNormSilu", "filter", "[5, 2, 3, 3]", "odd",
            t => t.Conv2DRmsNormSilu(Of(t, 1, 8, 8, 3), Of(t, 5, 2, 3, 3), null, Of(t, 5))),
        Misuse("Conv2DRmsNormSilu", "gain", "[4]", "[5]",
            t => t.Conv2DRmsNormSilu(Of(t, 1, 8, 8, 3), Of(t, 5, 3, 3, 3), null, Of(t, 4))),
        Misuse("Conv2DRmsNormSilu", "scaleShift", "[1, 5]", "[1, 10]",
            t => t.Conv2DRmsNormSilu(Of(t, 1, 8, 8, 3), Of(t, 5, 3, 3, 3), null, Of(t, 5), Of(t, 1, 5))),
        Misuse("Dropout", "rate", "1", "[0, 1)", t => t.Dropout(Of(t, 2), 1, default)),
        Misuse("FourierEmbedding", "times", "[2, 1]", "[N]", t => t.FourierEmbedding(Of(t, 2, 1), Of(t, 4))),
        Misuse("GroupNorm", "groups", "4", "a divisor of 6", t => t.GroupNorm(Of(t, 2, 6), 4, Of(t, 6), Of(t, 6))),
        Misuse("LinearAttention", "qkv", "[1, 4, 12]", "[N, T, 18]", t => t.LinearAttention(Of(t, 1, 4, 12), Of(t, 2, 2, 3, 2))),
        Misuse("LinearCombination", "coefficients", "[2, 2]", "[2, 3]", t => t.LinearCombination(Of(t, 2, 2), Of(t, 2, 5))),
        Misuse("Linear", "x", "[2, 3]", "[.., 4]", t => t.Linear(Of(t, 2, 3), Of(t, 5, 4))),
        Misuse("MatMul", "b", "[4, 5]", "[2, 3]", t => t.MatMul(Of(t, 2, 3), Of(t, 4, 5))),
        Misuse("MaxPool2D", "window", "5", "padded size", t => t.MaxPool2D(Of(t, 1, 3, 4, 1), 5, 1)),
        Misuse("MeanSquaredError", "weights", "[3]", "[2]", t => t.MeanSquaredError(Of(t, 2, 3), Of(t, 2, 3), Of(t, 3))),
        Misuse("NearestUpsample", "x", "[2, 3]", "[N, H, W, C]", t => t.NearestUpsample(Of(t, 2, 3))),
        Misuse("AddOffsetNoise", "offset", "[2, 2]", "[2, 3]", t => t.AddOffsetNoise(Of(t, 2, 4, 3), Of(t, 2, 2), 1)),
        Misuse("Resize", "height", "0", "at least 1", t => t.Resize(Of(t, 1, 2, 2, 1), 0, 2)),
        Misuse("RmsNorm", "gain", "[4]", "[3]", t => t.RmsNorm(Of(t, 2, 3), Of(t, 4))),
        Misuse("RmsNorm", "scaleShift", "[2, 3]", "[2, 6]", t => t.RmsNormSilu(Of(t, 2, 3), Of(t, 3), Of(t, 2, 3))),
        Misuse("ScaleShift", "scaleShift", "[1, 6]", "[2, 6]", t => t.ScaleShift(Of(t, 2, 3), Of(t, 1, 6))),
        Misuse("SinusoidalEmbedding", "dim", "5", "even", t => t.SinusoidalEmbedding(Of(t, 2), 5)),
        Misuse("Softmax", "axis", "2", "[2, 3]", t => t.Softmax(Of(t, 2, 3), 2)),
        Misuse("SpaceToDepth", "x", "[1, 3, 4, 1]", "even", t => t.SpaceToDepth(Of(t, 1, 3, 4, 1))),
        Misuse("Reshape", "shape", "[4]", "6 values", t => Of(t, 2, 3).Reshape([4])),
    ];

    [SetUp]
    public void BeginTape() => _tape = TestDevices.Open("cpu").NewTape(recording: false);

    [TearDown]
    public void EndTape() => _tape.Dispose();

    [TestCaseSource(nameof(Misuses))]
    public void Refusal_names_op_argument_value_and_expectation(string op, string argument, string got, string wanted,
        Func<Tape, Tensor> call)
    {
        var error = Assert.Throws<ShapeException>(() => call(_tape))!;
        Assert.That(error.Op, Is.EqualTo(op));
        Assert.That(error.Argument, Is.EqualTo(argument));
        Assert.That(error.Got, Is.EqualTo(got));
        Assert.That(error.Wanted, Does.Contain(wanted));
        Assert.That(error.Message, Does.StartWith($"{op}: {argument} is {got}, expected "));
    }

    [Test]
    public void Shape_refuses_an_extent_below_one()
        => Assert.That(() => Shape.Create([2, 0]), Throws.TypeOf<ArgumentOutOfRangeException>());

    [Test]
    public void Copies_refuse_another_length()
    {
        var x = Of(_tape, 2, 3);
        Assert.That(() => x.CopyFrom(new float[5]), Throws.TypeOf<ShapeException>().With.Message.Contains("6 values"));
        Assert.That(() => x.CopyTo(new float[7]), Throws.TypeOf<ShapeException>().With.Message.Contains("6 values"));
    }

    private static Tensor Into(Tape tape, Tensor y, int first, int count, int stride = 1)
    {
        tape.Conv2DInto(new ChannelSlice(y, first, count), Of(tape, 1, 8, 8, 3), Of(tape, 5, 3, 3, 3), stride: stride);
        return y;
    }

    private static Tensor Of(Tape tape, params int[] extents) => tape.New(Shape.Create(extents));

    private static TestCaseData Misuse(string op, string argument, string got, string wanted, Func<Tape, Tensor> call)
        => new TestCaseData(op, argument, got, wanted, call).SetArgDisplayNames(op, argument, got);
}
