using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Training;

/// <summary>Draws samples from the averaged weights, has them turned into features and scored, and keeps what is done.</summary>
internal sealed class Evaluator
{
    /// <summary>Images with which everything is tried before the training: half of them samples, half of them real.</summary>
    private const int TrialImages = 16;

    /// <summary>A step that is this much faster than those before says that the next may be faster still.</summary>
    private const double WorthRepeating = 0.8;

    /// <summary>Steps are repeated up to this time in all.</summary>
    private const double TrialSeconds = 4;

    /// <summary>Real images whose features are written to the disk together.</summary>
    private const int ReferenceBatch = 16;

    private readonly RunFolder _folder;
    private readonly IEvaluation _evaluation;
    private readonly ImageDataset _dataset;
    private readonly GaussianDiffusion _diffusion;
    private readonly string _referenceKey;
    private ReferenceState? _reference;

    public Evaluator(RunFolder folder, EvaluationPlan plan, IEvaluation evaluation, ImageDataset dataset, GaussianDiffusion diffusion)
    {
        _folder = folder;
        Plan = plan;
        _evaluation = evaluation;
        _dataset = dataset;
        _diffusion = diffusion;
        var image = dataset.Transform;
        _referenceKey = $"{evaluation.Key}, images {dataset.ContentFingerprint} at {image.Width}x{image.Height}x{image.Channels}"
            + (image.Squash ? " squashed" : "");
        Protocol = string.Create(CultureInfo.InvariantCulture,
            $"{plan.Samples} samples by {plan.Sampler} in {plan.Steps} steps from seed {plan.Seed}, against {_referenceKey}");
    }

    public EvaluationPlan Plan { get; }

    /// <summary>Everything that a score depends on beside the weights.</summary>
    public string Protocol { get; }

    /// <summary>Real images that are still to be seen before a score.</summary>
    public int MissingReferenceImages => _reference == ReferenceState.Ready ? 0 : _dataset.Count;

    /// <summary>Told of files that belong to something else and are made anew.</summary>
    public Action<TrainingPhase, string> Discarded { get; set; } = static (_, _) => { };

    /// <summary>Tries the whole way from noise to a distance on a few images, and measures it.</summary>
    /// <returns>Seconds of a network call and of a vector of features, per image, and the real images still to be seen.</returns>
    public (double NetworkCall, double Feature, int ReferenceImages) Try(Unet average, CancellationToken cancellation)
    {
        FindReference();
        // A GPU's time for an image depends on the batch; on the CPU a few images tell it.
        bool isCpu = average.Parameters.Device.Info.Kind == DeviceKind.Cpu;
        int drawn = Math.Max(isCpu ? Math.Min(Plan.Batch, TrialImages / 2) : Plan.Batch, 2);
        var timer = new StepTimer();
        var ddim = new Ddim(_diffusion, Math.Min(2, _diffusion.Schedule.Timesteps));
        var samples = Draw(ddim, average, 0, drawn, timer, cancellation);
        // The first steps also set up kernels and memory and run in code that is still to be optimised: again, while that helps.
        for (double before = double.MaxValue; timer.LeastSeconds < WorthRepeating * before && timer.TotalSeconds < TrialSeconds;)
        {
            before = timer.LeastSeconds;
            Draw(ddim, average, 0, drawn, timer, cancellation);
        }
        double networkCall = timer.LeastSeconds / drawn;

        int count = Math.Min(TrialImages / 2, _dataset.Count);
        var real = new List<PixelImage>();
        var names = new List<string>();
        for (int i = 0; i < _dataset.Count && real.Count < count; i++)
            ReadReal(i, real, names);
        var tried = Enumerable.Range(0, TrialImages / 2).Select(i => samples[i % samples.Count]).ToList();
        var features = Features(tried, [.. Enumerable.Range(0, tried.Count).Select(i => $"sample {i % samples.Count}")]);
        var watch = Stopwatch.StartNew();
        var realFeatures = Features(real, names);
        double feature = watch.Elapsed.TotalSeconds / real.Count;
        _evaluation.Check(new FeatureRows(realFeatures, _evaluation.FeatureLength), new FeatureRows(features, _evaluation.FeatureLength));
        return (networkCall, feature, MissingReferenceImages);
    }

