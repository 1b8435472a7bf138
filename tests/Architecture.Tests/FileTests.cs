using System.Text.RegularExpressions;

namespace Diffusion.Gpu.Architecture.Tests;

/// <summary>Sizes, names and namespaces of files, and words that have no place in them.</summary>
public sealed partial class FileTests
{
    private const int MostLines = 500;
    private const int LongestLine = 140; // max_line_length of .editorconfig, which the compiler does not check

    [Test]
    public void Files_stay_small()
    {
        var large = Repository.Code.Where(path => Repository.Text(path).Count(letter => letter == '\n') > MostLines);
        Assert.That(large, Is.Empty, $"files of more than {MostLines} lines");
    }

    [Test]
    public void Lines_stay_short()
    {
        var wide = Repository.Code.SelectMany(path => Repository.Text(path).ReplaceLineEndings("\n").Split('\n').Index()
            .Where(line => line.Item.EnumerateRunes().Count() > LongestLine).Select(line => $"{path}:{line.Index + 1}"));
        Assert.That(wide, Is.Empty, $"lines of more than {LongestLine} characters");
    }

    [Test]
    public void Files_are_named_for_what_they_hold()
    {
        string[] vague = ["Helper", "Utils", "Util", "Manager", "Misc"];
        var named = Repository.Code.Where(path => vague.Any(Path.GetFileNameWithoutExtension(path).Contains));
        Assert.That(named, Is.Empty);
    }

    [Test]
    public void Namespaces_follow_the_folders_that_users_see()
    {
        string[] transparent = ["Ops", "Geometry", "Gpu", "TensorCore", "Cpu", "Optim"];
        foreach (string path in Repository.CodeBelow("src").Where(path => Namespace().IsMatch(Repository.Text(path))))
        {
            string[] parts = path.Split('/');
            string root = parts[1] switch { "Kernels" => "Diffusion.Gpu.Kernels", "Fid.Gpu" => "Diffusion.Gpu.Fid", _ => parts[1] };
            string deepest = string.Join('.', [root, .. parts[2..^1].Where(folder => !transparent.Contains(folder))]);
            string declared = Namespace().Match(Repository.Text(path)).Groups[1].Value;
            Assert.That(declared, Is.EqualTo(root).Or.EqualTo(deepest), path);
        }
    }

    [Test]
    public void Every_file_declares_a_namespace_for_the_whole_file()
    {
        var without = Repository.CodeBelow("src").Where(path => !Namespace().IsMatch(Repository.Text(path)));
        Assert.That(without, Is.Empty);
    }

    /// <summary>Work left undone, and what would make results depend on more than the arguments.</summary>
    [TestCase(@"\bTODO\b|\bFIXME\b|\bHACK\b")]
    [TestCase(@"\bNotImplementedException\b")]
    [TestCase(@"\bRandom\.Shared\b|\bnew Random\(")]
    [TestCase(@"\bGC\.Collect\b")]
    [TestCase(@"\bDateTime\.(Utc)?Now\b")]
    [TestCase(@"\bEnvironment\.Exit\b")]
    [TestCase(@"\bConsole\.")]
    public void Libraries_are_free_of(string pattern)
        => Assert.That(Repository.CodeBelow("src").Where(path => Regex.IsMatch(Repository.Text(path), pattern)), Is.Empty);

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
