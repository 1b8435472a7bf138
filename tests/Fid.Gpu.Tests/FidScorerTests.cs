using Diffusion.Gpu.Fid.Tests.Inception;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Three lines from two sets of images to a number.</summary>
public sealed class FidScorerTests
{
    private static readonly FidOptions Small = new() { Dims = 64, Batch = 2 };
    private ScratchFolder _folder = null!;
    private string _a = null!;
    private string _b = null!;

    private static Device Cpu => TestDevices.Open("cpu");

    [SetUp]
    public void MakeFolder()
    {
        _folder = new ScratchFolder();
        (_a, _b) = (Write("a", 5, (32, 32)), Write("b", 3, (40, 25)));
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Score_is_that_of_features_statistics_and_distance()
    {
        using var extractor = new FeatureExtractor(Cpu, InceptionGolden.Weights("hash"), dims: 64);
        var expected = FrechetDistance.Compute(Statistics(extractor, _a), Statistics(extractor, _b), Cpu);

        using var scorer = new FidScorer(Cpu, InceptionGolden.Weights("hash"), Small);
        var result = scorer.Compare(_a, _b);
        Assert.Multiple(() =>
        {
            Assert.That(result.Fid, Is.EqualTo(expected.Value).And.GreaterThan(0));
            Assert.That((result.Lower, result.Upper, result.Root), Is.EqualTo((expected.Lower, expected.Upper, expected.Root)));
            Assert.That((result.CountA, result.CountB, result.Dims, result.Recipe, result.Device),
                Is.EqualTo((5, 3, 64, "pytorch-fid", "cpu")));
            Assert.That(result.WeightsId, Is.EqualTo(InceptionGolden.Weights("hash").Id));
            Assert.That(result.FeatureSeconds, Is.Positive);
        });
    }

    [Test]
    public void Statistics_know_what_made_them_and_stand_for_their_images()
    {
        using var scorer = new FidScorer(Cpu, InceptionGolden.Weights("hash"), Small with { Recipe = FidRecipe.Clean });
        var statistics = scorer.Statistics(_a);
        statistics.Write(_folder.File("a.npz"));
        Assert.Multiple(() =>
        {
            Assert.That((statistics.Recipe, statistics.Weights, statistics.Count),
                Is.EqualTo(("clean", InceptionGolden.Weights("hash").Id, 5L)));
            Assert.That(scorer.Compare(_folder.File("a.npz"), _b).Fid, Is.EqualTo(scorer.Compare(_a, _b).Fid).Within(1e-9).Percent);
            Assert.That(() => ReferenceStatistics.Read(_folder.File("a.npz"), 192, FidRecipe.Clean, statistics.Weights!),
                Throws.TypeOf<WeightsException>().With.Message.Contains("64 dims").And.Message.Contains("192"));
            Assert.That(() => ReferenceStatistics.Read(_folder.File("a.npz"), 64, FidRecipe.Tf1, statistics.Weights!),
                Throws.TypeOf<WeightsException>().With.Message.Contains("clean").And.Message.Contains("tf1"));
            Assert.That(() => ReferenceStatistics.Read(_folder.File("a.npz"), 64, FidRecipe.Clean, "sha256:0"),
                Throws.TypeOf<WeightsException>().With.Message.Contains("sha256:0"));
        });
    }

    [Test]
    public void Dims_are_those_of_the_statistics_where_nothing_else_is_said()
    {
        using var scorer = new FidScorer(Cpu, InceptionGolden.Weights("hash"), Small);
        scorer.Statistics(_a).Write(_folder.File("a.npz"));
        using var other = new FidScorer(Cpu, InceptionGolden.Weights("hash"));
        Assert.That(other.Compare(_folder.File("a.npz"), _b).Dims, Is.EqualTo(64));
    }

    [Test]
    public void Two_files_of_statistics_are_compared_as_they_are()
    {
        using var scorer = new FidScorer(Cpu, InceptionGolden.Weights("hash"), Small);
        scorer.Statistics(_a).Write(_folder.File("a.npz"));
        new GaussianStatistics(new double[64], Identity(64)).Write(_folder.File("foreign.npz"));
        new GaussianStatistics(new double[8], Identity(8)).Write(_folder.File("eight.npz"));
        using var without = new FidScorer(Cpu);
        var result = without.Compare(_folder.File("a.npz"), _folder.File("foreign.npz"));
        Assert.Multiple(() =>
        {
            Assert.That((result.Recipe, result.CountA, result.CountB), Is.EqualTo(("pytorch-fid", (long?)5, (long?)null)));
            Assert.That(() => without.Compare(_folder.File("a.npz"), _folder.File("eight.npz")),
                Throws.TypeOf<WeightsException>().With.Message.Contains("eight.npz").And.Message.Contains("64"));
        });
    }

    [Test]
    public void Features_that_are_not_finite_name_the_image()
    {
        var hash = InceptionGolden.Weights("hash");
        var huge = InceptionWeights.Create("huge.safetensors", InceptionGolden.Entries(InceptionWeights.Layout),
            name => name == "Conv2d_2b_3x3.bn.weight" ? [.. Enumerable.Repeat(3e38f, 64)] : hash.Values(name));
        using var scorer = new FidScorer(Cpu, huge, Small);
        Assert.That(() => scorer.Compare(_a, _b), Throws.TypeOf<ImageFormatException>().With.Message.Contains("0.png: feature "));
    }

    [Test]
    public void Comparison_tells_how_far_it_is_and_can_be_cancelled()
    {
        using var scorer = new FidScorer(Cpu, InceptionGolden.Weights("hash"), Small);
        var reports = new List<FidProgress>();
        using var cancellation = new CancellationTokenSource();
        scorer.Compare(_a, _b, new Watcher(reports.Add));
        Assert.That(reports.Select(r => (r.Work, r.Source == _a, r.Done, r.Total)), Is.EqualTo(new[]
        {
            (FidWork.Images, true, 2, 5), (FidWork.Images, true, 4, 5), (FidWork.Images, true, 5, 5), (FidWork.Images, false, 2, 3),
            (FidWork.Images, false, 3, 3), (FidWork.Root, false, 0, 0),
        }));
        var cancel = new Watcher(_ => cancellation.Cancel());
        Assert.That(() => scorer.Compare(_a, _b, cancel, cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Enough_images_give_an_extrapolated_distance_with_a_standard_error()
    {
        string many = Write("many", 160, (6, 6));
        using var scorer = new FidScorer(Cpu, InceptionGolden.Weights("hash"), Small with { Batch = 8 });
        string file = _folder.File("b.npz");
        scorer.Statistics(_b).Write(file);
        var few = scorer.Compare(_a, file);
        var result = scorer.Compare(many, file);
        Assert.Multiple(() =>
        {
            Assert.That((few.Extrapolated, few.StandardError), Is.EqualTo(((double?)null, (double?)null)));
            Assert.That(result.Extrapolated, Is.LessThan(result.Fid).And.GreaterThan(0));
            Assert.That(result.StandardError, Is.GreaterThan(0).And.LessThan(result.Fid));
        });
    }

    [Test]
    public void Memory_does_not_grow_with_the_images()
    {
        const long Noise = 200_000; // a prepared image is 1,072,812 bytes, an image's features 256
        using var device = Device.Open("cpu");
        using var scorer = new FidScorer(device, InceptionGolden.Weights("hash"), Small);
        string few = Write("few", 20, (8, 8)), many = Write("many", 120, (8, 8));
        Peak(few); // compiles and fills pools
        var (deviceOfFew, managedOfFew) = Peak(few);
        var (deviceOfMany, managedOfMany) = Peak(many);
        TestContext.Out.WriteLine($"managed bytes: {managedOfFew:N0} for 20 images, {managedOfMany:N0} for 120");
        Assert.That(deviceOfMany, Is.EqualTo(deviceOfFew));
        Assert.That(managedOfMany - managedOfFew, Is.LessThan(Noise));

        (long Device, long Managed) Peak(string images)
        {
            long managed = 0;
            scorer.Statistics(images, new Watcher(report =>
            {
                if (report.Done % 10 == 0)
                    managed = Math.Max(managed, GC.GetTotalMemory(forceFullCollection: true));
            }));
            return (device.Memory.Peak, managed);
        }
    }

    private static GaussianStatistics Statistics(FeatureExtractor extractor, string path)
    {
        using var folder = ImageFolder.Open(path);
        using var statistics = new FeatureStatistics(Cpu, 64);
        extractor.Extract([.. Enumerable.Range(0, folder.Count).Select(folder.Load)], names: null, statistics.Add);
        return statistics.Finish();
    }

    private static double[] Identity(int dims)
    {
        var values = new double[dims * dims];
        for (int i = 0; i < dims; i++)
            values[i * (dims + 1)] = 1;
        return values;
    }

    private string Write(string name, int count, (int Width, int Height) size)
    {
        Directory.CreateDirectory(_folder.File(name));
        for (int i = 0; i < count; i++)
            PngWriter.Write(_folder.File($"{name}/{i}.png"), InceptionGolden.Image(i + name.Length, size.Width, size.Height));
        return _folder.File(name);
    }

    private sealed class Watcher(Action<FidProgress> watch) : IProgress<FidProgress>
    {
        public void Report(FidProgress value) => watch(value);
    }
}
