namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>A folder of one test's own, deleted afterwards.</summary>
public sealed class ScratchFolder : IDisposable
{
    private readonly string path = Directory.CreateTempSubdirectory("diffusion-test-").FullName;

    /// <summary>The path of a file in the folder, which need not exist.</summary>
    public string File(string name) => Path.Combine(path, name);

    /// <summary>Writes a file and returns its path.</summary>
    public string Write(string name, ReadOnlySpan<byte> bytes)
    {
        string file = File(name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        System.IO.File.WriteAllBytes(file, bytes);
        return file;
    }

    /// <summary>Deletes the folder.</summary>
    public void Dispose() => Directory.Delete(path, recursive: true);
}
