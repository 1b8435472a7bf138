using System.Xml.Linq;

namespace Diffusion.Gpu.Architecture.Tests;

/// <summary>The checkout that the tests were built from.</summary>
internal static class Repository
{
    private const string Marker = "Diffusion.Gpu.slnx";
    private static readonly string[] Sources = ["src", "tools", "tests", "benchmarks"];

    /// <summary>The folder of the solution; the test is skipped where the program runs away from its checkout.</summary>
    public static string Root
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, Marker)))
                    return folder.FullName;
            }
            Assert.Ignore($"no {Marker} above {AppContext.BaseDirectory}: not run in a checkout");
            return "";
        }
    }

    /// <summary>Every project file, by the path of its folder below the root ("src/Kernels").</summary>
    public static IReadOnlyDictionary<string, XDocument> Projects => Files("*.csproj")
        .ToDictionary(path => Path.GetDirectoryName(path)!.Replace('\\', '/'), path => XDocument.Load(Path.Combine(Root, path)));

    /// <summary>Every C# file, by its path below the root.</summary>
    public static IReadOnlyList<string> Code => Files("*.cs");

    /// <summary>The text of a file.</summary>
    public static string Text(string path) => File.ReadAllText(Path.Combine(Root, path));

    /// <summary>The C# files directly in a folder, without their extension.</summary>
    public static IReadOnlyList<string> Names(string folder)
        => [.. Directory.GetFiles(Path.Combine(Root, folder), "*.cs").Select(path => Path.GetFileNameWithoutExtension(path)).Order()];

    /// <summary>The C# files below a folder, by their paths below the root.</summary>
    public static IEnumerable<string> CodeBelow(string folder)
        => Code.Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal));

    private static IReadOnlyList<string> Files(string pattern) =>
    [
        .. Sources.Select(source => Path.Combine(Root, source)).Where(Directory.Exists)
            .SelectMany(source => Directory.EnumerateFiles(source, pattern, SearchOption.AllDirectories))
            .Select(path => Path.GetRelativePath(Root, path).Replace('\\', '/'))
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal) && !path.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal),
    ];
}
