using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid;

/// <summary>The weights of Inception-v3 on the host, checked and named as PyTorch names them.</summary>
public sealed class InceptionWeights
{
    /// <summary>File name of the published weights in the folder of <see cref="CacheFolder"/>.</summary>
    private const string PublishedName = "pt_inception-2015-12-05.safetensors";

    private readonly IReadOnlyDictionary<string, float[]> _values;
    private readonly Lazy<string> _id;

    private InceptionWeights(string label, IReadOnlyDictionary<string, float[]> values)
    {
        Label = label;
        _values = values;
        _id = new(ComputeId);
    }

    /// <summary>Every tensor of a weight file, in the order of PyTorch's state_dict; batch counters, which no score depends on, are not
    /// among them.</summary>
    public static IReadOnlyList<InceptionTensor> Layout => InceptionLayout.Tensors;

    /// <summary>Where the tool's "weights fetch" puts the published weights.</summary>
    public static string DefaultPath => Path.Combine(CacheFolder.Path, PublishedName);

    /// <summary>"sha256:" and the digest of names, shapes and values, whatever file they came in.</summary>
    public string Id => _id.Value;

    /// <summary>The file's name, or what the weights are where they come from none.</summary>
    public string Label { get; }

    /// <summary>Reads the published weights that were fetched before.</summary>
    /// <exception cref="WeightsException">They were not fetched, or the file is not what it was.</exception>
    public static InceptionWeights ReadDefault() => File.Exists(DefaultPath) ? Read(DefaultPath)
        : throw new WeightsException(DefaultPath, null, "Inception's weights are not there",
            "run 'diffusion weights fetch' once, or name a .safetensors file with --weights");

