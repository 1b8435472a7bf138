using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Files of statistics: what is written is read back, and every defect is named.</summary>
public sealed class StatisticsFileTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("statistics").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, true);

    [TestCase(100, false)]
    [TestCase(30, true)]
    public void Statistics_survive_a_file_with_their_factor(int count, bool keepsFeatures)
    {
        using var streaming = new FeatureStatistics(TestDevices.Open("cpu"), 40);
        streaming.Add(HashFeatures.Make("file", count, 40));
        var finished = streaming.Finish();
        var written = new GaussianStatistics(finished.Mean, finished.Covariance, finished.Count,
            keepsFeatures ? finished.FactorOn(null) : null)
        {
            Recipe = "pytorch-fid",
            Weights = "sha256:abc",
        };
        written.Write(At("a.npz"));
        var read = GaussianStatistics.Read(At("a.npz"));
        Assert.That(read.Mean, Is.EqualTo(written.Mean));
        Assert.That(read.Covariance, Is.EqualTo(written.Covariance));
        Assert.That((read.Count, read.Recipe, read.Weights), Is.EqualTo((written.Count, "pytorch-fid", "sha256:abc")));
        Assert.That(read.KeepsFeatures, Is.EqualTo(keepsFeatures));
        Assert.That(read.FactorOn(null)!.Values, Is.EqualTo(written.FactorOn(null)!.Values));
        Assert.That((read.FactorOn(null)!.Rows, read.FactorOn(null)!.IsCholesky, read.FactorOn(null)!.Shift),
            Is.EqualTo((keepsFeatures ? count : 40, !keepsFeatures, written.FactorOn(null)!.Shift)));
    }

    /// <summary>pytorch-fid reads f['mu'][:] and f['sigma'][:]; clean-fid indexes "mu" and "sigma".</summary>
    [Test]
    public void Written_files_hold_what_pytorch_fid_and_clean_fid_read()
    {
        new GaussianStatistics([1, 2], [3, 0.5, 0.5, 4]).Write(At("a.npz"));
        using var file = NpzReader.Open(At("a.npz"));
        Assert.That((file.Entry("mu").Type, file.Entry("sigma").Type), Is.EqualTo((ElementType.F64, ElementType.F64)));
        Assert.That(file.Entry("mu").Shape, Is.EqualTo(new[] { 2 }));
        Assert.That(file.Entry("sigma").Shape, Is.EqualTo(new[] { 2, 2 }));
        Assert.That(file.ReadDoubles("sigma"), Is.EqualTo(new[] { 3, 0.5, 0.5, 4 }));
    }

    [TestCase("mu", "sigma")]
    [TestCase("m2", "s2")]
    public void Files_of_other_programs_are_read(string mean, string covariance)
    {
        NpzWriter.Write(At("a.npz"),
        [
            TensorSource.Singles(mean, [2], new float[] { 1, 2 }),
            TensorSource.Doubles(covariance, [2, 2], new[] { 3, 0.5, 0.5 + 1e-9, 4 }),
            TensorSource.Doubles("mu_s", [1], new double[1]),
        ]);
        var read = GaussianStatistics.Read(At("a.npz"));
        Assert.That(read.Mean, Is.EqualTo(new double[] { 1, 2 }));
        Assert.That(read.Covariance[1], Is.EqualTo(read.Covariance[2]).And.EqualTo(0.5).Within(1e-9));
        Assert.That(read.Count, Is.Null);
        Assert.That((read.Recipe, read.Weights, read.KeepsFeatures), Is.EqualTo(((string?)null, (string?)null, false)));
    }

    private static IEnumerable<TestCaseData> Defects()
    {
        yield return Defect("wrong_keys", "has the arrays x; expected mu and sigma", Doubles("x", [2], 1, 2));
        yield return Defect("no_sigma", "expected mu and sigma", Doubles("mu", [2], 1, 2));
        yield return Defect("mean_is_a_matrix",
            "tensor 'mu': has the shape (1, 2); expected (dims)", Doubles("mu", [1, 2], 1, 2), Square(1, 0, 0, 1));
        yield return Defect("sigma_is_flat",
            "tensor 'sigma': has the shape (4); expected (2, 2)", Mean(), Doubles("sigma", [4], 1, 0, 0, 1));
        yield return Defect("sizes_differ",
            "tensor 'sigma': has the shape (2, 2); expected (3, 3)", Doubles("mu", [3], 1, 2, 3), Square(1, 0, 0, 1));
        yield return Defect("mean_is_NaN", "tensor 'mu': value 1 is NaN", Doubles("mu", [2], 1, double.NaN), Square(1, 0, 0, 1));
        yield return Defect("sigma_is_NaN", "tensor 'sigma': value [1, 0] is NaN", Mean(), Square(1, double.NaN, 0, 1));
        yield return Defect("sigma_is_infinite", "tensor 'sigma': value [1, 1] is", Mean(), Square(1, 0, 0, double.PositiveInfinity));
        yield return Defect("sigma_is_asymmetric", "value [1, 0] differs from its mirror image by 0.001", Mean(), Square(1, 0.001, 0, 1));
        yield return Defect("variance_is_negative", "variance 1 is -1", Mean(), Square(1, 0, 0, -1));
        yield return Defect("one_image", "made from 1 images; a covariance needs at least two", Mean(), Square(1, 0, 0, 1),
            TensorSource.Integers("count", [], new long[] { 1 }));
        yield return Defect("count_of_two", "tensor 'count': holds 2 numbers", Mean(), Square(1, 0, 0, 1),
            TensorSource.Integers("count", [2], new long[] { 9, 9 }));
        yield return Defect("sigma_of_integers", "tensor 'sigma': holds I64; expected floats", Mean(),
            TensorSource.Integers("sigma", [2, 2], new long[] { 1, 0, 0, 1 }));
        yield return Defect("foreign_factor",
            "tensor 'factor': gives the variance 4 where sigma has 1 (feature 1)", Mean(), Square(1, 0, 0, 1),
            Doubles("factor", [2, 2], 1, 0, 0, 2), Doubles("factor_shift", [], 1e-15));
        yield return Defect("misshapen_factor", "tensor 'factor': has the shape (1, 4)", Mean(), Square(1, 0, 0, 1),
            Doubles("factor", [1, 4], 1, 0, 0, 1), Doubles("factor_shift", [], 0));
    }

    [TestCaseSource(nameof(Defects))]
    public void Defects_are_named(string expected, TensorSource[] arrays)
    {
        NpzWriter.Write(At("a.npz"), arrays);
        Assert.That(() => GaussianStatistics.Read(At("a.npz")),
            Throws.TypeOf<WeightsException>().With.Message.Contains(expected).And.Message.StartsWith(At("a.npz")));
    }

    [Test]
    public void Files_that_are_none_are_named()
    {
        Assert.That(() => GaussianStatistics.Read(At("absent.npz")), Throws.TypeOf<WeightsException>().With.Message.Contains("absent.npz"));
        File.WriteAllText(At("text.npz"), "no archive");
        Assert.That(() => GaussianStatistics.Read(At("text.npz")), Throws.TypeOf<WeightsException>().With.Message.Contains("zip"));
    }

    [Test]
    public void Numbers_that_are_no_statistics_are_refused_without_a_file_too()
    {
        Assert.That(() => new GaussianStatistics([1], [1, 2]), Throws.ArgumentException.With.Message.Contains("2 values for a mean of 1"));
        Assert.That(() => new GaussianStatistics([1], [1], count: 1), Throws.ArgumentException.With.Message.Contains("at least two"));
        Assert.That(() => new GaussianStatistics([], []), Throws.ArgumentException);
        Assert.That(() => new GaussianStatistics([1, 1], [1, 0, 1, 1]), Throws.ArgumentException.With.Message.Contains("mirror image"));
    }

    private static TestCaseData Defect(string name, string expected, params TensorSource[] arrays)
        => new TestCaseData(expected, arrays).SetName($"Defects_are_named_{name}");

    private static TensorSource Mean() => Doubles("mu", [2], 1, 2);

    private static TensorSource Square(double a, double b, double c, double d) => Doubles("sigma", [2, 2], a, c, b, d);

    private static TensorSource Doubles(string name, int[] shape, params double[] values) => TensorSource.Doubles(name, shape, values);

    private string At(string name) => Path.Combine(_folder, name);
}
