namespace Diffusion.Gpu.Fid.Tests;

/// <summary>A folder of one test's own, deleted afterwards.</summary>
internal sealed class ScratchFolder : IDisposable
{
    private readonly string path = Directory.CreateTempSubdirectory("diffusion-test-").FullName;

    public string File(string name) => Path.Combine(path, name);

    public string Write(string name, ReadOnlySpan<byte> bytes)
    {
        string file = File(name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        System.IO.File.WriteAllBytes(file, bytes);
        return file;
    }

    public void Dispose() => Directory.Delete(path, recursive: true);
}
