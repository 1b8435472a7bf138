using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>What the op cases cannot see: bits that must not depend on threads or on the batch, and the functions' accuracy.</summary>
[NonParallelizable]
public sealed class CpuOpsTests
{
    private static readonly RandomKey Key = new(7, 1, 2);

    /// <summary>Which sample of the whole batch the op's first is: what names its random numbers.</summary>
    private static uint _firstSample;

    private Device _device = null!;
    private int _threads;

    /// <summary>Name, shapes with the batch first or not at all, and the op. Sizes are above the cut-offs to one thread.</summary>
    private static IEnumerable<TestCaseData> Ops =>
    [
        Op("RmsNorm", [[3, 40, 40, 17], [17]], (tape, t) => tape.RmsNorm(t[0], t[1])),
        Op("RmsNormSilu", [[3, 30, 30, 64], [64], [3, 128]], (tape, t) => tape.RmsNormSilu(t[0], t[1], t[2])),
        Op("GroupNorm", [[3, 30, 30, 24], [24], [24]], (tape, t) => tape.GroupNorm(t[0], 4, t[1], t[2])),
        Op("ScaleShift", [[3, 900, 33], [3, 66]], (tape, t) => tape.ScaleShift(t[0], t[1])),
        Op("Silu", [[3, 50001]], (tape, t) => tape.Silu(t[0])),
        Op("Gelu", [[3, 50001]], (tape, t) => tape.Gelu(t[0])),
        Op("Softmax of rows", [[3, 300, 70]], (tape, t) => tape.Softmax(t[0])),
        Op("Softmax of columns", [[3, 300, 70]], (tape, t) => tape.Softmax(t[0], 1)),
        Op("Attention", [[3, 200, 96], [2, 2, 3, 16]], (tape, t) => tape.Attention(t[0], t[1])),
        Op("LinearAttention", [[3, 700, 96], [2, 2, 16, 3]], (tape, t) => tape.LinearAttention(t[0], t[1])),
        Op("SpaceToDepth", [[3, 40, 40, 17]], (tape, t) => tape.SpaceToDepth(t[0])),
        Op("NearestUpsample", [[3, 40, 40, 17]], (tape, t) => tape.NearestUpsample(t[0])),
        Op("Concat", [[3, 1000, 17], [3, 1000, 5]], (tape, t) => tape.Concat(t[0], t[1])),
        Op("Dropout", [[3, 30001]], (tape, t) => tape.Dropout(t[0], 0.3f, Key with { FirstSample = _firstSample })),
        Op("MaxPool2D", [[3, 40, 40, 17]], (tape, t) => tape.MaxPool2D(t[0], 3, 2, 1)),
        Op("AveragePool2D", [[3, 40, 40, 17]], (tape, t) => tape.AveragePool2D(t[0], 3, 1, 1)),
        Op("Resize", [[3, 40, 40, 5]], (tape, t) => tape.Resize(t[0], 77, 31)),
    ];

    [OneTimeSetUp]
    public void Open()
    {
        _device = Device.Open("cpu");
        _threads = ForkJoinPool.Threads;
    }

    [OneTimeTearDown]
    public void Close() => _device.Dispose();

    [TearDown]
    public void RestoreThreads() => ForkJoinPool.Threads = _threads;

    [TestCaseSource(nameof(Ops))]
    public void Result_and_gradients_have_the_same_bits_on_any_number_of_threads(int[][] shapes, Func<Tape, Tensor[], Tensor> op)
    {
        ForkJoinPool.Threads = 1;
        var alone = Run(shapes, op, from: 0, count: 3);
        ForkJoinPool.Threads = 3;
        Assert.That(Run(shapes, op, from: 0, count: 3), Is.EqualTo(alone));
    }

    [TestCaseSource(nameof(Ops))]
    public void Sample_has_the_same_bits_alone_and_in_a_batch(int[][] shapes, Func<Tape, Tensor[], Tensor> op)
    {
        var batch = Run(shapes, op, from: 0, count: 3);
        for (int sample = 0; sample < 3; sample++)
        {
            var alone = Run(shapes, op, sample, count: 1);
            Assert.That(alone[0], Is.EqualTo(Part(batch[0], sample)), $"result of sample {sample}");
            for (int i = 0; i < shapes.Length; i++)
            {
                if (shapes[i][0] == 3)
                    Assert.That(alone[i + 1], Is.EqualTo(Part(batch[i + 1], sample)), $"gradient {i} of sample {sample}");
            }
        }
    }

    [Test]
    public void Sum_of_squares_and_loss_have_the_same_bits_on_any_number_of_threads()
    {
        using var x = Tensor([3, 100003], 0, 3);
        using var y = Tensor([3, 100003], 1, 3);
        float[] Sums(int threads)
        {
            ForkJoinPool.Threads = threads;
            using var tape = _device.NewTape(recording: false);
            using var squares = _device.NewTensor([1]);
            _device.Backend.SumOfSquares(x, squares);
            return [squares.ToArray()[0], tape.MeanSquaredError(x, y).ToArray()[0]];
        }

        var values = x.ToArray();
        double exact = values.Sum(v => (double)v * v);
        Assert.That(Sums(3), Is.EqualTo(Sums(1)));
        Assert.That(Sums(1)[0], Is.EqualTo(exact).Within(2e-7 * exact));
    }

