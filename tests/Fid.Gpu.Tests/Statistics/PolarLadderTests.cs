using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using MathNet.Numerics.LinearAlgebra;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>The ladder's coefficients, its certificate, and what it does when it is pushed.</summary>
public sealed class PolarLadderTests
{
    private const int Dims = 256;

    private static Device Cpu => TestDevices.Open("cpu");

    [Test]
    public void Rows_keep_singular_values_below_one_and_the_last_lands_on_it()
    {
        const double Guard = 1 - (1.0 / 256);
        double[] unit = [.. Enumerable.Range(0, 200001).Select(i => i / 200000.0)];
        foreach (var row in LadderRow.Run(1).SkipLast(1))
            Assert.That(unit.Max(row.Map), Is.LessThanOrEqualTo(Guard + 1e-12).And.GreaterThan(Guard - 1e-6));
        Assert.That(unit.Min(LadderRow.Boost.Map), Is.Zero);
        foreach (double sigma in unit.Where(sigma => sigma is > 0 and < LadderRow.Cushion))
            Assert.That(LadderRow.Boost.Map(sigma) / sigma, Is.GreaterThanOrEqualTo(LadderRow.BoostGain));
        foreach (double sigma in unit.Where(sigma => sigma is >= 0.98255 and <= 0.99609))
            Assert.That(LadderRow.Landing[^1].Map(sigma), Is.EqualTo(1).Within(4.3e-7));
    }

    [TestCase(1)]
    [TestCase(5)]
    [TestCase(9)]
    public void Run_brings_everything_above_its_floor_to_one(int boosts)
    {
        double floor = LadderRow.Floor(boosts);
        for (double sigma = floor; sigma <= 1; sigma *= 1.0003)
        {
            double x = LadderRow.Run(boosts).Aggregate(sigma, (value, row) => row.Map(value));
            Assert.That(x * (1.5 - (0.5 * x * x)), Is.InRange(1 - 2.8e-13, 1 + 1e-15), $"from {sigma}");
        }
    }