    /// <summary>Reads a .safetensors file with the names of torchvision and pytorch-fid.</summary>
    /// <param name="path">The file. Its batch counters and torchvision's AuxLogits are passed over.</param>
    /// <exception cref="WeightsException">The file cannot be read; tensors are missing, left over or of another shape (all are counted,
    /// some named); or
    /// values are not finite or a variance is not positive.</exception>
    public static InceptionWeights Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var file = SafetensorsReader.Open(path);
        return Create(path, file.Entries, file.ReadSingles);
    }

    /// <summary>Takes the weights from any source of named tensors.</summary>
    /// <param name="source">Path of the file they come from, for messages and <see cref="Label"/>.</param>
    /// <param name="entries">What there is.</param>
    /// <param name="read">Returns a tensor's values by its name, row-major in PyTorch's order of axes.</param>
    /// <exception cref="WeightsException">As of <see cref="Read"/>.</exception>
    public static InceptionWeights Create(string source, IEnumerable<TensorEntry> entries, Func<string, float[]> read)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentNullException.ThrowIfNull(entries);
        ArgumentNullException.ThrowIfNull(read);
        CheckEntries(source, entries);
        var values = Layout.ToDictionary(tensor => tensor.Name, tensor => read(tensor.Name), StringComparer.Ordinal);
        CheckValues(source, values);
        return new InceptionWeights(Path.GetFileName(source), values);
    }

    /// <summary>Weights computed from a hash of their names: scores made with them compare with nothing but each other.</summary>
    public static InceptionWeights Hash()
    {
        var values = new float[Layout.Count][];
        Parallel.For(0, values.Length, i => values[i] = HashWeights.Values(Layout[i]));
        return new InceptionWeights("hash weights (comparable only with themselves)",
            Layout.Zip(values).ToDictionary(pair => pair.First.Name, pair => pair.Second, StringComparer.Ordinal));
    }

    /// <summary>Writes a .safetensors file that <see cref="Read"/> reads, whole or not at all.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Write(string path) => SafetensorsWriter.Write(path, new Dictionary<string, string> { ["id"] = Id },
        Layout.Select(tensor => TensorSource.Singles(tensor.Name, tensor.Shape.Extents.ToArray(), _values[tensor.Name])));

    /// <summary>A tensor's values, row-major in PyTorch's order of axes.</summary>
    internal float[] Values(string name) => _values[name];

    private static void CheckEntries(string source, IEnumerable<TensorEntry> entries)
    {
        var found = entries.Where(entry => !IsPassedOver(entry.Name)).ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        var wanted = Layout.Select(tensor => tensor.Name).ToHashSet(StringComparer.Ordinal);
        var faults = new List<string>();
        Note(faults, "missing", Layout.Where(tensor => !found.ContainsKey(tensor.Name)).Select(tensor => $"{tensor.Name} {tensor.Shape}"));
        Note(faults, "left over", found.Keys.Where(name => !wanted.Contains(name)));
        Note(faults, "of another shape", Layout.Where(tensor => found.TryGetValue(tensor.Name, out var entry)
                && !tensor.Shape.Extents.SequenceEqual(entry.Shape.ToArray()))
            .Select(tensor => $"{tensor.Name} [{string.Join(", ", found[tensor.Name].Shape)}] instead of {tensor.Shape}"));
        Note(faults, "no floats", Layout.Where(tensor => found.TryGetValue(tensor.Name, out var entry) && !entry.Type.IsFloat())
            .Select(tensor => $"{tensor.Name} holds {found[tensor.Name].Type}"));
        if (faults.Count > 0)
        {
            throw new WeightsException(source, null, string.Join("; ", faults), $"expected the {Layout.Count} tensors of the "
                + $"Inception-v3 that FID is defined with ({InceptionLayout.Classes} classes): "
                + "run 'diffusion weights fetch' for the published file");
        }
    }

    private static void CheckValues(string source, Dictionary<string, float[]> values)
    {
        foreach (var (name, numbers) in values)
        {
            int at = Array.FindIndex(numbers, value => !float.IsFinite(value));
            if (at >= 0)
                throw new WeightsException(source, name, $"value {at} is {numbers[at]}", "expected finite numbers: fetch the file again");
            at = name.EndsWith(".running_var", StringComparison.Ordinal) ? Array.FindIndex(numbers, value => value <= 0) : -1;
            if (at >= 0)
                throw new WeightsException(source, name, $"variance {at} is {numbers[at]}", "expected more than 0: fetch the file again");
        }
    }

    private static bool IsPassedOver(string name) => name.EndsWith(".num_batches_tracked", StringComparison.Ordinal)
        || name.StartsWith("AuxLogits.", StringComparison.Ordinal);

    private static void Note(List<string> faults, string fault, IEnumerable<string> tensors)
    {
        const int Named = 4;
        string[] all = [.. tensors];
        if (all.Length > 0)
            faults.Add($"{all.Length} {fault} ({string.Join(", ", all.Take(Named))}{(all.Length > Named ? ", …" : "")})");
    }

    /// <summary>Hashes per tensor, in layout order: length and bytes of the name, number of axes, extents, values; all
    /// little-endian.</summary>
    private string ComputeId()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> number = stackalloc byte[4];
        foreach (var tensor in Layout)
        {
            byte[] name = Encoding.UTF8.GetBytes(tensor.Name);
            Append(name.Length, number);
            hash.AppendData(name);
            Append(tensor.Shape.Rank, number);
            foreach (int extent in tensor.Shape)
                Append(extent, number);
            float[] values = _values[tensor.Name];
            var bytes = new byte[sizeof(float) * Math.Min(values.Length, 1 << 14)];
            for (int done = 0; done < values.Length;)
            {
                int count = Math.Min(values.Length - done, bytes.Length / sizeof(float));
                for (int i = 0; i < count; i++)
                    BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), values[done + i]);
                hash.AppendData(bytes, 0, count * sizeof(float));
                done += count;
            }
        }
        return "sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset());

        void Append(int value, Span<byte> into)
        {
            BinaryPrimitives.WriteInt32LittleEndian(into, value);
            hash.AppendData(into);
        }
    }
}
