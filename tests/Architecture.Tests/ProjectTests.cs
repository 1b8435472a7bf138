using System.Xml.Linq;

namespace Diffusion.Gpu.Architecture.Tests;

/// <summary>Who may know whom, and which packages each project may take.</summary>
public sealed class ProjectTests
{
    private static readonly Dictionary<string, string[]> References = new()
    {
        ["src/Kernels"] = [],
        ["src/Diffusion.Gpu"] = ["src/Kernels"],
        ["src/Fid.Gpu"] = ["src/Kernels"],
        ["tools/weight-converter"] = ["src/Kernels", "src/Diffusion.Gpu", "src/Fid.Gpu"],
        ["tools/diffusion"] = ["src/Kernels", "src/Diffusion.Gpu", "src/Fid.Gpu", "tools/weight-converter"],
        ["benchmarks"] = ["src/Kernels", "src/Diffusion.Gpu", "src/Fid.Gpu"],
        ["benchmarks/peers"] = ["src/Kernels", "src/Diffusion.Gpu", "src/Fid.Gpu"],
    };

    private static readonly Dictionary<string, string[]> Packages = new()
    {
        ["src/Kernels"] = ["ILGPU", "ILGPU.Algorithms", "StbImageSharp", "System.Numerics.Tensors"],
        ["src/Diffusion.Gpu"] = [],
        ["src/Fid.Gpu"] = ["MathNet.Numerics"],
        ["tools/weight-converter"] = ["System.CommandLine"],
        ["tools/diffusion"] = ["System.CommandLine", "Spectre.Console", "ScottPlot"],
        ["benchmarks"] = ["BenchmarkDotNet"],
        ["benchmarks/peers"] = ["TorchSharp-cpu"],
    };

    [Test]
    public void Projects_refer_to_what_they_may_know()
    {
        foreach (var (project, document) in Repository.Projects.Where(entry => !IsTest(entry.Key)))
        {
            Assert.That(References, Contains.Key(project), "a new project states here what it may refer to");
            Assert.That(ReferencesOf(project, document), Is.SubsetOf(References[project]), project);
        }
    }

    [Test]
    public void Tests_are_known_to_no_project_but_tests()
    {
        foreach (var (project, document) in Repository.Projects.Where(entry => !IsTest(entry.Key)))
            Assert.That(ReferencesOf(project, document).Where(IsTest), Is.Empty, project);
    }

    [Test]
    public void Projects_take_the_packages_they_are_allowed()
    {
        foreach (var (project, document) in Repository.Projects)
        {
            string[] allowed = IsTest(project) ? ["MathNet.Numerics"] : Packages.GetValueOrDefault(project, []);
            Assert.That(Attributes(document, "PackageReference", "Include"), Is.SubsetOf(allowed), project);
        }
    }

    [Test]
    public void Versions_of_packages_are_kept_in_one_place()
    {
        foreach (var (project, document) in Repository.Projects)
            Assert.That(Attributes(document, "PackageReference", "Version"), Is.Empty, project);
    }

    [Test]
    public void ILGPU_is_pinned_to_one_version()
    {
        var versions = XDocument.Parse(Repository.Text("Directory.Packages.props")).Descendants("PackageVersion")
            .Where(package => package.Attribute("Include")!.Value.StartsWith("ILGPU", StringComparison.Ordinal))
            .Select(package => package.Attribute("Version")!.Value).ToArray();
        Assert.That(versions, Is.Not.Empty);
        Assert.That(versions, Is.All.StartsWith("[").And.All.EndsWith("]").And.All.Not.Contains(","));
    }

    /// <summary>The peers' packages are half a gigabyte: who builds or tests the solution must not fetch them.</summary>
    private static readonly string[] OutsideTheSolution = ["benchmarks/peers"];

    [Test]
    public void Solution_lists_every_project_but_the_peers()
    {
        var listed = XDocument.Parse(Repository.Text("Diffusion.Gpu.slnx")).Descendants("Project")
            .Select(project => Path.GetDirectoryName(project.Attribute("Path")!.Value)!.Replace('\\', '/'));
        Assert.That(listed, Is.EquivalentTo(Repository.Projects.Keys.Except(OutsideTheSolution)));
    }

    [Test]
    public void Undocumented_public_members_stop_the_build()
    {
        Assert.That(Repository.Text("Directory.Build.props"), Does.Contain("<GenerateDocumentationFile>true</GenerateDocumentationFile>")
            .And.Contain("<TreatWarningsAsErrors>true</TreatWarningsAsErrors>").And.Not.Contain("1591"));
        foreach (var (project, document) in Repository.Projects.Where(entry => entry.Key.StartsWith("src/", StringComparison.Ordinal)))
            Assert.That(document.ToString(), Does.Not.Contain("NoWarn").And.Not.Contain("GenerateDocumentationFile"), project);
        foreach (string path in Repository.CodeBelow("src"))
            Assert.That(Repository.Text(path), Does.Not.Contain("warning disable CS1591"), path);
    }

    private static bool IsTest(string project) => project.StartsWith("tests/", StringComparison.Ordinal);

    private static IEnumerable<string> ReferencesOf(string project, XDocument document)
        => Attributes(document, "ProjectReference", "Include")
        .Select(path => Path.GetFullPath(Path.Combine(Repository.Root, project, path.Replace('\\', '/'))))
        .Select(path => Path.GetDirectoryName(Path.GetRelativePath(Repository.Root, path))!.Replace('\\', '/'));

    private static IEnumerable<string> Attributes(XDocument document, string element, string attribute)
        => document.Descendants(element).Select(found => found.Attribute(attribute)?.Value).OfType<string>();
}
