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
    public FeatureExtractor(Device device, InceptionWeights weights, FidRecipe recipe = FidRecipe.PytorchFid, int dims = 2048, int batch = 0)
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

    /// <summary>Computes the features of any number of images.</summary>
    /// <param name="images">Of any sizes, grey or RGB. A list that decodes on demand is asked for each image once, from several threads, and
    /// on a GPU while the batch before is computed.</param>
    /// <param name="names">The images' files, for messages; their numbers if null.</param>
    /// <returns>[images, dims] on <see cref="Device"/>; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">There are no images, or not one name for each.</exception>
    /// <exception cref="ImageFormatException">An image has an alpha channel, or its features are not finite; the message names it.</exception>
    public Tensor Extract(IReadOnlyList<PixelImage> images, IReadOnlyList<string>? names = null)
    {
        ArgumentNullException.ThrowIfNull(images);
        if (images.Count == 0)
            throw new ArgumentException("there are no images to extract features of", nameof(images));
        if (names is not null && names.Count != images.Count)
            throw new ArgumentException($"{names.Count} names for {images.Count} images", nameof(names));
        var source = new ImageSource(images, names, Recipe);
        var features = new float[checked(images.Count * Dims)];
        float[] current = source.Prepare(0, Batch), spare = [];
        for (int first = 0; first < images.Count; first += Batch)
        {
            int next = first + Batch;
            float[] free = spare;
            // On the CPU the network has all cores already.
            bool ahead = next < images.Count && Device.Info.Kind != DeviceKind.Cpu;
            var coming = ahead ? Task.Run(() => source.Prepare(next, Batch, free)) : null;
            spare = current;
            var results = features.AsSpan(first * Dims, Math.Min(Batch, images.Count - first) * Dims);
            Run(current, results);
            source.CheckFinite(first, Dims, results);
            if (next < images.Count)
                current = coming is null ? source.Prepare(next, Batch, spare) : coming.GetAwaiter().GetResult();
        }
        return Device.NewTensor([images.Count, Dims], features);
    }

    /// <summary>Returns the network's memory.</summary>
    public void Dispose() => _network.Dispose();

    private void Run(ReadOnlySpan<float> prepared, Span<float> features)
    {
        int count = features.Length / Dims;
        using var tape = Device.NewTape(recording: false);
        var images = tape.Constant([count, InceptionV3.ImageSize, InceptionV3.ImageSize, 3], prepared[..(count * Preprocessing.Length)]);
        _network.Features(tape, images).CopyTo(features);
    }

    /// <summary>A training run may hold most of the device, so a batch takes an eighth of it at most.</summary>
    private static int ChooseBatch(DeviceInfo device) => device.Kind == DeviceKind.Cpu ? CpuBatch
        : (int)Math.Clamp(device.MemoryBytes / 8 / BytesPerImage, 1, LargestBatch);

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

        /// <summary>Refuses features of a batch that are not finite.</summary>
        public void CheckFinite(int first, int dims, ReadOnlySpan<float> features)
        {
            for (int i = 0; i < features.Length; i++)
            {
                if (!float.IsFinite(features[i]))
                {
                    throw new ImageFormatException(Name(first + (i / dims)), $"feature {i % dims} of {dims} is {features[i]}",
                        "Inception's weights overflow on it: fetch them again");
                }
            }
        }

        private void PrepareOne(int index, Span<float> destination)
            => Preprocessing.Prepare(recipe, images[index], Name(index), destination);

        private string Name(int index) => names?[index] ?? $"image {index}";
    }
}
