using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Damaged files end in an error that names the file, or are read; never in a crash, a hang or much memory.</summary>
/// <remarks>The environment variable DIFFUSION_FUZZ says how many files of each kind: a few thousand by default, 100000 for a long run.
/// Every file is a function of its number, so a failure names what to repeat.</remarks>
public sealed class FuzzTests
{
    private const int Usual = 1500;
    private const long MostBytes = 256L << 20;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    /// <summary>Where the bytes that are damaged lie: anywhere in the file,
    /// or in the pickle of an archive whose checksums are made right again.</summary>
    [TestCase("mixed.pt", false)]
    [TestCase("mixed.pt", true)]
    [TestCase("state_dict_fp16.pt", true)]
    [TestCase("mixed_legacy.pt", false)]
    [TestCase("state_dict_legacy.pt", false)]
    [TestCase("state_dict_bf16.safetensors", false)]
    public void Damaged_file_is_refused_or_read(string name, bool inPickle)
    {
        int count = int.TryParse(
            Environment.GetEnvironmentVariable("DIFFUSION_FUZZ"), NumberStyles.None, CultureInfo.InvariantCulture, out int given)
            ? given : Usual;
        using var folder = new TemporaryFolder();
        string path = folder["damaged"];
        byte[] whole = File.ReadAllBytes(Golden.Checkpoint(name));
        var records = inPickle ? Records(Golden.Checkpoint(name)) : [];
        bool hasChecksums = name.EndsWith(".pt", StringComparison.Ordinal) && !name.Contains("legacy", StringComparison.Ordinal)
            && !inPickle;
        var expected = hasChecksums ? Contents(Golden.Checkpoint(name)) : null;
        int read = 0, refused = 0;
        var slowest = TimeSpan.Zero;
        long largest = 0;
        for (int number = 0; number < count; number++)
        {
            var random = new Random(number);
            if (inPickle)
                WriteArchive(path, records, Damage(records[0].Bytes, random));
            else
                File.WriteAllBytes(path, Damage(whole, random));
            long before = GC.GetAllocatedBytesForCurrentThread();
            var clock = Stopwatch.StartNew();
            try
            {
                using var file = WeightFile.Open(path);
                foreach (var tensor in file.Tensors)
                {
                    using var bytes = new MemoryStream();
                    file.CopyTo(tensor, bytes);
                    if (expected?.GetValueOrDefault(tensor.Name) is { } right)
                        Assert.That(bytes.ToArray(), Is.EqualTo(right), $"{name} {number}: {tensor.Name} is wrong and was not noticed");
                }
                read++;
            }
            catch (WeightsException error)
            {
                Assert.That(error.Message, Does.StartWith(path));
                refused++;
            }
            catch (Exception error) when (error is not AssertionException)
            {
                Assert.Fail($"{name} {number}: {error}");
            }
            slowest = clock.Elapsed > slowest ? clock.Elapsed : slowest;
            largest = Math.Max(largest, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.That(clock.Elapsed, Is.LessThan(Longest), $"{name} {number}");
            Assert.That(largest, Is.LessThan(MostBytes), $"{name} {number}");
        }
        TestContext.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name}{(inPickle ? ", pickle" : "")}: {count} files, {refused} refused, {read} read, "
            + $"slowest {slowest.TotalMilliseconds:0} ms, most {largest / 1e6:0.0} MB"));
        Assert.That(refused, Is.GreaterThan(count / 4), "damage is noticed");
        Assert.That(read, Is.GreaterThan(0), "not everything is noise");
    }

    /// <summary>One to four changes of one kind each: flipped bits, cuts, numbers that lie, instructions spliced in, parts moved.</summary>
    private static byte[] Damage(byte[] whole, Random random)
    {
        List<byte> bytes = [.. whole];
        for (int changes = random.Next(1, 5); changes > 0 && bytes.Count > 16; changes--)
        {
            int at = random.Next(bytes.Count), length = random.Next(1, 16);
            switch (random.Next(9))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2 when random.Next(4) == 0:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                case 3:
                    Overwrite(bytes, at, Extreme(random));
                    break;
                case 4:
                    bytes.InsertRange(at, Instructions(random));
                    break;
                case 5:
                    Overwrite(bytes, at, Instructions(random));
                    break;
                case 6:
                    bytes.RemoveRange(at, Math.Min(length, bytes.Count - at));
                    break;
                case 7:
                    bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, Math.Min(10 * length, bytes.Count - at)));
                    break;
                default:
                    Overwrite(bytes, random.Next(bytes.Count), [.. bytes.GetRange(at, Math.Min(length, bytes.Count - at))]);
                    break;
            }
        }
        return [.. bytes];
    }

    private static void Overwrite(List<byte> bytes, int at, byte[] values)
    {
        for (int i = 0; i < values.Length && at + i < bytes.Count; i++)
            bytes[at + i] = values[i];
    }

    private static byte[] Extreme(Random random)
    {
        long[] values = [0, -1, long.MaxValue, long.MinValue, int.MaxValue, int.MinValue, uint.MaxValue, 1L << 33, 65535,
            random.NextInt64()];
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, values[random.Next(values.Length)]);
        return bytes[..(1 << random.Next(1, 4))];
    }

    private static byte[] Instructions(Random random)
    {
        var opcodes = Enum.GetValues<PickleOpcode>();
        var bytes = new List<byte>();
        for (int count = random.Next(1, 6); count > 0; count--)
        {
            bytes.Add((byte)opcodes[random.Next(opcodes.Length)]);
            if (random.Next(3) == 0)
                bytes.AddRange(Extreme(random));
        }
        return [.. bytes];
    }

    private static Dictionary<string, byte[]> Contents(string path)
    {
        using var file = WeightFile.Open(path);
        return file.Tensors.ToDictionary(tensor => tensor.Name, tensor => Golden.Bytes(file, tensor.Name));
    }

    /// <summary>The records of an archive, the pickle first.</summary>
    private static List<(string Name, byte[] Bytes)> Records(string path)
    {
        using var file = File.OpenHandle(path);
        var all = new List<(string, byte[])>();
        foreach (var record in ZipRecords.Read(path, file).All
            .OrderByDescending(record => record.Name.EndsWith(".pkl", StringComparison.Ordinal)))
        {
            var bytes = new byte[record.Length];
            FileBytes.Read(path, file, bytes, record.Start);
            all.Add((record.Name, bytes));
        }
        return all;
    }

    private static void WriteArchive(string path, List<(string Name, byte[] Bytes)> records, byte[] pickle)
    {
        using var stream = new MemoryStream();
        var zip = new ZipRecordWriter(stream);
        foreach (var (name, bytes) in records.Select((record, i) => (record.Name, i == 0 ? pickle : record.Bytes)))
            zip.Add(name, bytes.Length, output => output.Write(bytes));
        zip.Finish();
        File.WriteAllBytes(path, stream.ToArray());
    }
}