    [TestCase(false, 1e-10)]
    [TestCase(true, 1e-10)]
    public void Norm_is_certified_when_the_condition_is_1e12(bool isSingle, double tolerance)
    {
        double[] values = Spectra.LogUniform(Dims, 1e6);
        var result = Check(values, new LadderOptions(isSingle));
        Assert.That(result.Value, Is.EqualTo(values.Sum()).Within(tolerance * values.Sum()));
        Assert.That((result.Continuations, result.Products), Is.EqualTo((0, 38)));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Norm_is_certified_when_singular_values_are_zero(bool isSingle)
    {
        double[] values = [.. Spectra.LogUniform(Dims / 2, 1e3), .. new double[Dims / 2]];
        var result = Check(values, new LadderOptions(isSingle));
        Assert.That(result.Value, Is.EqualTo(values.Sum()).Within(1e-9 * values.Sum()));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Norm_of_a_lying_matrix_is_found(bool isSingle)
    {
        double[] values = Spectra.LogUniform(40, 1e2);
        using var b = Spectra.Matrix(Cpu, values, 70);
        Assert.That(PolarLadder.Norm(b, new LadderOptions(isSingle)).Value, Is.EqualTo(values.Sum()).Within(1e-10 * values.Sum()));
    }

    [Test]
    public void Norm_of_zero_is_zero()
    {
        using var b = new Matrix(Cpu, 3, 4, new double[12]);
        var result = PolarLadder.Norm(b, new LadderOptions(false));
        Assert.That((result.Value, result.Bound, result.IsAccepted), Is.EqualTo((0.0, 0.0, true)));
    }

    /// <summary>Five boosts miss the tail; the bound says so, and one more run repairs it.</summary>
    [Test]
    public void Bound_rejects_too_few_boosts_and_a_continuation_repairs_them()
    {
        double[] values = Spectra.ColdTail(Dims);
        double truth = values.Sum();
        var rejected = Check(values, new LadderOptions(false, Boosts: 3, Continuations: 0), accepted: false);
        Assert.That((truth - rejected.Value) / truth, Is.GreaterThan(1e-6));
        var repaired = Check(values, new LadderOptions(false, Boosts: 3));
        Assert.That(repaired.Continuations, Is.EqualTo(1));
        Assert.That(repaired.Value, Is.EqualTo(truth).Within(1e-11 * truth));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void Start_above_norm_one_is_loud(bool isSingle)
    {
        double[] one = new double[24];
        one[0] = 1;
        using var b = Spectra.Matrix(Cpu, one, 24);
        var result = PolarLadder.Norm(b, new LadderOptions(isSingle, Start: 0.99));
        Assert.That(result.IsAccepted, Is.False);
        Assert.That(double.IsFinite(result.Value), Is.False);
    }

    /// <summary>Seventeenth features without variance, and scales from 1e-4 to 1e4.</summary>
    [TestCase(false, RootMethod.Float64Ladder, 1e-9)]
    [TestCase(false, RootMethod.Float32Ladder, 1e-9)]
    [TestCase(true, RootMethod.Float64Ladder, 1e-6)]
    [TestCase(true, RootMethod.Float32Ladder, 1e-6)]
    public void Distance_survives_dead_features_and_bad_scales(bool badScales, RootMethod method, double tolerance)
    {
        var (a, b) = (Statistics("one side", 520, badScales), Statistics("other side", 600, badScales));
        double truth = NuclearNorm(a, b);
        var root = MatrixSquareRoot.Trace(a, b, Cpu, method);
        Assert.That(root.Path, Does.StartWith("polar ladder"));
        Assert.That(root.Value, Is.EqualTo(truth).Within(tolerance * truth));
        Assert.That(truth, Is.InRange(root.Value - root.Excess, root.Value + root.Missing + (1e-11 * truth)));
    }

    [Test]
    public void Root_falls_back_to_eigenvalues_and_says_why()
    {
        var statistics = Statistics("one side", 40, badScales: false, keepsFeatures: false);
        double[] rounded = Array.ConvertAll(statistics.Covariance, value => (double)(float)value);
        var root = MatrixSquareRoot.Trace(statistics, new GaussianStatistics(statistics.Mean, rounded), Cpu, RootMethod.Float64Ladder);
        Assert.That(root.Path, Does.StartWith("eigenvalues")
            .And.EndWith("because a covariance was rounded to 32 bits or has negative eigenvalues"));
    }

    /// <summary>The certificate takes the singular vectors for kept; in 32 bits they turn. What that can cost is bounded by the skew part
    /// K of H = QᵀB against its symmetric part S: ½ ‖(S + μI)^-½ K‖² + ½ μ d + √d ‖B − QH‖.</summary>
    [Test]
    public void Audit_bounds_what_32_bits_cost()
    {
        const int Side = 64;
        double[] values = Spectra.LogUniform(Side, 1e3);
        using var b = Spectra.Matrix(Cpu, values, Side);
        var result = PolarLadder.Norm(b, new LadderOptions(true));
        var factor = Matrix<double>.Build.DenseOfRowMajor(Side, Side, b.ToArray());
        using var body = LadderBody.Create(Cpu, Side, Side, isSingle: true);
        using var gram = new Matrix(Cpu, Side, Side);
        gram.SetProduct(b, b, transposeB: true, symmetric: true);
        foreach (var (i, row) in LadderRow.Run(9).Index())
        {
            if (i == 0)
                body.Start(row, b, gram, Math.Sqrt(gram.Norm()) * (1 + body.Margin));
            else
                body.Step(row);
        }
        var x = Matrix<double>.Build.DenseOfRowMajor(Side, Side, body.Finish().ToArray());
        var q = x * 1.5 - (x * x.Transpose() * x * 0.5);
        var h = q.Transpose() * factor;
        var symmetric = (h + h.Transpose()) / 2;
        var skew = (h - h.Transpose()) / 2;
        double mu = 1e-9 * symmetric.FrobeniusNorm();
        var lower = (symmetric + (mu * Matrix<double>.Build.DenseIdentity(Side))).Cholesky().Factor;
        double rotation = Math.Pow(lower.Solve(skew).FrobeniusNorm(), 2) / 2;
        double bound = symmetric.Trace() + (mu * Side / 2) + rotation + (Math.Sqrt(Side) * (factor - (q * h)).FrobeniusNorm());
        Assert.That(symmetric.Trace(), Is.EqualTo(result.Value).Within(1e-12 * result.Value));
        Assert.That(values.Sum(), Is.InRange(result.Value - (1e-13 * result.Value), bound));
        Assert.That(rotation, Is.LessThan(1e-9 * values.Sum()));
    }

    private static LadderResult Check(double[] values, LadderOptions options, bool accepted = true)
    {
        using var b = Spectra.Matrix(Cpu, values, values.Length);
        var result = PolarLadder.Norm(b, options);
        TestContext.Out.WriteLine($"{result}, error {(result.Value - values.Sum()) / values.Sum():G3}");
        Assert.That(result.IsAccepted, Is.EqualTo(accepted));
        Assert.That(values.Sum(), Is.InRange(result.Value * (1 - 1e-13), result.Value + result.Bound));
        return result;
    }

    private static GaussianStatistics Statistics(string name, int count, bool badScales, bool keepsFeatures = true)
    {
        const int Features = 85;
        float[] features = HashFeatures.Make(name, count, Features);
        for (int i = 0; i < features.Length; i++)
        {
            int feature = i % Features;
            if (feature % 17 == 0)
                features[i] = 0.25f;
            else if (badScales)
                features[i] *= MathF.Pow(10, ((feature * 7) % 9) - 4);
        }
        using var statistics = new FeatureStatistics(Cpu, Features);
        statistics.Add(features);
        var finished = statistics.Finish();
        return keepsFeatures ? finished : new GaussianStatistics(finished.Mean, finished.Covariance, finished.Count);
    }

    /// <summary>Singular values of L₁ᵀ L₂ by MathNet.</summary>
    private static double NuclearNorm(GaussianStatistics a, GaussianStatistics b)
    {
        var product = Factor(a).Transpose() * Factor(b);
        return product.Svd(computeVectors: false).S.Sum();

        static Matrix<double> Factor(GaussianStatistics statistics)
            => Matrix<double>.Build.DenseOfRowMajor(statistics.Dims, statistics.Dims, statistics.FactorOn(null)!.Values);
    }
}
