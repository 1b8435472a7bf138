using System.Security.Cryptography;
using System.Text;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Training;

/// <summary>The training images of a folder or zip archive, brought to one size and held in memory where they fit.</summary>
/// <remarks>An image that cannot be decoded is replaced by the next one in the order of names, so that what a step sees depends on the
/// files alone and not on when a fault is found. Reading is safe from several threads at once.</remarks>
public sealed class ImageDataset : IDisposable
{
    /// <summary>The largest share of unusable files that is put up with.</summary>
    public const double TolerableShare = 0.05;

    private const int NamedAtMost = 5;
    private readonly ImageFolder _folder;
    private readonly byte[]?[]? _cache;
    private readonly SortedDictionary<int, string> _faults = [];
    private readonly Lock _gate = new();

    private ImageDataset(ImageFolder folder, ImageTransform transform, bool cached)
    {
        _folder = folder;
        Transform = transform;
        _cache = cached ? new byte[folder.Count][] : null;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int i = 0; i < folder.Count; i++)
            hash.AppendData(Encoding.UTF8.GetBytes(folder.Name(i) + "\n"));
        Fingerprint = Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The folder or archive.</summary>
    public string Path => _folder.Path;

    /// <summary>Number of image files, unusable ones included.</summary>
    public int Count => _folder.Count;

    /// <summary>Size and channels that every image is brought to.</summary>
    public ImageTransform Transform { get; }

    /// <summary>Whether all images lie in memory.</summary>
    public bool IsCached => _cache is not null;

    /// <summary>Hash of the file names: two data sets with the same one are seen in the same order.</summary>
    public string Fingerprint { get; }

    /// <summary>Hash of the names and of what tells each file's content: statistics hold for a data set with the same one.</summary>
    public string ContentFingerprint
    {
        get
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (int i = 0; i < Count; i++)
                hash.AppendData(Encoding.UTF8.GetBytes($"{_folder.Name(i)} {_folder.Stamp(i)}\n"));
            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
    }

    /// <summary>What is wrong with each file that had to be skipped; complete from the start where the images lie in memory.</summary>
    public IReadOnlyList<string> Skipped
    {
        get
        {
            lock (_gate)
                return [.. _faults.Values];
        }
    }

    /// <summary>Lists the images and, where they fit, reads them all.</summary>
    /// <param name="path">A folder, searched with those below it, or a zip archive.</param>
    /// <param name="transform">Size and channels of the model.</param>
    /// <param name="cacheBytes">Memory for decoded images; null for a quarter of what the process may use.</param>
    /// <param name="progress">Receives the number of images read so far.</param>
    /// <param name="cancellation">Ends the reading.</param>
    /// <exception cref="ImageFormatException">The path is missing, holds no images, or more than 5 % of them are unusable.</exception>
    public static ImageDataset Open(string path, ImageTransform transform, long? cacheBytes = null, IProgress<int>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(transform);
        var folder = ImageFolder.Open(path);
        try
        {
            long budget = cacheBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
            var dataset = new ImageDataset(folder, transform, cached: (long)folder.Count * transform.Length <= budget);
            if (dataset.IsCached)
                dataset.ReadAll(progress, cancellation);
            return dataset;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Refuses a data set that cannot fill a batch.</summary>
    /// <exception cref="ImageFormatException">There are fewer usable images than a batch takes.</exception>
    internal void CheckFills(int batchSize)
    {
        int usable = Count - Skipped.Count;
        if (usable < batchSize)
        {
            throw new ImageFormatException(Path, $"holds {usable} usable images but a batch takes {batchSize}",
                "add images or lower train-batch-size");
        }
    }

    /// <summary>Copies an image, or the next usable one after it.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    /// <param name="destination">[height, width, channels].</param>
    /// <exception cref="ImageFormatException">More than 5 % of the files have turned out unusable.</exception>
    internal void Read(int index, Span<byte> destination)
    {
        while (!TryRead(index, destination))
            index = (index + 1) % Count;
    }

    /// <summary>Name of an image below the folder.</summary>
    internal string Name(int index) => _folder.Name(index);

    /// <summary>Copies an image.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    /// <param name="destination">[height, width, channels].</param>
    /// <returns>False where the file is unusable.</returns>
    /// <exception cref="ImageFormatException">More than 5 % of the files have turned out unusable.</exception>
    internal bool TryRead(int index, Span<byte> destination)
    {
        if (_cache is null)
            return TryDecode(index, destination);
        if (_cache[index] is not { } pixels)
            return false;
        pixels.CopyTo(destination);
        return true;
    }

    /// <summary>Closes the archive, if it is one, and lets the images go.</summary>
    public void Dispose() => _folder.Dispose();

    private bool TryDecode(int index, Span<byte> destination)
    {
        if (IsKnownFault(index))
            return false;
        try
        {
            Transform.Apply(_folder.Load(index), flip: false, destination);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            NoteFault(index, error.Message);
            return false;
        }
    }

    private bool IsKnownFault(int index)
    {
        lock (_gate)
        {
            ThrowIfTooManyFaults();
            return _faults.ContainsKey(index);
        }
    }

    private void NoteFault(int index, string problem)
    {
        lock (_gate)
        {
            _faults[index] = problem;
            ThrowIfTooManyFaults();
        }
    }

    private void ThrowIfTooManyFaults()
    {
        if (_faults.Count <= TolerableShare * Count)
            return;
        string named = string.Join(" | ", _faults.Values.Take(NamedAtMost));
        string more = _faults.Count > NamedAtMost ? $" | and {_faults.Count - NamedAtMost} more" : "";
        throw new ImageFormatException(Path, $"at least {_faults.Count} of {Count} images are unusable ({named}{more})",
            $"at most {TolerableShare:P0} are skipped: repair or remove them");
    }

    private void ReadAll(IProgress<int>? progress, CancellationToken cancellation)
    {
        int done = 0;
        try
        {
            Parallel.For(0, Count, new ParallelOptions { CancellationToken = cancellation }, index =>
            {
                var pixels = new byte[Transform.Length];
                if (TryDecode(index, pixels))
                    _cache![index] = pixels;
                progress?.Report(Interlocked.Increment(ref done));
            });
        }
        catch (AggregateException errors)
        {
            // Several threads may find the limit exceeded; the one that counted furthest tells most.
            throw errors.Flatten().InnerExceptions.OfType<ImageFormatException>().MaxBy(error => error.Message.Length)
                ?? errors.InnerExceptions[0];
        }
    }
}
