using System.Buffers.Binary;
using System.Text;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Puts pickles together by hand, hostile ones too, and files around them.</summary>
internal sealed class PickleBytes
{
    private readonly List<byte> _bytes = [];

    public PickleBytes() => Op(PickleOpcode.Proto, 2);

    public PickleBytes Op(PickleOpcode opcode, params ReadOnlySpan<byte> operand)
    {
        _bytes.Add((byte)opcode);
        _bytes.AddRange(operand);
        return this;
    }

    public PickleBytes Global(string module, string name) => Op(PickleOpcode.Global, Encoding.ASCII.GetBytes($"{module}\n{name}\n"));

    public PickleBytes Text(string text)
        => Op(PickleOpcode.Binunicode, [.. Little(Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)]);

    public PickleBytes Int(int number) => Op(PickleOpcode.Binint, Little(number));

    public PickleBytes Long(long number)
    {
        var bytes = new byte[9];
        bytes[0] = 8;
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(1), number);
        return Op(PickleOpcode.Long1, bytes);
    }

    public PickleBytes Repeat(int count, Action<PickleBytes> part)
    {
        for (int i = 0; i < count; i++)
            part(this);
        return this;
    }

    /// <summary>A tensor of a storage "0" of floats.</summary>
    public PickleBytes Tensor(long count, long offset, long[] shape, long[] strides, string storage = "FloatStorage", string key = "0")
    {
        Global("torch._utils", "_rebuild_tensor_v2").Op(PickleOpcode.Mark);
        Op(PickleOpcode.Mark).Text("storage").Global("torch", storage).Text(key).Text("cpu").Long(count).Op(PickleOpcode.Tuple)
            .Op(PickleOpcode.Binpersid);
        Long(offset).Op(PickleOpcode.Mark);
        foreach (long size in shape)
            Long(size);
        Op(PickleOpcode.Tuple).Op(PickleOpcode.Mark);
        foreach (long stride in strides)
            Long(stride);
        Op(PickleOpcode.Tuple).Op(PickleOpcode.Newfalse).Global("collections", "OrderedDict").Op(PickleOpcode.EmptyTuple)
            .Op(PickleOpcode.Reduce);
        return Op(PickleOpcode.Tuple).Op(PickleOpcode.Reduce);
    }

    /// <summary>The pickle, ended by STOP.</summary>
    public byte[] ToArray() => [.. _bytes, (byte)PickleOpcode.Stop];

    /// <summary>Writes an archive around the pickle.</summary>
    public string Zip(string path, params (string Name, byte[] Bytes)[] records)
    {
        using var stream = File.Create(path);
        var zip = new ZipRecordWriter(stream);
        foreach (var (name, bytes) in records.Prepend(("archive/data.pkl", ToArray())))
            zip.Add(name, bytes.Length, output => output.Write(bytes));
        zip.Finish();
        return path;
    }

    /// <summary>Writes a stream of torch before 1.6 around the pickle.</summary>
    public string Legacy(string path, byte[] rest, params string[] keys)
    {
        using var stream = File.Create(path);
        stream.Write(PickleWriter.Write(TorchLegacyFile.Magic.ToByteArray()).Bytes);
        stream.Write(PickleWriter.Write(1001).Bytes);
        stream.Write(PickleWriter.Write(new SavedDictionary { ["little_endian"] = true }).Bytes);
        stream.Write(ToArray());
        stream.Write(PickleWriter.Write(keys.Select(key => (object?)key).ToList()).Bytes);
        stream.Write(rest);
        return path;
    }

    public static byte[] Little(int number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        return bytes;
    }
}
