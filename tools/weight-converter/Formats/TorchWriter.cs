using System.Buffers.Binary;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Writes files that torch.load(weights_only=True) reads; whole or not at all.</summary>
/// <remarks>torch/serialization.py, _save and _legacy_save.</remarks>
internal static class TorchWriter
{
    /// <summary>Writes the zip archive of torch 1.6 and later.</summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="value">What torch.load will return.</param>
    /// <param name="wide">From this number on, lengths and positions are written with 64 bits.</param>
    public static void WriteZip(string path, SavedDictionary value, long wide = uint.MaxValue) => AtomicFile.Write(path, stream =>
    {
        var pickle = PickleWriter.Write(value);
        var zip = new ZipRecordWriter(stream, wide);
        Add(zip, "archive/data.pkl", pickle.Bytes);
        Add(zip, "archive/byteorder", "little"u8);
        for (int i = 0; i < pickle.Storages.Count; i++)
            zip.Add($"archive/data/{i}", pickle.Storages[i].Entry.ByteLength, pickle.Storages[i].Write);
        Add(zip, "archive/version", "3\n"u8);
        zip.Finish();
    });

    /// <summary>Writes the stream of pickles that torch wrote before 1.6 and still reads.</summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="value">What torch.load will return.</param>
    public static void WriteLegacy(string path, SavedDictionary value) => AtomicFile.Write(path, stream =>
    {
        var pickle = PickleWriter.Write(value, legacy: true);
        var sizes = new SavedDictionary { ["short"] = 2, ["int"] = 4, ["long"] = 4 };
        var system = new SavedDictionary { ["protocol_version"] = 1001, ["little_endian"] = true, ["type_sizes"] = sizes };
        stream.Write(PickleWriter.Write(TorchLegacyFile.Magic.ToByteArray()).Bytes);
        stream.Write(PickleWriter.Write(1001).Bytes);
        stream.Write(PickleWriter.Write(system).Bytes);
        stream.Write(pickle.Bytes);
        stream.Write(PickleWriter.Write(Enumerable.Range(0, pickle.Storages.Count).Select(i => (object?)$"{i}").ToList()).Bytes);
        Span<byte> count = stackalloc byte[8];
        foreach (var storage in pickle.Storages)
        {
            var entry = storage.Entry;
            // Storages without a class of their own count bytes.
            BinaryPrimitives.WriteInt64LittleEndian(count, TorchType.Of(entry.Type).Storage is null ? entry.ByteLength : entry.Count);
            stream.Write(count);
            storage.Write(stream);
        }
    });

    private static void Add(ZipRecordWriter zip, string name, ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        zip.Add(name, copy.Length, stream => stream.Write(copy));
    }
}