    [Test]
    public void Noise_is_the_numbers_of_philox_bit_for_bit()
    {
        using var tape = _device.NewTape(recording: false);
        const int length = 20001;
        float[] normal = tape.Normal([2, length], Key).ToArray(), uniform = tape.Uniform([2, length], Key).ToArray();
        for (int i = 0; i < 2 * length; i++)
        {
            uint sample = (uint)(i / length), index = (uint)(i % length);
            Assert.That(normal[i], Is.EqualTo(Philox.Normal(Key, sample, index)), $"normal number {i}");
            Assert.That(uniform[i], Is.EqualTo(Philox.Uniform(Key, sample, index)), $"uniform number {i}");
        }
    }

    [Test]
    public void Exponential_is_within_one_and_a_half_units_in_the_last_place()
    {
        double worst = 0;
        for (float x = -87; x < 88.7f; x += 0.00137f)
        {
            double exact = Math.Exp(x);
            worst = Math.Max(worst, Math.Abs(Exp(x) - exact) / (MathF.BitIncrement((float)exact) - (float)exact));
        }
        Assert.That(worst, Is.LessThan(1.5));
    }

    [TestCase(0f, 1f)]
    [TestCase(float.NaN, float.NaN)]
    [TestCase(float.PositiveInfinity, float.PositiveInfinity)]
    [TestCase(float.NegativeInfinity, 0f)]
    [TestCase(89f, float.PositiveInfinity)]
    [TestCase(-1e30f, 0f)]
    [TestCase(-103f, 1.4e-45f)]
    public void Exponential_handles_extremes(float x, float expected) => Assert.That(Exp(x), Is.EqualTo(expected));

    [Test]
    public void Normal_distribution_is_relatively_accurate_in_both_tails()
    {
        Assert.Multiple(() =>
        {
            // Φ from tables of the normal distribution (Abramowitz and Stegun, 26.1, and its asymptotic series).
            Assert.That(Cdf(-10), Is.EqualTo(7.619853024160527e-24).Within(8e-30));
            Assert.That(Cdf(-5), Is.EqualTo(2.866515718791939e-7).Within(1.5e-13));
            Assert.That(Cdf(-1), Is.EqualTo(0.15865525393145705).Within(6e-8));
            Assert.That(Cdf(0), Is.EqualTo(0.5).Within(6e-8));
            Assert.That(Cdf(1), Is.EqualTo(0.8413447460685429).Within(1.2e-7));
            Assert.That(Cdf(6), Is.EqualTo(0.9999999990134124).Within(6e-8));
        });
    }

    private static float Exp(float x) => Simd.Exp(Vector512.Create(x))[5];

    private static double Cdf(float x) => Simd.NormalCdf(Vector512.Create(x), out _)[11];

    private static TestCaseData Op(string name, int[][] shapes, Func<Tape, Tensor[], Tensor> op)
        => new TestCaseData(shapes, op).SetArgDisplayNames(name);

    private static float[] Part(float[] batch, int sample) => batch[(sample * (batch.Length / 3))..((sample + 1) * (batch.Length / 3))];

    /// <summary>The result and all gradients for some samples of the same batch of three.</summary>
    private float[][] Run(int[][] shapes, Func<Tape, Tensor[], Tensor> op, int from, int count)
    {
        _firstSample = (uint)from;
        using var tape = _device.NewTape();
        var inputs = shapes.Select((shape, i) =>
        {
            bool batched = shape[0] == 3;
            var values = Values(i, shape.Aggregate((a, b) => a * b));
            int part = batched ? values.Length / 3 : 0;
            return tape.Constant(Shape.Create(batched ? [count, .. shape[1..]] : shape),
                batched ? values.AsSpan(from * part, count * part) : values);
        }).ToArray();
        foreach (var input in inputs)
            tape.Watch(input);
        var y = op(tape, inputs);
        int length = (int)y.Count / count;
        tape.Backward(y, tape.Constant(y.Shape, Values(99, 3 * length).AsSpan(from * length, count * length)));
        return [y.ToArray(), .. inputs.Select(input => tape.Gradient(input)!.ToArray())];
    }

    private Tensor Tensor(Shape shape, int seed, float scale)
    {
        var tensor = _device.NewTensor(shape);
        tensor.CopyFrom([.. Values(seed, (int)shape.Count).Select(v => v * scale)]);
        return tensor;
    }

    private static float[] Values(int seed, int count)
    {
        var key = new RandomKey((ulong)seed, 0, 0);
        return [.. Enumerable.Range(0, count).Select(i => Philox.Normal(key, 0, (uint)i))];
    }
}
