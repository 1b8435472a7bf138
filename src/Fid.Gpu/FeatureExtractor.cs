using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Fid;

/// <summary>Turns images into Inception features on a device, by one recipe and to one depth.</summary>
/// <remarks>An image's features are the same bits whatever images it is given with and whatever the batch size is.</remarks>
public sealed class FeatureExtractor : IDisposable
{
    /// <summary>Batch on the CPU: larger ones do not run faster there, see benchmarks/results.</summary>
    private const int CpuBatch = 8;

    /// <summary>Most images of a batch on a GPU: enough to fill one.</summary>
    private const int LargestBatch = 64;

    /// <summary>Batches of a GPU after which it is waited for.</summary>
    private const int BatchesAtATime = 4;

    /// <summary>Memory of an image's activations, in bytes, rounded up; weights are a hundred million beside.</summary>
    private const long BytesPerImage = 12_000_000;

    private readonly InceptionV3 _network;

    /// <summary>Brings the network to a device.</summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="weights">Not needed afterwards.</param>
    /// <param name="recipe">How images are prepared.</param>
    /// <param name="dims">Features of an image: 64, 192, 768 or 2048.</param>
    /// <param name="batch">Images that go through the network together, or 0: chosen by the device's memory.</param>
    /// <exception cref="ArgumentException">There is no such depth.</exception>
    /// <exception cref="DeviceException">The device has no room.</exception>
    public FeatureExtractor(Device device, InceptionWeights weights, FidRecipe recipe = FidRecipe.PytorchFid, int dims = 2048,
        int batch = 0)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentOutOfRangeException.ThrowIfNegative(batch);
        Device = device;
        Recipe = recipe;
        Dims = dims;
        Batch = batch > 0 ? batch : ChooseBatch(device.Info);
        WeightsId = weights.Id;
        WeightsLabel = weights.Label;
        _network = new InceptionV3(device, weights, dims);
    }

    /// <summary>Where the network runs.</summary>
    public Device Device { get; }

    /// <summary>How images are prepared.</summary>
    public FidRecipe Recipe { get; }

    /// <summary>Features of an image.</summary>
    public int Dims { get; }

    /// <summary>Images that go through the network together.</summary>
    public int Batch { get; }

    /// <summary><see cref="InceptionWeights.Id"/> of the weights.</summary>
    public string WeightsId { get; }

    /// <summary><see cref="InceptionWeights.Label"/> of the weights.</summary>
    public string WeightsLabel { get; }

    /// <summary>Images after which the device is waited for, to learn whether their features are finite.</summary>
    internal int ImagesAtATime => Device.Info.Kind == DeviceKind.Cpu ? Batch : BatchesAtATime * Batch;

    /// <summary>Computes the features of any number of images and copies them to the host.</summary>
    /// <param name="images">As below.</param>
    /// <param name="names">As below.</param>
    /// <returns>[images, dims], row-major.</returns>
    /// <exception cref="ArgumentException">There are no images, or not one name for each.</exception>
    /// <exception cref="ImageFormatException">An image has an alpha channel, or its features are not finite; the message names
    /// it.</exception>
    public float[] Extract(IReadOnlyList<PixelImage> images, IReadOnlyList<string>? names = null)
    {
        ArgumentNullException.ThrowIfNull(images);
        var features = new float[checked(images.Count * Dims)];
        int filled = 0;
        Extract(images, names, batch =>
        {
            batch.CopyTo(features.AsSpan(filled, (int)batch.Count));
            filled += (int)batch.Count;
        });
        return features;
    }

    /// <summary>Computes the features of any number of images; they stay on the device.</summary>
    /// <param name="images">Of any sizes, grey or RGB. A list that decodes on demand is asked for each image once, from several threads,
    /// and on a GPU while the batch before is computed.</param>
    /// <param name="names">The images' files, for messages; their numbers if null.</param>
    /// <param name="take">Is handed the features in the images' order, [1 to <see cref="Batch"/>, dims] on <see cref="Device"/>, such as
    /// <see cref="FeatureStatistics.Add(Tensor)"/>. All of them are finite. They die when it returns.</param>
    /// <exception cref="ArgumentException">There are no images, or not one name for each.</exception>
    /// <exception cref="ImageFormatException">An image has an alpha channel, or its features are not finite; the message names
    /// it.</exception>
    public void Extract(IReadOnlyList<PixelImage> images, IReadOnlyList<string>? names, Action<Tensor> take)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(take);
        if (images.Count == 0)
            throw new ArgumentException("there are no images to extract features of", nameof(images));
        if (names is not null && names.Count != images.Count)
            throw new ArgumentException($"{names.Count} names for {images.Count} images", nameof(names));
        var source = new ImageSource(images, names, Recipe);
        float[] current = source.Prepare(0, Batch), spare = [];
        using var tape = Device.NewTape(recording: false);
        for (int first = 0; first < images.Count;)
        {
            using var scope = tape.Scope();
            var computed = new List<ComputedBatch>();
            for (int end = Math.Min(first + ImagesAtATime, images.Count); first < end; first += Batch)
            {
                int next = first + Batch;
                float[] free = spare;
                // On the CPU the network has all cores already.
                bool ahead = next < images.Count && Device.Info.Kind != DeviceKind.Cpu;
                var coming = ahead ? Task.Run(() => source.Prepare(next, Batch, free)) : null;
                spare = current;
                computed.Add(Compute(tape, current, first, Math.Min(Batch, images.Count - first)));
                if (next < images.Count)
                    current = coming is null ? source.Prepare(next, Batch, spare) : coming.GetAwaiter().GetResult();
            }
            foreach (var batch in computed)
                source.CheckFinite(batch);
            foreach (var batch in computed)
                take(batch.Features);
        }
    }

    /// <summary>Returns the network's memory.</summary>
    public void Dispose() => _network.Dispose();

    /// <summary>Enqueues the network for a batch.</summary>
    private ComputedBatch Compute(Tape tape, ReadOnlySpan<float> prepared, int first, int count)
    {
        using var scope = tape.Scope();
        var images = tape.Constant([count, InceptionV3.ImageSize, InceptionV3.ImageSize, 3], prepared[..(count * Preprocessing.Length)]);
        var features = _network.Features(tape, images);
        var distance = tape.MeanSquaredError(features, features);
        return new ComputedBatch(first, scope.Keep(features), scope.Keep(distance));
    }

    /// <summary>A training run may hold most of the device, so a batch takes an eighth of it at most.</summary>
    private static int ChooseBatch(DeviceInfo device) => device.Kind == DeviceKind.Cpu ? CpuBatch
        : (int)Math.Clamp(device.MemoryBytes / 8 / BytesPerImage, 1, LargestBatch);

    /// <summary>A batch whose features may still be under way.</summary>
    /// <param name="First">Its first image.</param>
    /// <param name="Features">[images, dims].</param>
    /// <param name="Distance">[1], of the features to themselves: 0, or NaN where one of them is not finite.</param>
    private readonly record struct ComputedBatch(int First, Tensor Features, Tensor Distance);

    /// <summary>The images and what to call them.</summary>
    private readonly struct ImageSource(IReadOnlyList<PixelImage> images, IReadOnlyList<string>? names, FidRecipe recipe)
    {
        /// <summary>Prepares a batch, in the given array where it is large enough.</summary>
        public float[] Prepare(int first, int batch, float[]? room = null)
        {
            int count = Math.Min(batch, images.Count - first);
            float[] prepared = room is not null && room.Length >= (long)count * Preprocessing.Length ? room
                : new float[checked(count * Preprocessing.Length)];
            var self = this;
            try
            {
                Parallel.For(0, count, i => self.PrepareOne(first + i, prepared.AsSpan(i * Preprocessing.Length, Preprocessing.Length)));
            }
            catch (AggregateException error)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error.InnerExceptions[0]);
            }
            return prepared;
        }

        /// <summary>Refuses features that are not finite; they are copied to the host only to say which.</summary>
        public void CheckFinite(ComputedBatch batch)
        {
            if (batch.Distance.ToArray()[0] == 0)
                return;
            float[] features = batch.Features.ToArray();
            int dims = batch.Features.Shape[1], at = Array.FindIndex(features, value => !float.IsFinite(value));
            throw new ImageFormatException(Name(batch.First + (at / dims)), $"feature {at % dims} of {dims} is {features[at]}",
                "Inception's weights overflow on it: fetch them again");
        }

        private void PrepareOne(int index, Span<float> destination)
            => Preprocessing.Prepare(recipe, images[index], Name(index), destination);

        private string Name(int index) => names?[index] ?? $"image {index}";
    }
}
