using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Tests;

[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class SamplersTests(string id)
{
    private const double Floor = 2e-5;

    private static readonly string[] Trajectories =
    [
        "ddim_nonorm_pred_v_linear_T1000_S5", "ddim_pred_noise_linear_T1000_S10", "ddim_pred_v_sigmoid_T1000_S10",
        "ddim_pred_x0_cosine_T100_S10_eta0.5", "ddim_selfcond_pred_v_sigmoid_T1000_S7_eta1", "ddpm_learnedvar_pred_noise_cosine_T12",
        "ddpm_pred_noise_cosine_T15", "ddpm_pred_v_sigmoid_T20", "ddpm_pred_x0_linear_T25", "ddpm_selfcond_pred_v_sigmoid_T12",
    ];

    private Device Device => TestDevices.Open(id);

    [TestCaseSource(nameof(Trajectories))]
    public void Trajectory_matches_the_reference(string name)
    {
        using var golden = GoldenFile.Open("diffusion/sample_" + name);
        using var unet = DiffusionGolden.Network(Device, golden);
        var diffusion = DiffusionGolden.Process(golden);
        var noise = new RecordedNoise(golden);
        var states = new List<float[]>();
        var watch = new SamplingWatch(Observe: state =>
        {
            using var tape = Device.NewTape(recording: false);
            states.Add(diffusion.Denormalise(tape, state).ToArray());
        });
        using var images = Sampler.For(diffusion).Sample(unet, golden.Shape("final")[0], noise, watch);
        AssertNear(InterleaveSamples(states, golden.Shape("final")[0]), golden, "imgs");
        AssertNear(images.ToArray(), golden, "final");
        Assert.That(Device.TakeStrayWrites(), Is.Empty);
    }

    /// <summary>The reference does not normalise what it interpolates; a process without normalisation does as it does.</summary>
    [TestCase("interpolate_0")]
    [TestCase("interpolate_1")]
    [TestCase("interpolate_2")]
    public void Interpolation_matches_the_reference(string name)
    {
        using var golden = GoldenFile.Open("diffusion/" + name);
        using var unet = DiffusionGolden.Network(Device, golden);
        using var tape = Device.NewTape(recording: false);
        var sampler = new Ddpm(DiffusionGolden.Process(golden, options => options with { AutoNormalize = false }));
        var noise = new RecordedNoise(golden);
        float weight = (float)DiffusionGolden.Number(golden, "lam")!.Value;
        Tensor first = UnetGolden.Image(tape, golden, "in.x1"), second = UnetGolden.Image(tape, golden, "in.x2");
        using var images = sampler.Interpolate(unet, first, second, weight, noise, (int?)DiffusionGolden.Number(golden, "t"), default);
        AssertNear(images.ToArray(), golden, "out");
        Assert.That(noise.Used, Has.Count.EqualTo(golden.Shape("in.noise")[0]));
    }

    [Test]
    public void Interpolation_works_on_normalised_images()
    {
        using var unet = Network(selfCondition: false);
        using var tape = Device.NewTape(recording: false);
        float[] first = [.. Enumerable.Range(0, 8 * 8 * 3).Select(i => i % 11 / 11f)], second = [.. first.Reverse()];
        float[] Interpolate(bool normalised)
        {
            var options = new DiffusionOptions { ImageSize = 8, Timesteps = 20, AutoNormalize = normalised };
            float[] Range(float[] values) => normalised ? values : Array.ConvertAll(values, v => (2 * v) - 1);
            using var images = new Ddpm(new GaussianDiffusion(options)).Interpolate(unet, tape.Constant([1, 8, 8, 3], Range(first)),
                tape.Constant([1, 8, 8, 3], Range(second)), 0.5f, seed: 4, time: 6);
            return normalised ? images.ToArray() : Array.ConvertAll(images.ToArray(), v => (0.5f * v) + 0.5f);
        }
        Assert.That(Interpolate(normalised: true), Is.EqualTo(Interpolate(normalised: false)).Within(1e-6f));
    }

    private static IEnumerable<TestCaseData> Samplers()
    {
        static TestCaseData Case(string name, Func<GaussianDiffusion, Sampler> make) => new TestCaseData(make).SetArgDisplayNames(name);
        yield return Case("ddpm", process => new Ddpm(process));
        yield return Case("ddim", process => new Ddim(process, 5));
        yield return Case("ddim with noise", process => new Ddim(process, 5, eta: 1));
        yield return Case("dpm++2m", process => new DpmSolverPlusPlus(process, 5));
    }

    [TestCaseSource(nameof(Samplers))]
    public void Images_have_the_same_bits_when_the_batch_is_1_and_16(Func<GaussianDiffusion, Sampler> make)
    {
        using var unet = Network(selfCondition: true);
        var sampler = make(new GaussianDiffusion(new DiffusionOptions { ImageSize = 8, Timesteps = 10 }));
        using var batch = sampler.Sample(unet, 16, seed: 7);
        float[] all = batch.ToArray();
        int length = all.Length / 16;
        Assert.That(all.Take(length), Is.Not.EqualTo(all.Skip(length).Take(length)), "samples differ from each other");
        Assert.That(all, Has.All.InRange(0f, 1f));
        foreach (int i in new[] { 0, 6, 15 })
        {
            using var single = sampler.Sample(unet, 1, seed: 7, firstIndex: (uint)i);
            Assert.That(single.ToArray(), Is.EqualTo(all[(i * length)..((i + 1) * length)]), $"sample {i}");
        }
    }

    [Test]
    public void Memory_is_returned_when_sampling_ends_or_is_cancelled()
    {
        using var unet = Network(selfCondition: true);
        var sampler = new Ddpm(new GaussianDiffusion(new DiffusionOptions { ImageSize = 8, Timesteps = 4 }));
        long before = Device.Memory.Live;
        var steps = new List<SamplingProgress>();
        using (sampler.Sample(unet, 2, seed: 1, progress: new Recorder<SamplingProgress>(steps.Add)))
            Assert.That(steps, Is.EqualTo(Enumerable.Range(1, 4).Select(i => new SamplingProgress(i, 4))));
        Assert.That(Device.Memory.Live, Is.EqualTo(before));
        using var cancel = new CancellationTokenSource();
        var stop = new Recorder<SamplingProgress>(progress =>
        {
            if (progress.Step == 2)
                cancel.Cancel();
        });
        Assert.That(() => sampler.Sample(unet, 2, seed: 1, progress: stop, cancellation: cancel.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Device.Memory.Live, Is.EqualTo(before));
    }

    private Unet Network(bool selfCondition)
    {
        var options = new UnetOptions { Dim = 8, DimMults = [1, 2], SelfCondition = selfCondition, AttnHeads = 2, AttnDimHead = 8 };
        return new Unet(Device, options, seed: 11);
    }

    /// <summary>States after each step, each [N, ..], to [N, steps + 1, ..].</summary>
    private static float[] InterleaveSamples(List<float[]> states, int samples)
    {
        int length = states[0].Length / samples;
        return [.. Enumerable.Range(0, samples).SelectMany(n => states.SelectMany(s => s.Skip(n * length).Take(length)))];
    }

    private static void AssertNear(float[] actual, GoldenFile golden, string name)
    {
        float[] expected = UnetGolden.ChannelsLast(golden.Singles(name), golden.Shape(name));
        Assert.That(GoldenFile.RelMax<float, float>(actual, expected), Is.LessThanOrEqualTo(golden.Tolerance(name, Floor)), name);
    }

    private sealed class Recorder<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }
}
