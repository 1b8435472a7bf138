namespace Diffusion.Gpu.Training;

/// <summary>Prepares batches on other threads, a few ahead of the training loop, in an order that a step's number alone decides.</summary>
internal sealed class BatchLoader : IDisposable
{
    private readonly ImageDataset _dataset;
    private readonly EpochOrder _order;
    private readonly int _batchSize;
    private readonly bool _flip;
    private readonly float[][] _buffers;
    private readonly Queue<Task<float[]>> _ahead = [];
    private readonly CancellationTokenSource _stop = new();
    private long _nextToLoad;

    /// <summary>Begins to load.</summary>
    /// <param name="dataset">The images.</param>
    /// <param name="seed">Names the order and the mirroring.</param>
    /// <param name="batchSize">Images per batch.</param>
    /// <param name="flip">Whether images are mirrored in half of the epochs.</param>
    /// <param name="firstBatch">The batch that <see cref="Next"/> returns first, counted from the beginning of the run.</param>
    public BatchLoader(ImageDataset dataset, ulong seed, int batchSize, bool flip, long firstBatch)
    {
        _dataset = dataset;
        _order = new EpochOrder(seed, dataset.Count);
        _batchSize = batchSize;
        _flip = flip;
        _nextToLoad = firstBatch;
        int depth = Math.Clamp(Environment.ProcessorCount, 2, 8);
        // One more than are loading: the batch in the caller's hands.
        _buffers = new float[depth + 1][];
        for (int i = 0; i < _buffers.Length; i++)
            _buffers[i] = new float[batchSize * dataset.Transform.Length];
        for (int i = 0; i < depth; i++)
            Enqueue();
    }

    /// <summary>The next batch.</summary>
    /// <returns>[N, H, W, C] in [0, 1]; valid until the next call.</returns>
    /// <exception cref="Kernels.Images.ImageFormatException">Too many images are unusable.</exception>
    public float[] Next()
    {
        var batch = _ahead.Dequeue().GetAwaiter().GetResult();
        // The buffer of the batch before is free from here on.
        Enqueue();
        return batch;
    }

    /// <summary>Stops loading and waits for the threads, so that the data set can be closed.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        foreach (var task in _ahead)
            ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
        _stop.Dispose();
    }

    private void Enqueue()
    {
        long batch = _nextToLoad++;
        float[] buffer = _buffers[batch % _buffers.Length];
        _ahead.Enqueue(Task.Run(() => Load(batch, buffer)));
    }

    private float[] Load(long batch, float[] buffer)
    {
        var transform = _dataset.Transform;
        var pixels = new byte[transform.Length];
        for (int n = 0; n < _batchSize; n++)
        {
            _stop.Token.ThrowIfCancellationRequested();
            var (image, flip) = _order.At((batch * _batchSize) + n);
            _dataset.Read(image, pixels);
            Widen(pixels, buffer.AsSpan(n * pixels.Length, pixels.Length), transform.Width, transform.Channels, _flip && flip);
        }
        return buffer;
    }

    /// <summary>Converts 0 to 255 into 0 to 1 as torchvision's ToTensor does, mirrored where asked.</summary>
    private static void Widen(ReadOnlySpan<byte> pixels, Span<float> values, int width, int channels, bool flip)
    {
        int row = width * channels;
        for (int start = 0; start < pixels.Length; start += row)
        {
            for (int x = 0; x < width; x++)
            {
                int from = start + ((flip ? width - 1 - x : x) * channels), to = start + (x * channels);
                for (int c = 0; c < channels; c++)
                    values[to + c] = pixels[from + c] / 255f;
            }
        }
    }
}