    /// <summary>Scores the averaged weights; goes on where an earlier call for the same weights was cut off.</summary>
    /// <param name="step">Training steps of the weights.</param>
    /// <param name="report">Told of every batch.</param>
    /// <returns>Null where the work was cancelled; the features so far are kept.</returns>
    /// <exception cref="DivergedException">A sample is not finite.</exception>
    public EvaluationRecord? Run(Unet average, long step, Action<EvaluationProgress> report, CancellationToken cancellation)
    {
        try
        {
            EnsureReference(report, cancellation);
            string key = string.Create(CultureInfo.InvariantCulture, $"{_evaluation.Key}; step {step}, weights {Hash(average)}, ")
                + string.Create(CultureInfo.InvariantCulture, $"{Plan.Sampler} in {Plan.Steps} steps, seed {Plan.Seed}");
            using var features = FeatureFile.Open(_folder.SampleFeatures, key, _evaluation.FeatureLength, out bool discarded);
            if (discarded)
                Discarded(TrainingPhase.FeaturesDiscarded, _folder.SampleFeatures);
            var pace = new EvaluationPace(Plan.Samples, report);
            while (features.Count < Plan.Samples)
                Add(features, average, step, pace, cancellation);
            return Score(features, step, pace);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Lets the features of a score go that has been recorded.</summary>
    public void Forget() => File.Delete(_folder.SampleFeatures);

    private void Add(FeatureFile features, Unet average, long step, EvaluationPace pace, CancellationToken cancellation)
    {
        int first = features.Count, count = Math.Min(Plan.Batch, Plan.Samples - first);
        var sampler = Sampler.Named(Plan.Sampler, _diffusion, Plan.Steps);
        pace.BeginSampling(first, count);
        var images = Draw(sampler, average, first, count, pace, cancellation, step);
        pace.BeginFeatures();
        features.Append(Features(images, [.. Enumerable.Range(first, count).Select(i => $"sample {i}")]));
        pace.EndFeatures();
    }

    private EvaluationRecord Score(FeatureFile features, long step, EvaluationPace pace)
    {
        var score = _evaluation.Score(new FirstRows(features, Plan.Samples), pace.ReportScore);
        if (!double.IsFinite(score.Value))
            throw new ArithmeticException($"step {step}: the score is {score.Value}; the samples' features have no finite statistics");
        return new EvaluationRecord
        {
            Step = step,
            Fid = score.Value,
            Lower = score.Lower,
            Upper = score.Upper,
            Samples = Plan.Samples,
            Sampler = Plan.Sampler,
            Steps = Plan.Steps,
            Seed = Plan.Seed,
            Recipe = score.Recipe,
            Weights = score.WeightsId,
            Root = score.Root,
            Protocol = Protocol,
            Seconds = [pace.SamplingSeconds, pace.FeatureSeconds, score.StatisticsSeconds, score.DistanceSeconds],
        };
    }

    private void FindReference() => _reference ??= _evaluation.OpenReference(_folder.Reference, _referenceKey);

    /// <summary>Sees all real images once, in the order of the files and without augmentation.</summary>
    private void EnsureReference(Action<EvaluationProgress> report, CancellationToken cancellation)
    {
        FindReference();
        if (_reference == ReferenceState.Ready)
            return;
        if (_reference == ReferenceState.Stale)
            Discarded(TrainingPhase.ReferenceDiscarded, _folder.Reference);
        using (var features = FeatureFile.Open(_folder.ReferenceFeatures, _referenceKey, _evaluation.FeatureLength, out bool discarded))
        {
            if (discarded)
                Discarded(TrainingPhase.FeaturesDiscarded, _folder.ReferenceFeatures);
            var watch = Stopwatch.StartNew();
            int before = features.Count, usable = 0;
            var images = new List<PixelImage>();
            var names = new List<string>();
            for (int i = 0; i < _dataset.Count; i++)
            {
                // Those that a run which was cut off has done are read again, but only to know which files are images.
                if (!ReadReal(i, images, names))
                    continue;
                if (usable++ < before)
                {
                    images.Clear();
                    names.Clear();
                    continue;
                }
                if (images.Count == ReferenceBatch)
                    Flush(i + 1);
            }
            if (images.Count > 0)
                Flush(_dataset.Count);
            _evaluation.MakeReference(features, _folder.Reference, _referenceKey);

            void Flush(int seen)
            {
                cancellation.ThrowIfCancellationRequested();
                features.Append(Features(images, names));
                images.Clear();
                names.Clear();
                double rate = (features.Count - before) / watch.Elapsed.TotalSeconds;
                var left = TimeSpan.FromSeconds(rate > 0 ? (_dataset.Count - seen) / rate : 0);
                report(new EvaluationProgress(EvaluationWork.Reference, seen, _dataset.Count, 0, rate, left, features.Count));
            }
        }
        _reference = ReferenceState.Ready;
        File.Delete(_folder.ReferenceFeatures);
    }

    private bool ReadReal(int index, List<PixelImage> images, List<string> names)
    {
        var image = _dataset.Transform;
        var pixels = new byte[image.Length];
        if (!_dataset.TryRead(index, pixels))
            return false;
        images.Add(new PixelImage(image.Width, image.Height, image.Channels, pixels));
        names.Add(_dataset.Name(index));
        return true;
    }

    private float[] Features(IReadOnlyList<PixelImage> images, IReadOnlyList<string> names)
    {
        var features = new float[images.Count * _evaluation.FeatureLength];
        _evaluation.Extract(images, names, features);
        return features;
    }

    /// <summary>Draws images and rounds them to 8 bits, as they would be if they were saved.</summary>
    private List<PixelImage> Draw(Sampler sampler, Unet average, int first, int count, IProgress<SamplingProgress> progress,
        CancellationToken cancellation, long step = 0)
    {
        using var samples = sampler.Sample(average, count, Plan.Seed, (uint)first, progress, cancellation);
        float[] values = samples.ToArray();
        if (!Array.TrueForAll(values, float.IsFinite))
            throw DivergedException.OfSamples(step, null);
        var image = _dataset.Transform;
        return [.. Enumerable.Range(0, count).Select(i => ImageGrid.Make(values.AsSpan(i * image.Length, image.Length), image.Height,
            image.Width, image.Channels, perRow: 1))];
    }

    private static string Hash(Unet unet)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var parameter in unet.Parameters.All)
            hash.AppendData(MemoryMarshal.AsBytes(parameter.Value.ToArray().AsSpan()));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The first of more vectors, which a plan with more samples left.</summary>
    private sealed class FirstRows(FeatureFile rows, int count) : IFeatureRows
    {
        public int Count => count;

        public int Length => rows.Length;

        public void Read(int first, Span<float> destination) => rows.Read(first, destination);
    }

    /// <summary>Times a sampler's steps.</summary>
    private sealed class StepTimer : IProgress<SamplingProgress>
    {
        private readonly Stopwatch _watch = Stopwatch.StartNew();

        public double TotalSeconds { get; private set; }

        public double LeastSeconds { get; private set; } = double.MaxValue;

        public void Report(SamplingProgress value)
        {
            double seconds = _watch.Elapsed.TotalSeconds;
            TotalSeconds += seconds;
            LeastSeconds = Math.Min(LeastSeconds, seconds);
            _watch.Restart();
        }
    }
}
