using System.IO.Compression;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>Two small sets of images and what can be wrong with sets, statistics and weights.</summary>
internal sealed class ScoringFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ScoringFolder()
    {
        A = ToolRun.WriteImages(_folder["a"], 5);
        B = ToolRun.WriteImages(_folder["b"], 4, size: 23);
    }

    public string A { get; }

    public string B { get; }

    public string this[string name] => _folder[name];

    public string Zip(string folder)
    {
        ZipFile.CreateFromDirectory(folder, _folder["images.zip"]);
        return _folder["images.zip"];
    }

    /// <summary>A folder or file that cannot be scored.</summary>
    public string Broken(string kind)
    {
        string path = _folder[kind];
        switch (kind)
        {
            case "empty":
                Directory.CreateDirectory(path);
                break;
            case "one image":
                ToolRun.WriteImages(path, 1);
                break;
            case "no picture":
                ToolRun.WriteImages(path, 3);
                File.WriteAllText(Path.Combine(path, "001.png"), "not a picture");
                break;
            case "alpha":
                ToolRun.WriteImages(path, 3);
                PngWriter.Write(Path.Combine(path, "001.png"), new PixelImage(2, 2, 4, new byte[16]));
                break;
            case "keys.npz":
                Npz(path, ("mean", [64], Values(64)), ("cov", [64, 64], Values(64 * 64)));
                break;
            case "shape.npz":
                Npz(path, ("mu", [64], Values(64)), ("sigma", [64, 32], Values(64 * 32)));
                break;
            case "nan.npz":
                Npz(path, ("mu", [64], Values(64)), ("sigma", [64, 64], Identity(values => values[65] = double.NaN)));
                break;
            case "asymmetric.npz":
                Npz(path, ("mu", [64], Values(64)), ("sigma", [64, 64], Identity(values => values[1] = 0.5)));
                break;
            case "text.npz":
                File.WriteAllText(path, "no archive");
                break;
        }
        return path;
    }

    /// <summary>Statistics of other dims.</summary>
    public string StatisticsOf(int dims)
    {
        string path = _folder[$"{dims}.npz"];
        var identity = new double[dims * dims];
        for (int i = 0; i < dims; i++)
            identity[i * (dims + 1)] = 1;
        Npz(path, ("mu", [dims], Values(dims)), ("sigma", [dims, dims], identity));
        return path;
    }

    public void Dispose() => _folder.Dispose();

    private static double[] Values(int count) => [.. Enumerable.Range(0, count).Select(i => i / 10.0)];

    private static double[] Identity(Action<double[]> spoil)
    {
        var values = new double[64 * 64];
        for (int i = 0; i < 64; i++)
            values[i * 65] = 1;
        spoil(values);
        return values;
    }

    private static void Npz(string path, params (string Name, int[] Shape, double[] Values)[] arrays)
        => NpzWriter.Write(path, arrays.Select(array => TensorSource.Doubles(array.Name, array.Shape, array.Values)));
}
