using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Diffusion.Gpu.Kernels;

/// <summary>Compiled kernels between runs: one file each, which begins with what it was made from and a checksum.</summary>
/// <remarks>A file is written beside its place and renamed, so processes may share a folder; whatever is not as it was written counts as
/// missing and is replaced. A folder that cannot be written costs time, never a run.</remarks>
/// <param name="folder">Made when the first kernel is kept.</param>
/// <param name="mostBytes">Beyond this the files that were used least recently go.</param>
internal sealed class KernelCache(string folder, long mostBytes = KernelCache.MostBytes)
{
    /// <summary>About ten builds' kernels: those of one come to 5 to 10 MB.</summary>
    public const long MostBytes = 64 << 20;

    private const string Format = "// diffusion kernel 1";

    /// <summary>Files that are written between two looks at the size of all.</summary>
    private const int SweepInterval = 32;

    private int _kept;

    /// <summary>The text that was kept under a key, or null.</summary>
    /// <param name="key">Everything that the text depends on, in one line.</param>
    public KernelText? Find(string key)
    {
        string file = FileOf(key);
        try
        {
            if (!File.Exists(file))
                return null;
            string content = File.ReadAllText(file);
            // Lines: format, key, shared memory, checksum, then the text.
            string[] lines = content.Split('\n', 5);
            if (lines.Length < 5 || lines[0] != Format || lines[1] != "// " + key || lines[3] != "// " + Checksum(lines[2] + lines[4]))
                return null;
            string[] shared = lines[2].Split(' ');
            var now = TimeProvider.System.GetUtcNow().UtcDateTime;
            if (File.GetLastWriteTimeUtc(file) < now.AddHours(-1))
                File.SetLastWriteTimeUtc(file, now);
            return new KernelText(lines[4], int.Parse(shared[2], CultureInfo.InvariantCulture), shared[3] == "dynamic");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Keeps a text.</summary>
    public void Keep(string key, KernelText text)
    {
        string shared = string.Create(CultureInfo.InvariantCulture,
            $"// shared {text.StaticSharedBytes} {(text.HasDynamicShared ? "dynamic" : "static")}");
        string file = FileOf(key), partial = $"{file}.{Environment.ProcessId}-{Guid.NewGuid():N}.partial";
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(partial, $"{Format}\n// {key}\n{shared}\n// {Checksum(shared + text.Source)}\n{text.Source}");
            File.Move(partial, file, overwrite: true);
            if (_kept++ % SweepInterval == 0)
                Sweep();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The kernel is compiled again next time.
        }
    }

    /// <summary>Makes room: the files used least recently go until a quarter of the most bytes is free.</summary>
    private void Sweep()
    {
        FileInfo[] files = [.. new DirectoryInfo(folder).EnumerateFiles("*.txt*").OrderBy(file => file.LastWriteTimeUtc)];
        long bytes = files.Sum(file => file.Length);
        if (bytes <= mostBytes)
            return;
        foreach (var file in files)
        {
            if (bytes <= mostBytes / 4 * 3)
                break;
            bytes -= file.Length;
            file.Delete();
        }
    }

    private string FileOf(string key) => Path.Combine(folder, Checksum(key)[..32] + ".txt");

    private static string Checksum(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
